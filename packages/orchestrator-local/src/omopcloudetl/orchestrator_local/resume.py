"""Finds the steps that an earlier run completed and that need not run again."""

from __future__ import annotations

from pathlib import Path

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep
from omopcloudetl.core.runs import StepRecord
from omopcloudetl.orchestrator_local.store import LocalRunStore


def is_completed(step: StepRecord) -> bool:
    """Whether the step's work is there: it was done, or found done and passed over."""
    return step.state == "done" or (step.state == "skipped" and step.error is None)


def physical_name(table: str, plan: CompiledWorkflowPlan) -> tuple[str, ...]:
    """The parts of a logical table's physical name."""
    schema, _, name = table.partition(".")
    return (*plan.schemas.get(schema, schema).split("."), name)


def completed_steps(plan: CompiledWorkflowPlan, state: Path, target: str, connection: BaseConnection) -> set[str]:
    """Names of the steps that `resume` passes over: the newest run of the target completed them, and they are valid.

    A step is valid if its fingerprint is the same, the tables that it makes exist, and so is every
    step that it depends on. A step that makes no table is never passed over, because nothing shows
    that its work is still there; that it runs again makes no other step run again.
    """
    with LocalRunStore(state) as store:
        newest = next((run for run in store.list_runs() if run.target == target), None)
    if newest is None:
        return set()
    known = {step.name: step.fingerprint for step in newest.steps if is_completed(step)}
    valid: set[str] = set()
    for step in plan.steps:
        same = bool(step.fingerprint) and known.get(step.name) == step.fingerprint
        if same and valid.issuperset(step.depends_on) and _is_there(step, plan, connection):
            valid.add(step.name)
    return {step.name for step in plan.steps if step.name in valid and _tables(step, plan)}


def _is_there(step: SqlStep | BulkLoadStep, plan: CompiledWorkflowPlan, connection: BaseConnection) -> bool:
    return all(connection.table_exists(table) for table in _tables(step, plan))


def _tables(step: SqlStep | BulkLoadStep, plan: CompiledWorkflowPlan) -> list[tuple[str, ...]]:
    """Physical names of the tables that a step makes."""
    if isinstance(step, BulkLoadStep):
        return [step.table]
    return [physical_name(table, plan) for table in step.writes]
