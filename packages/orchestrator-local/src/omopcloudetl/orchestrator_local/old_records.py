"""Takes over the records of versions that kept each run as a JSON file."""

from __future__ import annotations

import sqlite3
import warnings
from pathlib import Path

from pydantic import ValidationError

from omopcloudetl.core.runs import RunRecord
from omopcloudetl.orchestrator_local.rows import insert_run, insert_steps

FOLDER = "runs"


def has_old_records(state: Path) -> bool:
    """Whether there is anything to take over."""
    return any((state / FOLDER).glob("*.json"))


def import_old_records(connection: sqlite3.Connection, state: Path) -> None:
    """Write the old records into new tables, the oldest first; the files stay, one that is none is warned about."""
    records = [record for path in sorted((state / FOLDER).glob("*.json")) if (record := _read(path)) is not None]
    for record in sorted(records, key=lambda run: (run.started_at, run.run_id)):
        insert_steps(connection, insert_run(connection, record), enumerate(record.steps))


def _read(path: Path) -> RunRecord | None:
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        problem = f"is no run record: {place}: {first['msg']}" if place else f"is no run record: {first['msg']}"
    warnings.warn(f"{path} {problem}; it is left out of the run store", RuntimeWarning, stacklevel=2)
    return None
