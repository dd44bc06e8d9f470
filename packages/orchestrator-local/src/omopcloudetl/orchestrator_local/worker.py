"""Runs one step on a connection: its statements, its checks, its load."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import CheckError, DatabaseError, StatementError
from omopcloudetl.core.plan import BulkLoadStep, Reports, SqlStep, Statement

ATTEMPTS = 3
INTERRUPTED = "the run was interrupted"
FIRST_WAIT = 0.2
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


class InterruptedStepError(DatabaseError):
    """The run was told to stop; the step's transaction is rolled back."""


class Worker:
    """The connections of a run's threads, one each, opened when a thread's first step needs it."""

    def __init__(self, connect: Callable[[], BaseConnection], base: Path) -> None:
        self._connect = connect
        self._base = base
        self._own = threading.local()
        self._open: set[BaseConnection] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def run(self, step: SqlStep | BulkLoadStep) -> Outcome:
        """Run a step; what is transient is tried again, on a new connection.

        A step can be repeated: it is one transaction, or its statements are safe to repeat.
        """
        for attempt in range(1, ATTEMPTS + 1):
            connection = self._connection()
            try:
                return self._attempt(step, connection)
            except DatabaseError as error:
                if self._stop.is_set():
                    raise InterruptedStepError(INTERRUPTED) from error
                if attempt == ATTEMPTS or not connection.is_transient(error):
                    raise
                self._discard(connection)
            self._stop.wait(FIRST_WAIT * 2 ** (attempt - 1))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def stop(self) -> None:
        """Let running statements end as soon as the engine can end them."""
        self._stop.set()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.cancel()

    def close(self) -> None:
        """Close every connection; no thread may be running a step."""
        while self._open:
            self._open.pop().close()

    def _connection(self) -> BaseConnection:
        connection: BaseConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._connect()
            connection.connect()
            with self._lock:
                self._open.add(connection)
            self._own.connection = connection
        return connection

    def _discard(self, connection: BaseConnection) -> None:
        self._own.connection = None
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def _attempt(self, step: SqlStep | BulkLoadStep, connection: BaseConnection) -> Outcome:
        match step:
            case SqlStep():
                return self._statements(step, connection)
            case BulkLoadStep():
                if self._stop.is_set():
                    raise InterruptedStepError(INTERRUPTED)
                loaded = connection.bulk_load(step, base=self._base)
                return Outcome(
                    rows_affected=loaded.rows_loaded,
                    rows_loaded=loaded.rows_loaded,
                    rows_rejected=loaded.rows_rejected,
                    bytes_read=loaded.bytes_read,
                    files=loaded.files,
                    files_digest=loaded.files_digest,
                )
            case _:
                assert_never(step)

    def _statements(self, step: SqlStep, connection: BaseConnection) -> Outcome:
        scope: AbstractContextManager[None] = nullcontext()
        if step.transaction == "step":
            scope = connection.transaction()
        counts: list[tuple[str, int]] = []
        told: dict[Reports, list[str]] = {"note": [], "warning": []}
        with scope:
            for statement in step.statements:
                if self._stop.is_set():
                    raise InterruptedStepError(INTERRUPTED)
                if statement.check is not None:
                    _check(statement, connection)
                elif statement.reports is not None:
                    told[statement.reports] += _told(statement, connection)
                else:
                    rows = connection.execute(statement.sql).rows_affected
                    if rows is not None and statement.counted:
                        counts.append((statement.sql, rows))
        return Outcome(rows_affected=rows_written(counts), notes=tuple(told["note"]), warnings=tuple(told["warning"]))


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
