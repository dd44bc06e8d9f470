"""Reads what a run left in the database: the ledger, and how many rows its tables have."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import ValidationError

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import DatabaseConnectionError, DatabaseError
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.runs import LedgerEntry, RunRecord
from omopcloudetl.orchestrator_local.logs import RunLogger
from omopcloudetl.orchestrator_local.resume import is_completed, physical_name

LEDGER_LIMIT = 1_000_000


def read_outcome(
    plan: CompiledWorkflowPlan,
    run: RunRecord,
    connection: BaseConnection,
    log: RunLogger,
    is_stopped: Callable[[], bool],
) -> None:
    """Fill in ledger and table counts, as far as the steps that make them are completed, or until the run is stopped.

    Tables of a step that failed hold what an earlier run left there, so they are not read. Raises
    `DatabaseConnectionError` if the database is not there any more.
    """
    completed = {step.name for step in run.steps if is_completed(step)}
    stale = {table for step in plan.steps if step.name not in completed for table in step.writes}
    if plan.ledger is not None and not is_stopped() and not any(_reads(plan.ledger, t, plan) for t in stale):
        run.ledger = _ledger(plan.ledger, connection, log)
    for table, query in plan.counted_tables.items():
        rows = None if table in stale or is_stopped() else _count(table, query, plan, connection, log)
        if rows is not None:
            run.table_rows[table] = rows


def _reads(query: str, table: str, plan: CompiledWorkflowPlan) -> bool:
    *_, schema, name = physical_name(table, plan)
    parts = rf"\W{{0,2}}{re.escape(schema)}\W{{1,3}}{re.escape(name)}(?!\w)"
    return re.search(parts, query, re.IGNORECASE) is not None


def _ledger(query: str, connection: BaseConnection, log: RunLogger) -> list[LedgerEntry]:
    try:
        rows = connection.fetch(query, limit=LEDGER_LIMIT)
        names = ("mapping", "entry", "target_table", "reason", "row_count")
        return [LedgerEntry.model_validate(dict(zip(names, row, strict=True))) for row in rows]
    except DatabaseConnectionError:
        raise
    except (DatabaseError, ValidationError, ValueError) as error:
        log.warning("ledger_not_read", error=str(error))
        return []


def _count(
    table: str, query: str, plan: CompiledWorkflowPlan, connection: BaseConnection, log: RunLogger
) -> int | None:
    try:
        if not connection.table_exists(physical_name(table, plan)):
            return None
        return int(str(connection.fetch(query, limit=1)[0][0]))
    except DatabaseConnectionError:
        raise
    except (DatabaseError, IndexError, ValueError) as error:
        log.warning("table_not_counted", table=table, error=str(error))
        return None
