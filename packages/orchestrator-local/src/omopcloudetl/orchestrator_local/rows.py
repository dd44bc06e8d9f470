"""Run records as rows of the run store, and back."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable

from pydantic import TypeAdapter, ValidationError

from omopcloudetl.core.errors import RunError
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.run_store import LogEntry
from omopcloudetl.core.runs import LedgerEntry, RunRecord, StepRecord

OF_OTHER_COLUMNS = {"state", "steps", "ledger"}
PUT_STEP = "INSERT OR REPLACE INTO step (run, place, record) VALUES (?, ?, ?)"
PUT_EVENT = "INSERT OR REPLACE INTO event (run, number, entry) VALUES (?, ?, ?)"
_LEDGER = TypeAdapter(list[LedgerEntry])


def insert_run(connection: sqlite3.Connection, run: RunRecord, lock: str | None = None) -> int:
    """Write a new run without its steps; returns its number, by which runs are ordered."""
    inserted = connection.execute(
        "INSERT INTO run (run_id, target, state, plan_hash, lock, record, ledger) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (run.run_id, run.target, run.state, run.plan_hash, lock, _head(run), _ledger(run)),
    ).lastrowid
    assert inserted is not None, "an INSERT of a row has an id"
    return inserted


def update_run(connection: sqlite3.Connection, number: int, run: RunRecord) -> None:
    """Write what changed of a run, without its steps."""
    values = (run.state, _head(run), _ledger(run), number)
    connection.execute("UPDATE run SET state = ?, record = ?, ledger = ? WHERE number = ?", values)


def insert_steps(connection: sqlite3.Connection, number: int, steps: Iterable[tuple[int, StepRecord]]) -> None:
    """Write steps with their places."""
    connection.executemany(PUT_STEP, ((number, place, step.model_dump_json()) for place, step in steps))


def keep_plan(connection: sqlite3.Connection, plan: CompiledWorkflowPlan) -> None:
    """Write a plan, unless it is there: the same plan is kept once, however often it runs."""
    known = connection.execute("SELECT 1 FROM plan WHERE hash = ?", (plan.content_hash,)).fetchone()
    if known is None:
        content = zlib.compress(plan.model_dump_json().encode())
        connection.execute("INSERT OR IGNORE INTO plan (hash, content) VALUES (?, ?)", (plan.content_hash, content))


def read_plan(content: bytes) -> CompiledWorkflowPlan:
    """A plan as it was kept; raises `PlanError` if it is of another version."""
    return CompiledWorkflowPlan.from_json(zlib.decompress(content).decode())


def read_run(connection: sqlite3.Connection, run_id: str) -> tuple[int, str | None, RunRecord]:
    """Number, lock and record of a run; raises `RunError` if it is not there or cannot be read."""
    row = connection.execute(
        "SELECT number, lock, state, record, ledger FROM run WHERE run_id = ?", (run_id,)
    ).fetchone()
    if row is None:
        raise RunError(f"there is no run '{run_id}'")
    number, lock, state, head, ledger = row
    steps = connection.execute("SELECT record FROM step WHERE run = ? ORDER BY place", (number,))
    try:
        parts = {
            "state": state,
            "steps": [StepRecord.model_validate_json(step) for (step,) in steps],
            "ledger": _LEDGER.validate_json(ledger),
        }
        return number, lock, RunRecord.model_validate({**json.loads(head), **parts})
    except ValueError as error:
        raise RunError(f"the record of run {run_id} is no run record of this version: {_problem(error)}") from error


def read_log(connection: sqlite3.Connection, run_id: str) -> list[LogEntry]:
    """The log of a run; raises `RunError` if it cannot be read."""
    query = "SELECT entry FROM event JOIN run ON run.number = event.run WHERE run_id = ? ORDER BY event.number"
    try:
        return [LogEntry.model_validate_json(entry) for (entry,) in connection.execute(query, (run_id,))]
    except ValueError as error:
        raise RunError(f"the log of run {run_id} is no log of this version: {_problem(error)}") from error


def _head(run: RunRecord) -> str:
    return run.model_dump_json(exclude=OF_OTHER_COLUMNS)


def _ledger(run: RunRecord) -> str:
    return _LEDGER.dump_json(run.ledger).decode()


def _problem(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
