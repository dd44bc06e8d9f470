"""Runs a plan on one connection, step after step: the contract of connections is all that it uses."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import assert_never

from omopcloudetl.core.connection import BaseConnection, LoadMetrics
from omopcloudetl.core.errors import CheckError
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep, Statement

ROWS_SHOWN = 5
Load = Callable[[BulkLoadStep], LoadMetrics | None]
"""How a load's table is filled."""


@dataclass
class Executed:
    """What a plan did."""

    rows: dict[str, int | None] = field(default_factory=dict)
    """Step → rows that its last counted statement changed."""
    loads: dict[str, LoadMetrics] = field(default_factory=dict)
    """Step → what its load says of itself."""
    told: dict[str, list[str]] = field(default_factory=dict)
    """Step → the texts of its statements that report."""


def execute(
    plan: CompiledWorkflowPlan, connection: BaseConnection, load: Load, after: Callable[[str], None] = lambda step: None
) -> Executed:
    """Run every step; raises what the connection raises, and `CheckError` for a check that finds rows.

    Args:
        plan: What must happen.
        connection: An open session.
        load: How a load's table is filled.
        after: Called with the name of each step that is done.
    """
    done = Executed()
    for step in plan.steps:
        match step:
            case SqlStep():
                _run(step, connection, done)
            case BulkLoadStep():
                metrics = load(step)
                if metrics is not None:
                    done.loads[step.name] = metrics
            case _:
                assert_never(step)
        after(step.name)
    return done


def _run(step: SqlStep, connection: BaseConnection, done: Executed) -> None:
    with connection.transaction() if step.transaction == "step" else nullcontext():
        for statement in step.statements:
            if statement.check is not None:
                _check(statement, connection)
            elif statement.reports is not None:
                rows = connection.fetch(statement.sql, limit=ROWS_SHOWN)
                done.told.setdefault(step.name, []).extend(str(row[0]) for row in rows)
            else:
                metrics = connection.execute(statement.sql)
                if statement.counted:
                    done.rows[step.name] = metrics.rows_affected


def _check(statement: Statement, connection: BaseConnection) -> None:
    rows = connection.fetch(statement.sql, limit=ROWS_SHOWN)
    if rows:
        shown = "\n".join(f"  {', '.join(map(str, row))}" for row in rows)
        raise CheckError(f"{statement.check}\n{shown}")
