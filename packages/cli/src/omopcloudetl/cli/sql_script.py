"""A plan as one SQL script with a comment over each step and statement, for people to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, assert_never

from omopcloudetl.cli.output import one_line

if TYPE_CHECKING:
    from omopcloudetl.core.plan import CompiledWorkflowPlan, PlanStep, Statement


def sql_script(plan: CompiledWorkflowPlan) -> Iterator[str]:
    """The script's lines; loads are comments, because only the provider knows their statement."""
    yield f"-- {plan.name}: CDM {plan.cdm_version} on {plan.provider}, plan {plan.content_hash[:12]}"
    for step in plan.steps:
        yield ""
        yield f"-- step {step.name}: {one_line(step.summary)}"
        yield f"--   from {step.origin.file}:{step.origin.line}{_after(step)}"
        yield from _body(step)


def _after(step: PlanStep) -> str:
    return f", after {', '.join(step.depends_on)}" if step.depends_on else ""


def _body(step: PlanStep) -> Iterator[str]:
    match step.kind:
        case "sql":
            if step.transaction == "step" and len(step.statements) > 1:
                yield f"--   {len(step.statements)} statements in one transaction"
            for statement in step.statements:
                yield from _statement(statement)
        case "bulk_load":
            table = ".".join(step.table)
            yield f"--   bulk load of {one_line(step.uri)} ({step.format}) into {table}: {step.mode}"
        case _:
            assert_never(step.kind)


def _statement(statement: Statement) -> Iterator[str]:
    yield f"-- {one_line(statement.purpose)}"
    if statement.check is not None:
        yield f"-- a check: the step fails if a row comes back: {one_line(statement.check)}"
    yield f"{statement.sql.rstrip().removesuffix(';')};"
