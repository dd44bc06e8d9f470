"""The steps of a run as the report shows them: what the record says of each, and the plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, PlanStep, SqlStep, Statement
from omopcloudetl.core.runs import RunRecord, StepRecord
from omopcloudetl.core.text import one_line

Group = Literal["load", "mapping", "write", "other"]
"""What a step is for, which decides its colour."""


@dataclass(frozen=True)
class ReportStep:
    """One step."""

    number: int
    record: StepRecord
    group: Group
    summary: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    statements: tuple[tuple[str, str], ...] = ()
    """Of each statement what it does, and its SQL."""
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> str:
        """All that a search looks at."""
        record = self.record
        found = (record.name, record.outcome, self.summary, record.origin or "", *self.reads, *self.writes)
        return one_line(" ".join(found)).lower()

    @property
    def retries(self) -> int:
        """How often it was tried again."""
        return max(len(self.record.attempts) - 1, 0)


def describe_steps(run: RunRecord, plan: CompiledWorkflowPlan | None) -> list[ReportStep]:
    """Every step of the record, in the plan's order."""
    planned = {step.name: step for step in plan.steps} if plan is not None else {}
    return [_describe(number, record, planned.get(record.name)) for number, record in enumerate(run.steps, 1)]


def group_of(record: StepRecord) -> Group:
    """What a step is for, by its kind and its name."""
    if record.kind == "bulk_load":
        return "load"
    prefixes: dict[str, Group] = {"stage_": "mapping", "keys_": "write", "write_": "write"}
    return next((group for prefix, group in prefixes.items() if record.name.startswith(prefix)), "other")


def _describe(number: int, record: StepRecord, step: PlanStep | None) -> ReportStep:
    group = group_of(record)
    if step is None:
        return ReportStep(number, record, group, "")
    statements, facts = _content(step)
    return ReportStep(
        number,
        record,
        group,
        step.summary,
        reads=step.reads,
        writes=step.writes,
        after=step.depends_on,
        statements=statements,
        facts=facts,
    )


def _content(step: PlanStep) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    match step:
        case SqlStep():
            scope = "all statements in one transaction" if step.transaction == "step" else "each statement by itself"
            statements = tuple((_purpose(statement), statement.sql.strip()) for statement in step.statements)
            return statements, (("transaction", scope),)
        case BulkLoadStep():
            table = ".".join(step.table)
            return (), (("from", step.uri), ("format", step.format), ("into", table), ("how", _mode(step)))
        case _:
            assert_never(step)


def _purpose(statement: Statement) -> str:
    if statement.check is not None:
        return f"{statement.purpose}; the step fails if a row comes back: {statement.check}"
    if statement.reports is not None:
        return f"{statement.purpose}; each row becomes a {statement.reports}"
    return statement.purpose


def _mode(step: BulkLoadStep) -> str:
    match step.mode:
        case "create":
            return "the table is made from the files"
        case "replace_rows":
            return "the table's rows are replaced"
        case "view":
            return "a view of the files, which stay where they are"
        case _:
            assert_never(step.mode)
