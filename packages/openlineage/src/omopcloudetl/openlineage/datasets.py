"""Names tables and files the way OpenLineage does: a namespace, and a name in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from omopcloudetl.core.plan import CompiledWorkflowPlan

DATABASE_VARIABLE = "OMOPCLOUDETL_OPENLINEAGE_DATABASE"
NAMESPACE_VARIABLE = "OPENLINEAGE_NAMESPACE"
JOBS = "omopcloudetl"
"""The namespace of jobs where the environment names no other."""


@dataclass(frozen=True)
class Dataset:
    """A table or a set of files."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Names:
    """The namespaces of one run, and what its datasets are called in them."""

    jobs: str
    database: str
    project: str
    schemas: Mapping[str, str]

    @classmethod
    def of(cls, plan: CompiledWorkflowPlan, target: str, environment: Mapping[str, str]) -> Names:
        """The names of a run on a target.

        The plan has no address of a database, and two projects may call different ones `local`: unless the
        environment says what others call the database, its namespace is made of provider, project and target.
        """
        database = environment.get(DATABASE_VARIABLE) or f"{plan.provider}://{plan.name}/{target}"
        return cls(environment.get(NAMESPACE_VARIABLE) or JOBS, database, plan.name, plan.schemas)

    def table(self, logical: str) -> Dataset:
        """A table by its logical name (`cdm.person`), or by another name that SQL has for it."""
        schema, _, name = logical.partition(".")
        return Dataset(self.database, f"{self.schemas.get(schema, schema)}.{name}" if name else logical)

    def files(self, uri: str) -> Dataset:
        """Files by their path, glob or URI, without what a URI may hold beside its place."""
        if "://" not in uri:  # relative to the project's folder, wherever that is on this machine
            return Dataset("file", uri) if uri.startswith("/") else Dataset(f"file://{self.project}", uri)
        parts = urlsplit(uri)
        if parts.scheme == "file":
            return Dataset("file", parts.path)
        host = parts.netloc.rpartition("@")[2]
        return Dataset(f"{parts.scheme}://{host}", parts.path.strip("/") or "/")
