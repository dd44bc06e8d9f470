"""Writes one run into the run store while it goes on: what changed since the last commit, and nothing else."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from omopcloudetl.core.errors import RunError
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.run_store import Level, LogEntry
from omopcloudetl.core.runs import RunRecord, StepRecord
from omopcloudetl.orchestrator_local import rows
from omopcloudetl.orchestrator_local.logs import Detail, get_logger
from omopcloudetl.orchestrator_local.store import mark_died
from omopcloudetl.orchestrator_local.store_file import FILE, errors_of, open_for_writing

# A commit waits for the disk, and a plan may have thousands of short steps.
SECONDS_BETWEEN_COMMITS = 1.0

log = get_logger(__name__)


@dataclass
class _Pending:
    """What is not yet committed, as the texts that will be written; of a step only the newest."""

    steps: dict[int, str] = field(default_factory=dict)
    events: dict[int, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.steps or self.events)


class RunJournal:
    """The record and the log of one run, which it goes on writing; its methods may be called by any thread.

    Between commits the store is free for others: runs of several targets write into one file.
    """

    def __init__(self, state: Path, run: RunRecord, plan: CompiledWorkflowPlan, lock: Path | None = None) -> None:
        self._state = state
        self._path = state / FILE
        self._run = run
        self._plan = plan
        self._lock = None if lock is None else Path(os.path.relpath(lock, state)).as_posix()
        self._places = {step.name: place for place, step in enumerate(run.steps)}
        self._guard = threading.Lock()
        self._pending = _Pending()
        self._events = 0
        self._failing = False
        self._committed_at = 0.0
        self._opened = (0, 0)

    def open(self) -> list[str]:
        """Write the new run; returns the ids of those of its target that say `running` and have died.

        Only who has the lock of the target may call it. Raises `RunError` if the run cannot be kept.
        """
        self._file = open_for_writing(self._state)
        try:
            with self._transaction():
                died = self._bury()
                self._insert()
            self._opened = _identity(self._path)
        except BaseException:
            self._file.close()
            raise
        return died

    def has(self, run_id: str) -> bool:
        """Whether it is an earlier run of the target from this state folder: who has the lock knows it to be dead."""
        query = "SELECT count(*) FROM run WHERE run_id = ? AND target = ? AND run_id <> ?"
        with self._guard, errors_of(self._path, "read"):
            found = self._file.execute(query, (run_id, self._run.target, self._run.run_id)).fetchone()
        return bool(found[0])

    def step_started(self, record: StepRecord) -> None:
        """A step runs."""
        self._put(record)
        self.log("step_started", step=record.name, worker=record.worker)

    def step_retried(self, record: StepRecord) -> None:
        """An attempt at a step failed, and there will be another."""
        self._put(record)

    def step_finished(self, record: StepRecord) -> None:
        """A step is done, failed or skipped."""
        self._put(record)
        level: Level = "error" if record.state == "failed" else "info"
        details = {
            "rows": record.rows,
            "rejected": record.rows_rejected,
            "seconds": record.seconds,
            "error": record.error,
        }
        self.log("step_finished", level, step=record.name, state=record.state, **_known(details))
        for text in record.warnings:
            self.log("step_warning", "warning", step=record.name, text=text)

    def log(self, event: str, level: Level = "info", *, step: str | None = None, **details: Detail) -> None:
        """Add a line to the run's log."""
        entry = LogEntry(at=datetime.now(UTC), level=level, event=event, step=step, details=details)
        text = entry.model_dump_json(exclude_defaults=True)
        with self._guard:
            self._pending.events[self._events] = text
            self._events += 1

    def commit_if_due(self) -> None:
        """Commit what changed, at most once a second.

        That the store cannot be written is a warning: a disk that is full for a moment stops no step, and the
        end of the run decides.
        """
        if not self._pending or time.monotonic() < self._committed_at + SECONDS_BETWEEN_COMMITS:
            return
        try:
            self._commit()
        except RunError as error:
            if not self._failing:
                log.warning("record_not_kept", run_id=self._run.run_id, error=str(error))
            self._failing = True
            self._committed_at = time.monotonic()
        else:
            self._failing = False

    def keep_interrupted(self, why: str) -> None:
        """Commit at once how the run ends if its process cannot wait: what runs has failed, the rest is skipped.

        What becomes known later is written over it. That it cannot be written is a warning, because the end decides.
        """
        for record in self._run.steps:
            if record.state in {"running", "pending"}:
                state = "failed" if record.state == "running" else "skipped"
                self._put(record.model_copy(update={"state": state, "error": why}))
        try:
            self._commit(with_run=True)
        except RunError as error:
            log.warning("record_not_kept", run_id=self._run.run_id, error=str(error))

    def close(self) -> None:
        """Commit the run as it is now, with all that is not yet committed; raises `RunError` if that fails."""
        try:
            self._commit(with_run=True)
        finally:
            self._file.close()

    def _put(self, record: StepRecord) -> None:
        text = record.model_dump_json()
        with self._guard:
            self._pending.steps[self._places[record.name]] = text

    def _commit(self, *, with_run: bool = False) -> None:
        with self._guard:
            pending, self._pending = self._pending, _Pending()
        try:
            self._reopen_if_gone()
            with self._transaction():
                steps = ((self._number, place, text) for place, text in pending.steps.items())
                self._file.executemany(rows.PUT_STEP, steps)
                events = ((self._number, number, text) for number, text in pending.events.items())
                self._file.executemany(rows.PUT_EVENT, events)
                if with_run:
                    rows.update_run(self._file, self._number, self._run)
        except BaseException:
            with self._guard:
                self._pending.steps = pending.steps | self._pending.steps
                self._pending.events |= pending.events
            raise

    def _insert(self) -> None:
        self._number = rows.insert_run(self._file, self._run, self._lock)
        rows.insert_steps(self._file, self._number, enumerate(self._run.steps))
        rows.keep_plan(self._file, self._plan)

    def _bury(self) -> list[str]:
        query = "SELECT run_id FROM run WHERE target = ? AND state = 'running'"
        died = [run_id for (run_id,) in self._file.execute(query, (self._run.target,)).fetchall()]
        for run_id in died:
            try:
                number, _, run = rows.read_run(self._file, run_id)
            except RunError as error:
                log.warning("record_not_read", run_id=run_id, error=str(error))
                self._file.execute("UPDATE run SET state = 'died' WHERE run_id = ?", (run_id,))
                continue
            mark_died(run)
            rows.update_run(self._file, number, run)
            rows.insert_steps(self._file, number, enumerate(run.steps))
        return died

    def _reopen_if_gone(self) -> None:
        """Begin a new file if somebody removed the one that is open: what is written there is seen by nobody."""
        with errors_of(self._path, "kept"):
            try:
                if _identity(self._path) == self._opened:
                    return
            except FileNotFoundError:
                pass
        log.warning("run_store_was_removed", run_id=self._run.run_id, path=str(self._path))
        self._file.close()
        self._file = open_for_writing(self._state)
        with self._transaction():
            self._insert()
        # Not before: as long as the new file does not have this run, another run may have its number there.
        self._opened = _identity(self._path)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with errors_of(self._path, "kept"):
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._file.execute("COMMIT")
            except BaseException:
                # After some errors, such as a full disk, SQLite has rolled back by itself.
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
                raise
            self._committed_at = time.monotonic()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _known(details: dict[str, Detail]) -> dict[str, Detail]:
    return {name: value for name, value in details.items() if value is not None}
