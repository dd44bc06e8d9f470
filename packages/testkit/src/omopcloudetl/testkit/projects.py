"""Writes the project of a case, compiles it for a provider, runs it, and compares what became of the rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sqlglot import exp

from omopcloudetl.core.capabilities import FULL, Capability
from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.workflow import WorkflowCompiler
from omopcloudetl.core.connection import BaseConnection, LoadMetrics
from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.files.project_loader import read_project
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan
from omopcloudetl.core.specification.documents import parse_document
from omopcloudetl.core.specification.models import CdmSpecification
from omopcloudetl.testkit.cases import SPECIFICATION
from omopcloudetl.testkit.comparison import compare
from omopcloudetl.testkit.executor import Executed, execute
from omopcloudetl.testkit.rows import RowFile, refill_table, replace_table
from omopcloudetl.testkit.target import Target

LEDGER = "work.ledger"
WORK_TYPES = {"row_count": "bigint", "line": "bigint"}
"""Columns of tables in `work` that are no texts."""


@cache
def specification() -> CdmSpecification:
    """The tables of the CDM 5.4 that the cases need: fewer are made faster."""
    return parse_document(SPECIFICATION.name, SPECIFICATION.read_bytes())


@dataclass(frozen=True)
class ProjectFiles:
    """What a project's author would write."""

    mappings: Mapping[str, str]
    """Name of a file → its text."""
    sources: Mapping[str, Mapping[str, object]]
    """Source table → the columns that are declared."""
    write: str = "full"
    """What the step of the mappings says."""
    deletes: str | None = None
    schema: str = "source"
    """The logical schema that is loaded."""
    load: Mapping[str, object] = field(default_factory=dict)
    """More options of the load of the sources, such as `delimiter`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Source table → its file, where that is not `<table>.csv`."""
    project: Mapping[str, object] = field(default_factory=dict)
    """More of `project.yaml`."""

    def texts(self, target: Target) -> dict[str, str]:
        """Name of each file → its text. JSON is YAML, too."""
        provider: dict[str, Any] = {"provider": target.provider.name}
        project = {"name": "kit", "cdm_version": "5.4", "targets": {"kit": provider}, **self.project}
        if target.schemas:
            project["schemas"] = dict(target.schemas)
        texts = {"project.yaml": json.dumps(project), "workflow.yaml": json.dumps(self._workflow())}
        return texts | {f"mappings/{name}": text for name, text in self.mappings.items()}

    def _workflow(self) -> dict[str, object]:
        mappings: dict[str, object] = {"name": "mappings", "kind": "dml", "mappings": "mappings/*.yaml"}
        mappings["write"] = self.write
        if self.deletes is not None:
            mappings["deletes"] = self.deletes
        steps: list[dict[str, object]] = [{"name": f"{s}_tables", "kind": "ddl", "schema": s} for s in ("vocab", "cdm")]
        if self.sources:
            step = {"name": self.schema, "kind": "bulk_load", "schema": self.schema, "from": "data", "format": "csv"}
            tables = {name: self._table(name, columns) for name, columns in self.sources.items()}
            steps.append({**step, "tables": tables, **self.load})
        return {"name": "kit", "steps": [*steps, mappings] if self.mappings else steps}

    def _table(self, name: str, columns: Mapping[str, object]) -> dict[str, object]:
        table: dict[str, object] = {"file": self.files.get(name, f"{name}.csv")}
        return table if self.schema == "vocab" else {**table, "columns": dict(columns)}


def as_if_it_loaded(generator: BaseSQLGenerator) -> BaseSQLGenerator:
    """The same generator for projects whose files the kit itself puts into the tables: the compiler need not refuse."""
    copied = copy(generator)
    vars(copied)["capabilities"] = {**generator.capabilities, Capability.LOAD_CSV: FULL}
    return copied


def compile_project(files: ProjectFiles, target: Target, generator: BaseSQLGenerator) -> CompiledWorkflowPlan:
    """The plan of a project for a target; raises `ProjectError`."""
    for name, text in files.texts(target).items():
        path = target.base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    reading = read_project(target.base)
    if reading.project is None or reading.problems:
        raise ProjectError(reading.problems)
    return WorkflowCompiler(specification(), generator).compile(reading.project)


@dataclass
class Database:
    """An open session of the kit, with what it knows of the tables."""

    connection: BaseConnection
    generator: BaseSQLGenerator
    schemas: Mapping[str, str]
    loads_below: Path | None = None
    """The folder below which the engine finds the files that it loads; without it, rows are inserted."""

    def run(self, plan: CompiledWorkflowPlan, sources: Mapping[str, RowFile], given: Mapping[str, RowFile]) -> Executed:
        """Run a plan; where it would load files, rows are inserted, and after tables are made, those of the CDM."""

        def load(step: BulkLoadStep) -> LoadMetrics | None:
            if self.loads_below is not None:
                return self.connection.bulk_load(step, base=self.loads_below)
            (logical,) = step.writes
            self._load(logical, [column.name for column in step.columns], sources[logical.partition(".")[2]])
            return None

        return execute(plan, self.connection, load, lambda step: self._fill(given) if step == "cdm_tables" else None)

    def _load(self, logical: str, needed: Iterable[str], rows: RowFile) -> None:
        """As a load does: all columns of the file, spelled as rules do, and those that it lacks, as texts."""
        spelled = {name.lower(): name for name in needed}
        rows = RowFile(tuple(spelled.pop(name.lower(), name) for name in rows.columns), rows.rows)
        types = dict.fromkeys([*rows.columns, *spelled.values()], "text")
        for sql in replace_table(self.generator, logical, types, rows, self.schemas):
            self.connection.execute(sql)

    def _fill(self, given: Mapping[str, RowFile]) -> None:
        for name, rows in given.items():
            for sql in refill_table(self.generator, specification().by_name[name], rows, self.schemas):
                self.connection.execute(sql)

    def rows(self, logical: str, columns: Iterable[str]) -> list[tuple[object, ...]]:
        """Some columns of all rows of a table."""
        query = exp.Select(
            expressions=[trees.column(name) for name in columns], from_=exp.From(this=trees.table(logical))
        )
        return self.connection.fetch(self.generator.render(query, self.schemas))

    def compare(self, name: str, expected: RowFile) -> None:
        """Hold a table against a file of expected rows; `person` is `cdm.person`, `work.ledger` the ledger."""
        logical = name if "." in name else f"cdm.{name}"
        table = specification().by_name.get(logical.partition(".")[2])
        types = {field.name: field.type for field in table.fields} if table else WORK_TYPES
        found = self.rows(logical, expected.columns)
        if logical == LEDGER:  # entries of no rows say nothing
            found = [row for row in found if row[expected.columns.index("row_count")] != 0]
        compare(logical, types, expected, found)
