"""Runs one step on a connection: its statements, its checks, its load."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

from omopcloudetl.core.connection import BaseConnection, LoadMetrics
from omopcloudetl.core.errors import CheckError, DatabaseError, OmopCloudEtlError, StatementError
from omopcloudetl.core.plan import BulkLoadStep, Reports, Retry, SqlStep, Statement
from omopcloudetl.core.runs import Attempt
from omopcloudetl.orchestrator_local.connections import Connections
from omopcloudetl.orchestrator_local.retries import OnRetry, retrying
from omopcloudetl.orchestrator_local.time_limits import StepTimeoutError, TimeLimit, TimeLimits

INTERRUPTED = "the run was interrupted"
ROWS_SHOWN = 5
TEXTS_KEPT = 100
FIRST_WORD = re.compile(r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*(\w+)", re.DOTALL)
WRITES = {"INSERT", "MERGE", "UPDATE", "WITH", "COPY"}


@dataclass(frozen=True)
class Outcome:
    """What a step that went well did."""

    rows_affected: int | None = None
    rows_loaded: int | None = None
    rows_rejected: int | None = None
    bytes_read: int | None = None
    files: int | None = None
    files_digest: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


Done = Callable[[SqlStep | BulkLoadStep, BaseConnection, Outcome], None]
"""Called with a step that is complete, its connection and what it did: in its transaction, or after it has none."""
IsDone = Callable[[SqlStep | BulkLoadStep, BaseConnection], bool]
"""Whether the database says that this run completed a step."""


class InterruptedStepError(DatabaseError):
    """The run was told to stop; the step's transaction is rolled back."""


class Worker:
    """Runs steps, each on the connection of the thread that asks for it."""

    def __init__(
        self, connect: Callable[[], BaseConnection], base: Path, done: Done, is_done: IsDone, retry: Retry | None = None
    ) -> None:
        self._connections = Connections(connect)
        self._base = base
        self._done = done
        self._is_done = is_done
        self._retry = retry or Retry()
        self._undecided: dict[str, Outcome] = {}
        """Steps that were noted as complete by a try, of whose commit nothing is known yet."""
        self._limits = TimeLimits()
        self._stop = threading.Event()

    def run(self, step: SqlStep | BulkLoadStep, attempts: list[Attempt], on_retry: OnRetry) -> Outcome:
        """Run a step; what is transient is tried again, on a new connection, until its time is over.

        A step can be repeated: it is one transaction, or its statements are safe to repeat. A commit whose answer was
        lost may have come about: the database is asked first, because a step that amends tables would do it twice.

        Args:
            step: What must happen.
            attempts: Where each try is noted.
            on_retry: Called with the error and the seconds until the next try.
        """

        def retry(error: BaseException, seconds: float) -> None:
            self._connections.discard()
            on_retry(error, seconds)

        with self._limits.limit(step.timeout) as limit:
            tries = retrying(self._retry, self._may_pass, lambda seconds: self.pause(limit.left(seconds)), retry)
            return tries(self._try, step, attempts, limit)

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more may begin."""
        return self._stop.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, unless or until everything is told to stop."""
        self._stop.wait(seconds)

    def stop(self) -> None:
        """Let running statements end as soon as the engine can end them."""
        self._stop.set()
        self._connections.cancel()

    def close(self) -> None:
        """Close every connection; no thread may be running a step."""
        self._limits.close()
        self._connections.close()

    def _may_pass(self, error: BaseException) -> bool:
        """Whether the thread's step may succeed if it is tried again."""
        ends = isinstance(error, InterruptedStepError | StepTimeoutError) or not isinstance(error, DatabaseError)
        return not ends and self._connections.own().is_transient(error)

    def _try(self, step: SqlStep | BulkLoadStep, attempts: list[Attempt], limit: TimeLimit) -> Outcome:
        self._refuse(limit)
        attempt = Attempt(number=len(attempts) + 1, started_at=datetime.now(UTC))
        attempts.append(attempt)
        start = time.perf_counter()
        try:
            return self._hold_to(limit, step)
        except OmopCloudEtlError as error:
            attempt.error = str(error)
            raise
        finally:
            attempt.seconds = time.perf_counter() - start

    def _hold_to(self, limit: TimeLimit, step: SqlStep | BulkLoadStep) -> Outcome:
        """Run a step once; what it fails with when it is told to stop says why, not what the engine says of it."""
        limit.connection = self._connections.own()
        try:
            return self._attempt(step, self._connections.opened(), limit)
        except DatabaseError as error:
            if not self._stop.is_set() and not limit.is_over:
                raise
            self._connections.discard()  # the rollback, too, may have been interrupted
            raise (InterruptedStepError(INTERRUPTED) if self._stop.is_set() else limit.error()) from error
        finally:
            limit.connection = None

    def _refuse(self, limit: TimeLimit) -> None:
        """Begin nothing more if the run was told to stop or the step's time is over."""
        if self._stop.is_set():
            raise InterruptedStepError(INTERRUPTED)
        if limit.is_over:
            raise limit.error()

    def _attempt(self, step: SqlStep | BulkLoadStep, connection: BaseConnection, limit: TimeLimit) -> Outcome:
        if (before := self._undecided.get(step.name)) is not None:
            if self._is_done(step, connection):
                return before
            del self._undecided[step.name]
        match step:
            case SqlStep():
                return self._statements(step, connection, limit)
            case BulkLoadStep():
                self._refuse(limit)
                loaded = connection.bulk_load(
                    step, base=self._base, done=lambda did: self._note(step, connection, _outcome(did))
                )
                return _outcome(loaded)
            case _:
                assert_never(step)

    def _statements(self, step: SqlStep, connection: BaseConnection, limit: TimeLimit) -> Outcome:
        scope: AbstractContextManager[None] = nullcontext()
        if step.transaction == "step":
            scope = connection.transaction()
        counts: list[tuple[str, int]] = []
        told: dict[Reports, list[str]] = {"note": [], "warning": []}
        with scope:
            for statement in step.statements:
                self._refuse(limit)
                if statement.check is not None:
                    _check(statement, connection)
                elif statement.reports is not None:
                    told[statement.reports] += _told(statement, connection)
                else:
                    rows = connection.execute(statement.sql).rows_affected
                    if rows is not None and statement.counted:
                        counts.append((statement.sql, rows))
            outcome = Outcome(
                rows_affected=rows_written(counts), notes=tuple(told["note"]), warnings=tuple(told["warning"])
            )
            self._note(step, connection, outcome)  # in the step's own transaction, where it has one
        return outcome

    def _note(self, step: SqlStep | BulkLoadStep, connection: BaseConnection, outcome: Outcome) -> None:
        self._done(step, connection, outcome)
        self._undecided[step.name] = outcome


def _outcome(loaded: LoadMetrics) -> Outcome:
    return Outcome(
        rows_affected=loaded.rows_loaded,
        rows_loaded=loaded.rows_loaded,
        rows_rejected=loaded.rows_rejected,
        bytes_read=loaded.bytes_read,
        files=loaded.files,
        files_digest=loaded.files_digest,
    )


def rows_written(counts: Iterable[tuple[str, int]]) -> int | None:
    """How many rows a step wrote, from its counted statements and their counts; None if there are none.

    Rows that are inserted, merged or updated count; deleted ones do not, so that replacing a table's
    rows counts them once. `CREATE TABLE … AS` counts only where nothing else writes: beside an INSERT
    it makes intermediate tables.
    """
    by_word: dict[str, int] = {}
    for sql, rows in counts:
        found = FIRST_WORD.match(sql)
        word = found[1].upper() if found else ""
        by_word[word] = by_word.get(word, 0) + rows
    written = [rows for word, rows in by_word.items() if word in WRITES]
    return sum(written) if written else by_word.get("CREATE")


def _told(statement: Statement, connection: BaseConnection) -> list[str]:
    """The texts of a query, the first ones of many."""
    return [str(row[0]) for row in connection.fetch(statement.sql, limit=TEXTS_KEPT) if row[0] is not None]


def _check(statement: Statement, connection: BaseConnection) -> None:
    try:
        rows = connection.fetch(statement.sql, limit=ROWS_SHOWN)
    except StatementError as error:
        if connection.is_transient(error):
            raise
        raise CheckError(f"{statement.check}\n  {error}") from error
    if rows:
        shown = "\n".join(f"  {', '.join(map(str, row))}" for row in rows)
        raise CheckError(f"{statement.check}\n{shown}")
