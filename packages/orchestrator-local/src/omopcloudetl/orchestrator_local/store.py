"""The run store of the local orchestrator: reads what the journals of its runs wrote."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

from omopcloudetl.core.errors import PlanError, RunError
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.run_store import BaseRunStore, LogEntry
from omopcloudetl.core.runs import RunRecord
from omopcloudetl.orchestrator_local import rows
from omopcloudetl.orchestrator_local.lock import is_held
from omopcloudetl.orchestrator_local.store_file import FILE, errors_of, open_for_reading

DIED = "its process ended without a word"


class LocalRunStore(BaseRunStore):
    """Runs in `runs.sqlite3` of a state folder; opened at the first question."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self._file: sqlite3.Connection | None = None

    def run_ids(self) -> list[str]:
        """Ids of all runs, the newest first."""
        connection = self._connection()
        if connection is None:
            return []
        with errors_of(self.state / FILE, "read"):
            return [run_id for (run_id,) in connection.execute("SELECT run_id FROM run ORDER BY number DESC")]

    def read_run(self, run_id: str) -> RunRecord:
        """The record of this run; one that says `running` and holds no lock is `died`."""
        lock, record = self._read(run_id)
        if record.state != "running" or (lock is not None and is_held(self.state / lock)):
            return record
        _, record = self._read(run_id)  # it may have ended before its lock was looked at
        if record.state == "running":
            mark_died(record)
        return record

    def plan_of(self, run_id: str) -> CompiledWorkflowPlan | None:
        """The plan that was run; None if it was not kept, as before there was this store."""
        query = "SELECT content FROM plan JOIN run ON run.plan_hash = plan.hash WHERE run_id = ?"
        with errors_of(self.state / FILE, "read"):
            found = self._required(run_id).execute(query, (run_id,)).fetchone()
        try:
            return None if found is None else rows.read_plan(found[0])
        except (zlib.error, UnicodeDecodeError, PlanError) as error:
            raise RunError(f"the plan of run {run_id} cannot be read: {error}") from error

    def log_of(self, run_id: str) -> list[LogEntry]:
        """What happened in this run, in order."""
        with errors_of(self.state / FILE, "read"):
            return rows.read_log(self._required(run_id), run_id)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self, run_id: str) -> tuple[str | None, RunRecord]:
        connection = self._required(run_id)
        with errors_of(self.state / FILE, "read"):
            connection.execute("BEGIN")  # the run and its steps as they were at one moment
            try:
                _, lock, record = rows.read_run(connection, run_id)
            finally:
                connection.execute("COMMIT")
        return lock, record

    def _required(self, run_id: str) -> sqlite3.Connection:
        connection = self._connection()
        if connection is None:
            raise RunError(f"there is no run '{run_id}' in {self.state}")
        return connection

    def _connection(self) -> sqlite3.Connection | None:
        if self._file is None:
            self._file = open_for_reading(self.state)
        return self._file


def mark_died(run: RunRecord) -> None:
    """Write into a record that its process is gone; whether its running steps ended well nobody knows from it."""
    run.state, run.error = "died", DIED
    for step in run.steps:
        if step.state == "running":
            step.state, step.error = "failed", "the run died while it ran"
