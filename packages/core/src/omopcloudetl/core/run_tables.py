"""The tables in the target's `work` schema that say which steps of which run are complete: names, columns, states.

A step's row is written in the step's own transaction, so that its data and the proof of them are there together, or
neither is. No row holds a value of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

RUNS, STEPS = "work.etl_run", "work.etl_step"
RUN_TABLES = (RUNS, STEPS)
"""Logical names that no step of a project may write or read."""

RUN_COLUMNS: Mapping[str, str] = {
    "run_id": "text",
    "run_number": "bigint",
    "project": "text",
    "workflow": "text",
    "target": "text",
    "plan_hash": "text",
    "provider": "text",
    "cdm_version": "text",
    "state": "text",
    "started_at": "datetime",
    "finished_at": "datetime",
    "steps": "bigint",
    "steps_done": "bigint",
    "steps_passed_over": "bigint",
    "steps_failed": "bigint",
    "steps_skipped": "bigint",
}
"""Column → type, as the specification names types. The order of runs is their number, never a time."""

STEP_COLUMNS: Mapping[str, str] = {
    "run_id": "text",
    "run_number": "bigint",
    "step": "text",
    "kind": "text",
    "fingerprint": "text",
    "state": "text",
    "attempts": "bigint",
    "started_at": "datetime",
    "finished_at": "datetime",
    "rows_written": "bigint",
    "rows_loaded": "bigint",
    "rows_rejected": "bigint",
    "tables_written": "text",
}

RUN_KEY = ("run_id",)
STEP_KEY = ("run_id", "step")
"""Columns of which no two rows have the same values."""

RecordedState = Literal["planned", "done", "passed_over", "failed", "skipped"]
"""Of a step. `planned`: a load, or another step that is not one transaction, that may have begun; `passed_over`: an
earlier run completed it, and it is valid still."""

COMPLETED: frozenset[RecordedState] = frozenset({"done", "passed_over"})
UNTOUCHED: frozenset[RecordedState] = frozenset({"passed_over", "skipped"})
"""States of steps that wrote nothing in their run."""

BETWEEN_TABLES = ", "
"""What stands between the physical names in `tables_written`."""
