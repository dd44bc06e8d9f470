"""Finds the steps that an earlier run completed and that need not run again, by what the target's database proves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, RunTables, SqlStep
from omopcloudetl.core.run_tables import BETWEEN_TABLES, COMPLETED, UNTOUCHED
from omopcloudetl.core.runs import StepRecord

Step = SqlStep | BulkLoadStep
MANY_STEPS = 10_000_000


@dataclass
class Earlier:
    """What the database says of the newest run of a workflow, and of those of other workflows after it."""

    completed: dict[str, str] = field(default_factory=dict)
    """Step that the newest run completed → its fingerprint."""
    filled: dict[str, frozenset[str]] = field(default_factory=dict)
    """The same steps → the tables they wrote."""
    touched: set[str] = field(default_factory=set)
    """Tables that other workflows wrote, or may have written, since then."""


def is_completed(step: StepRecord) -> bool:
    """Whether the step's work is there: it was done, or found done and passed over."""
    return step.state == "done" or (step.state == "skipped" and step.error is None)


def physical_name(table: str, plan: CompiledWorkflowPlan) -> tuple[str, ...]:
    """The parts of a logical table's physical name."""
    schema, _, name = table.partition(".")
    return (*plan.schemas.get(schema, schema).split("."), name)


def filled_tables(step: Step, plan: CompiledWorkflowPlan) -> set[str]:
    """Physical names, in lower case, of the tables whose content a step makes."""
    if isinstance(step, BulkLoadStep):
        return {_name(step.table)}
    return {_name(physical_name(table, plan)) for table in step.writes if table not in step.creates}


def read_earlier(tables: RunTables, connection: BaseConnection) -> Earlier:
    """What the tables prove; nothing where the workflow never ran on this database."""
    newest = connection.fetch(tables.newest_run, limit=1)
    found = Earlier()
    if not newest:
        return found
    for run_id, step, fingerprint, state, written in connection.fetch(tables.steps_since, limit=MANY_STEPS):
        names = frozenset(filter(None, str(written or "").lower().split(BETWEEN_TABLES)))
        if run_id != newest[0][0]:
            found.touched |= names if state not in UNTOUCHED else set()
        elif state in COMPLETED:
            found.completed[str(step)] = str(fingerprint)
            found.filled[str(step)] = names
    return found


def completed_steps(plan: CompiledWorkflowPlan, earlier: Earlier, connection: BaseConnection) -> set[str]:
    """Names of the steps that `resume` passes over: the workflow's newest run completed them, and they are valid.

    A step is valid if its fingerprint is the same, its tables are there, no other workflow wrote one that it writes or
    reads, and so is every step that it depends on. A step that makes no table is never passed over, because nothing
    shows that its work is still there; that it runs again makes no other step run again. It needs no row either: a step
    behind it, whose fingerprint has its own in it, began when it was done.
    """
    again = _to_run(plan, earlier, connection)
    return {step.name for step in plan.steps if step.name not in again and _tables(step, plan)}


def _to_run(plan: CompiledWorkflowPlan, earlier: Earlier, connection: BaseConnection) -> set[str]:
    stale = earlier.touched | _left_behind(plan, earlier)
    is_there = cache(connection.table_exists)
    again = {
        step.name
        for step in plan.steps
        if not step.fingerprint
        or (_tables(step, plan) and earlier.completed.get(step.name) != step.fingerprint)
        or not stale.isdisjoint(filled_tables(step, plan) | _read_tables(step, plan))
        or not all(map(is_there, _tables(step, plan)))
    }
    before = _fillers_before(plan)
    size = -1
    while size < len(again):
        size = len(again)
        for step in plan.steps:
            if not again.isdisjoint(step.depends_on):
                again.add(step.name)
            if step.name in again and (step.name in earlier.completed or step.transaction == "none"):
                again |= before.get(step.name, set())
    return again


def _left_behind(plan: CompiledWorkflowPlan, earlier: Earlier) -> set[str]:
    """Tables into which the newest run wrote by a step that is gone, or that does not write them any more."""
    now = {step.name: filled_tables(step, plan) for step in plan.steps}
    return {table for step, tables in earlier.filled.items() for table in tables - now.get(step, set())}


def _fillers_before(plan: CompiledWorkflowPlan) -> dict[str, set[str]]:
    """Step that amends tables → the steps that fill them before it, without which it would amend its own result."""
    fillers: dict[str, set[str]] = {}
    found: dict[str, set[str]] = {}
    for step in plan.steps:
        tables = filled_tables(step, plan)
        if step.amends:
            found[step.name] = {name for table in tables for name in fillers.get(table, ())}
        for table in tables:
            fillers.setdefault(table, set()).add(step.name)
    return found


def _read_tables(step: Step, plan: CompiledWorkflowPlan) -> set[str]:
    return {_name(physical_name(table, plan)) for table in step.reads}


def _tables(step: Step, plan: CompiledWorkflowPlan) -> Sequence[tuple[str, ...]]:
    """Physical names of the tables that a step makes or fills."""
    if isinstance(step, BulkLoadStep):
        return [step.table]
    return [physical_name(table, plan) for table in step.writes]


def _name(parts: Iterable[str]) -> str:
    return ".".join(parts).lower()
