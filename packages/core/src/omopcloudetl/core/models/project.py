"""The project file: names, schemas, variables and the targets a project can run on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import (
    ALLOWED,
    AT,
    LOGICAL_SCHEMAS,
    LogicalSchema,
    Name,
    NonEmpty,
    StrictModel,
    as_list,
)
from omopcloudetl.core.models.values import Scalar

SCHEMA_PATTERN = r"^[^.\s\"'`;]+(\.[^.\s\"'`;]+)?$"
PhysicalSchema = Annotated[str, Field(pattern=SCHEMA_PATTERN)]
"""`schema` or `catalog.schema` as the database names it."""


class Target(StrictModel):
    """A database to run on: the provider, how to connect, and who executes the plan."""

    provider: str
    """The database: a provider that `omopcloudetl plugins` lists."""
    connection: dict[str, Scalar] = {}
    """The provider's own settings; `${secret:NAME}` is resolved when the connection opens."""
    orchestrator: str = "local"
    """Who executes the plan."""
    schemas: dict[LogicalSchema, PhysicalSchema] = {}
    """Physical schemas that differ from the project's on this target."""


class SpecificationSource(StrictModel):
    """Where the CDM specification comes from: bundled, OHDSI's as fetched before, or a folder."""

    source: Literal["bundled", "ohdsi"] | None = None
    """`bundled`, or `ohdsi`: what `omopcloudetl spec fetch` brought."""
    path: NonEmpty | None = None
    """A folder in the project, or an absolute one, with OHDSI's CSV files or `VERSION.json`."""

    @model_validator(mode="after")
    def _one_of_both(self) -> SpecificationSource:
        if (self.source is None) == (self.path is None):
            raise PydanticCustomError("specification_source", "needs `source` or `path`, and not both")
        return self


def _bare_source(value: object) -> object:
    return {"source": value} if isinstance(value, str) else value


class ProjectConfig(StrictModel):
    """`project.yaml`: where a project can run, with which values."""

    name: Name
    """The project's name in plans and run records."""
    cdm_version: str = "5.4"
    """In quotes; `omopcloudetl spec list` shows those there are."""
    specification: Annotated[SpecificationSource, BeforeValidator(_bare_source)] = SpecificationSource(source="bundled")
    """`bundled`, `ohdsi` (what `omopcloudetl spec fetch` brought) or `{path: FOLDER}`."""
    overlays: Annotated[tuple[NonEmpty, ...], BeforeValidator(as_list)] = ()
    """Files that add to the specification, applied in this order."""
    workflow: str = "workflow.yaml"
    """The workflow's file, relative to the project."""
    schemas: dict[LogicalSchema, PhysicalSchema] = {}
    """Logical schema → physical schema; a schema that is not named keeps its logical name."""
    variables: dict[Name, Scalar] = {}
    """Values of the workflow's variables; `--var` wins over them."""
    plugins: tuple[str, ...] = ()
    """Modules of plugins that live outside the `omopcloudetl` namespace."""
    targets: Annotated[dict[Name, Target], Field(min_length=1)]
    """Name → a database to run on."""
    default_target: Name | None = None
    """The target without `--target`; not needed where there is one target."""

    @model_validator(mode="after")
    def _has_default(self) -> ProjectConfig:
        if self.default_target is not None and self.default_target not in self.targets:
            context = {AT: ("default_target",), ALLOWED: tuple(self.targets)}
            raise PydanticCustomError("default_target", "is none of the targets", context)
        return self

    def physical_schemas(self, target: Target) -> dict[str, str]:
        """The physical name of every logical schema on `target`."""
        return {name: name for name in LOGICAL_SCHEMAS} | self.schemas | target.schemas
