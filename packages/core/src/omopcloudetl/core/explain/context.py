"""What the explanations of one project share: its plan, its files, and who reads and writes which table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from omopcloudetl.core.explain.model import ReadColumn, StepLine
from omopcloudetl.core.explain.rules import RuleTexts
from omopcloudetl.core.explain.statements import PlanSql
from omopcloudetl.core.files.project_loader import LoadedMapping, LoadedProject
from omopcloudetl.core.models.loads import Column
from omopcloudetl.core.models.workflow import BulkLoadStep, DdlStep, DmlStep
from omopcloudetl.core.plan import CompiledWorkflowPlan, PlanStep, SqlStep
from omopcloudetl.core.specification.models import CdmSpecification, CdmTable

STAGE, WRITE = "stage_", "write_"


@dataclass(frozen=True)
class Context:
    """A project with its plan."""

    project: LoadedProject
    plan: CompiledWorkflowPlan
    specification: CdmSpecification
    sql: PlanSql = field(init=False)
    rules: RuleTexts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sql", PlanSql(self.plan))
        object.__setattr__(self, "rules", RuleTexts(self.project.root))

    @cached_property
    def steps(self) -> dict[str, PlanStep]:
        """The steps of the plan by name."""
        return {step.name: step for step in self.plan.steps}

    @cached_property
    def mappings(self) -> dict[str, LoadedMapping]:
        """The mappings by name."""
        return {loaded.model.name: loaded for loaded in self.project.mappings}

    @cached_property
    def tables(self) -> dict[str, None]:
        """Every logical table there is: those of the CDM, and those that a step reads or writes."""
        specified = [
            f"{schema}.{table.name}" for schema in ("cdm", "vocab") for table in self.specification.in_schema(schema)
        ]
        in_plan = sorted({table for step in self.plan.steps for table in (*step.reads, *step.writes)})
        declared = [f"source.{name}" for name in self.project.workflow.sources]
        return dict.fromkeys([*specified, *in_plan, *declared])

    @cached_property
    def _ddl(self) -> frozenset[str]:
        return frozenset(step.name for step in self.project.workflow.steps if isinstance(step, DdlStep))

    def makers(self, table: str) -> list[PlanStep]:
        """The steps that make a table, empty, if it is not there."""
        return [step for step in self.plan.steps if table in step.writes and step.name in self._ddl]

    def writers(self, table: str) -> list[PlanStep]:
        """The steps that fill a table."""
        return [step for step in self.plan.steps if table in step.writes and step.name not in self._ddl]

    def readers(self, table: str) -> list[PlanStep]:
        """The steps that read a table."""
        return [step for step in self.plan.steps if table in step.reads]

    def mappings_of(self, step: PlanStep) -> list[LoadedMapping]:
        """The mappings whose rows a step writes to a CDM table."""
        if not step.name.startswith(WRITE):
            return []
        return [loaded for name, loaded in self.mappings.items() if f"work.{STAGE}{name}" in step.reads]

    def stage_step(self, mapping: str) -> SqlStep:
        """The step that makes a mapping's rows."""
        step = self.steps[f"{STAGE}{mapping}"]
        assert isinstance(step, SqlStep)
        return step

    def write_steps(self, mapping: str) -> list[SqlStep]:
        """The steps that write a mapping's rows to CDM tables."""
        stage = f"work.{STAGE}{mapping}"
        steps = (step for step in self.readers(stage) if step.name.startswith(WRITE))
        return [step for step in steps if isinstance(step, SqlStep)]

    def specified(self, table: str) -> CdmTable | None:
        """The table of the CDM or the vocabulary in the specification."""
        schema, _, name = table.partition(".")
        found = self.specification.by_name.get(name) if schema in {"cdm", "vocab"} else None
        return found if found is not None and (found.schema_ == "vocab") == (schema == "vocab") else None

    @cached_property
    def declared(self) -> dict[str, tuple[tuple[str | int, ...], dict[str, Column]]]:
        """Logical table → where the workflow loads or declares it, and its declared columns."""
        found: dict[str, tuple[tuple[str | int, ...], dict[str, Column]]] = {}
        for index, step in enumerate(self.project.workflow.steps):
            if isinstance(step, BulkLoadStep):
                for name, load in step.tables.items():
                    found[f"{step.schema_}.{name}"] = (("steps", index, "tables", name), load.columns)
        for name, source in self.project.workflow.sources.items():
            if source.columns or f"source.{name}" not in found:
                found[f"source.{name}"] = (("sources", name), source.columns)
        return found

    def read_column(self, table: str, name: str) -> ReadColumn:
        """What is known of a column that a value is made of."""
        made_by = tuple(step.name for step in self.writers(table))
        specified = self.specified(table)
        if specified is not None:
            known = specified.by_name.get(name)
            return ReadColumn(table, name, known.type if known else None, None, made_by)
        path, columns = self.declared.get(table, ((), {}))
        written = next((column for column in columns if column.lower() == name.lower()), None)
        if written is not None:
            position = self.project.workflow_document.at_key(*path, "columns", written)
            return ReadColumn(table, name, columns[written].type, f"{position.file}:{position.line}", made_by)
        position = self.project.workflow_document.at_key(*path)
        return ReadColumn(table, name, None, f"{position.file}:{position.line}" if path else None, made_by)

    def line(self, step: PlanStep) -> StepLine:
        """A step in one line."""
        mappings = self.mappings_of(step)
        write = None
        if mappings:
            steps = {dml.name: dml for dml in self.project.workflow.steps if isinstance(dml, DmlStep)}
            write = steps[mappings[0].step].write
        return StepLine(step.name, step.summary, place_of(step), write)

    def lines(self, steps: Iterable[PlanStep]) -> tuple[StepLine, ...]:
        """Steps in one line each."""
        return tuple(self.line(step) for step in steps)

    def place(self, loaded: LoadedMapping) -> str:
        """Where a mapping begins, as `file:line`."""
        position = loaded.document.at_key("name")
        return f"{position.file}:{position.line}"


def place_of(step: PlanStep) -> str:
    """The user's line a step comes from, as `file:line`."""
    return f"{step.origin.file}:{step.origin.line}"
