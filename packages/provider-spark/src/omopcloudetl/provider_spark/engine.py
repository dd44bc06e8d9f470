"""Opens sessions with Spark and runs statements, by way of either driver."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from omopcloudetl.core.connecting import patiently
from omopcloudetl.core.connection import (
    BaseConnection,
    ExecutionMetrics,
    LoadDone,
    LoadMetrics,
    RecordValue,
    Row,
)
from omopcloudetl.core.errors import DatabaseConnectionError, DatabaseError, StatementError
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_spark import states
from omopcloudetl.provider_spark.commits import Change, Commit, change_of
from omopcloudetl.provider_spark.config import SparkConfig, session_settings
from omopcloudetl.provider_spark.drivers import driver_for
from omopcloudetl.provider_spark.load import load_files
from omopcloudetl.provider_spark.recording import COMMITTING, insert_rows, merge_rows
from omopcloudetl.provider_spark.sql import identifier, qualified

if TYPE_CHECKING:
    from omopcloudetl.provider_spark.drivers import SparkSession

COUNTING = re.compile(r"\s*(INSERT|CREATE\s+OR\s+REPLACE\s+TABLE)\b", re.IGNORECASE)
"""Statements of which some servers tell how many rows they wrote; of a MERGE they count rows that were copied, too."""
QUERY = re.compile(r"\s*(SELECT|WITH|VALUES)\b", re.IGNORECASE)


class SparkConnection(BaseConnection):
    """A session with a server; no row of the data passes through it."""

    def __init__(self, config: SparkConfig, base: Path) -> None:
        self.config = config
        self._driver = driver_for(config, base)
        self._failures = tuple(self._driver.errors)
        self._session: SparkSession | None = None
        self._cancelled = threading.Event()
        self._tag = f"omopcloudetl-{uuid4()}"

    def connect(self) -> None:
        """Open the session; a server that starts is asked again a few times."""
        if self._session is not None:
            return
        self._cancelled.clear()
        # Once more than other engines: gRPC answers for a second without asking an address that has just refused.
        retrying = patiently(self.is_transient, self._cancelled, longest=2, attempts=6)
        try:
            self._session = retrying(self._open)
        except self._failures as error:
            raise DatabaseConnectionError(f"cannot open a session with {self._label}: {states.told(error)}") from error

    def work_for(self, run: str) -> None:
        """Have a session that can be found by the run's id, which is one of its settings."""
        self._driver.work_for(run)

    def end_sessions(self, runs: Collection[str]) -> None:
        """Have the server end what they run, and wait for that; sessions of this process ended with theirs."""
        self._cancelled.clear()
        with self._errors("end the sessions of dead runs"):
            self._driver.end(runs, self._cancelled.wait)

    def close(self) -> None:
        """End the session; one with an id of its own in the address is left to others that use it."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(*self._failures):
                self._driver.close(session)

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run one statement; rows are counted where the server tells them."""
        start = time.perf_counter()
        change = change_of(sql)
        with self._errors(sql):
            before = self._driver.last_commit(self._opened, change.table) if change else None
            found = self._opened.sql(sql)
            counted = found.collect() if COUNTING.match(sql) else []
            if QUERY.match(sql):
                found.count()  # a query runs when its rows are asked for
            rows = counted[0][0] if len(counted) == 1 and len(counted[0]) == 1 else None
            if not isinstance(rows, int):
                rows = self._rows_of(change, before) if change else None
        return ExecutionMetrics(time.perf_counter() - start, rows)

    def fetch(self, sql: str, *, limit: int = 10_000) -> list[Row]:
        """Run a query and return its first `limit` rows."""
        with self._errors(sql):
            return [tuple(row) for row in self._opened.sql(sql).limit(limit).collect()]

    def record(
        self,
        table: Sequence[str],
        columns: Sequence[str],
        rows: Sequence[Sequence[RecordValue]],
        *,
        replacing: Sequence[str] = (),
    ) -> None:
        """Insert rows of metadata as literals; with `replacing`, by a MERGE. No error quotes their values."""
        statements = merge_rows(table, columns, rows, replacing) if replacing else insert_rows(table, columns, rows)
        with COMMITTING:
            for statement in statements:
                try:
                    self._opened.sql(statement)
                except self._failures as error:
                    told = f"cannot record into {qualified(table)}: {states.kind(error)}"
                    raise StatementError(told) from self._failures[0](states.without_values(error))

    def bulk_load(self, load: BulkLoadStep, *, base: Path, done: LoadDone | None = None) -> LoadMetrics:
        """Let Spark read files and write them into a table in one commit; `done` comes after it."""
        self._cancelled.clear()
        return load_files(self, load, base.resolve(), done)

    def file_columns(self, path: str, format_: str, options: Mapping[str, str]) -> list[tuple[str, str]]:
        """Names and types of the columns that Spark finds in files."""
        with self._errors(f"read {path}"):
            schema = self._opened.read.format(format_).options(**options).load(path).schema
        return [(field.name, field.dataType.simpleString()) for field in schema.fields]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Nothing: each statement is a commit of its own."""
        yield

    def table_exists(self, table: Sequence[str]) -> bool:
        """Whether a table or view of this name exists."""
        return bool(self.columns(table))

    def columns(self, table: Sequence[str]) -> list[tuple[str, str]]:
        """Name and type of each column, in order."""
        try:
            fields = self._opened.table(qualified(table)).schema.fields
        except self._failures as error:
            if states.is_not_found(error):
                return []
            raise StatementError(states.told(error)) from error
        return [(field.name, field.dataType.simpleString()) for field in fields]

    def post_load_maintenance(self) -> None:
        """Nothing: compaction is for whoever owns the tables."""

    def is_transient(self, error: BaseException) -> bool:
        """A conflict of commits, or a server that is away or too busy."""
        cause: BaseException | None = error
        while isinstance(cause, DatabaseError):
            cause = cause.__cause__
        return isinstance(cause, self._failures) and states.is_transient(cause)

    def engine_version(self) -> str:
        """`Spark 4.1.0`."""
        with self._errors("version"):
            return f"Spark {self._opened.version}"

    def cancel(self) -> None:
        """Ask the server to end what this session runs; or end the waiting for a session."""
        self._cancelled.set()
        session = self._session
        if session is not None:
            with suppress(*self._failures):  # what cannot be reached does not run either
                self._driver.cancel(session, self._tag)

    def _rows_of(self, change: Change, before: Commit | None) -> int | None:
        """How many rows a statement changed, as the table's last commit tells."""
        after = self._driver.last_commit(self._opened, change.table)
        return change.rows(before, after, self._driver.application(self._opened))

    @property
    def _opened(self) -> SparkSession:
        if self._session is None:
            raise DatabaseConnectionError("the connection is not open")
        self._driver.mark(self._session, self._tag)  # tags are those of a thread
        return self._session

    @property
    def _label(self) -> str:
        return str(self.config.remote or self.config.master).partition("/;")[0]

    @contextmanager
    def _errors(self, statement: str) -> Iterator[None]:
        """Turn the driver's errors into ours, in the server's words."""
        try:
            yield
        except self._failures as error:
            raise StatementError(f"{states.told(error)}\n  in: {_first_line(statement)}") from error

    def _open(self) -> SparkSession:
        session = self._driver.open()
        for key, value in session_settings(self.config).items():
            session.conf.set(key, value)
        if self.config.catalog is not None:
            # Not by `session.catalog`, which asks the catalogs of this thread's last session.
            session.sql(f"SET CATALOG {identifier(self.config.catalog)}")
        return session


def _first_line(statement: str) -> str:
    return statement.strip().split("\n", 1)[0][:200]
