"""Opens sessions with a PostgreSQL server and runs statements; the only module that imports the driver."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from omopcloudetl.core.connecting import patiently
from omopcloudetl.core.connection import (
    BaseConnection,
    ExecutionMetrics,
    LoadDone,
    LoadMetrics,
    RecordValue,
    Row,
    RunSession,
)
from omopcloudetl.core.errors import DatabaseConnectionError, DatabaseError, StatementError
from omopcloudetl.core.findings import Diagnosis, Finding
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_postgres import orphans, states
from omopcloudetl.provider_postgres.config import PROGRAM, PostgresConfig, connection_parameters, session_settings
from omopcloudetl.provider_postgres.health import diagnose_settings
from omopcloudetl.provider_postgres.load import load_files
from omopcloudetl.provider_postgres.server_health import examined
from omopcloudetl.provider_postgres.sql import TableColumn, names, qualified

FIRST_WAIT = 0.2
CANCEL_TIMEOUT = 5.0
AT_A_TIME = 500
# Statements whose tag has the number of rows they changed; that of SELECT is of CREATE TABLE AS, too.
COUNTING = ("INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "SELECT")
MAKES_SCHEMA = "CREATE SCHEMA IF NOT EXISTS "
Driver = psycopg.Connection[Row]


class LostSessionError(DatabaseConnectionError):
    """A session that was open is gone; what it had not committed is rolled back."""


class PostgresConnection(BaseConnection):
    """A session with a server; a statement is one round trip, and no row of the data passes through it."""

    def __init__(self, config: PostgresConfig, base: Path) -> None:
        self.config = config
        self._base = base
        self._name = PROGRAM
        self._connection: Driver | None = None
        self._cancelled = threading.Event()
        self._gate = threading.Lock()
        self._interruptible = False

    def connect(self) -> None:
        """Open the session; a server that starts, or has no room, is asked again a few times."""
        if self._connection is not None:
            return
        self._cancelled.clear()
        retrying = patiently(self.is_transient, self._cancelled, longest=2)
        try:
            self._connection = retrying(self._open)
        except psycopg.Error as error:
            raise DatabaseConnectionError(f"cannot open {self._label}: {states.told_of_refusal(error)}") from error

    def work_for(self, run: str) -> None:
        """Have the run's id in the session's name, which `pg_stat_activity` shows."""
        self._name = orphans.session_name(run)

    def run_sessions(self) -> list[RunSession]:
        """The sessions of other runs on this database, as far as the role may see them: its own."""
        rows = self._fetch(orphans.OTHERS, (orphans.session_name("%"), self._name), 1_000)
        return [orphans.described(row) for row in rows]

    def end_sessions(self, runs: Collection[str]) -> None:
        """Have the server end them; what one had not committed is rolled back then, and its locks are free."""
        for name in map(orphans.session_name, runs):
            for number, ended in self._fetch(orphans.END, (orphans.PATIENCE, name), 1_000):
                if not ended:
                    raise StatementError(
                        f"the session of a dead run, process {number} of the server, does not end; wait until it has"
                        " rolled back what it did"
                    )

    def close(self) -> None:
        """End the session; what was not committed is lost."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run one statement; the server counts the rows it changed.

        A schema that is there is not asked for: the server would refuse a role that may not make any, also where IF
        NOT EXISTS says that it need not.
        """
        start = time.perf_counter()
        if sql.startswith(MAKES_SCHEMA) and self._has_schema(sql.removeprefix(MAKES_SCHEMA)):
            return ExecutionMetrics(time.perf_counter() - start)
        with self._errors(sql), self._running():
            # Binary results are asked for by the protocol that takes one statement at a time.
            cursor = self._session.execute(sql, binary=True)
        counted = cursor.rowcount if (cursor.statusmessage or "").startswith(COUNTING) else -1
        return ExecutionMetrics(time.perf_counter() - start, counted if counted >= 0 else None)

    def fetch(self, sql: str, *, limit: int = 10_000) -> list[Row]:
        """Run a query and return its first `limit` rows."""
        return self._fetch(sql, (), limit)

    def record(
        self,
        table: Sequence[str],
        columns: Sequence[str],
        rows: Sequence[Sequence[RecordValue]],
        *,
        replacing: Sequence[str] = (),
    ) -> None:
        """Insert rows of metadata as parameters; the text of an error does not quote their values."""
        if replacing:
            places = [columns.index(column) for column in replacing]
            keys = [[row[place] for place in places] for row in rows]
            self._send(f"DELETE FROM {qualified(table)} WHERE ({names(replacing)}) IN (VALUES", keys, ")")
        self._send(f"INSERT INTO {qualified(table)} ({names(columns)}) VALUES", rows)

    def _send(self, begin: str, rows: Sequence[Sequence[RecordValue]], end: str = "") -> None:
        for start in range(0, len(rows), AT_A_TIME):
            some = rows[start : start + AT_A_TIME]
            marks = ", ".join([f"({', '.join(['%s'] * len(some[0]))})"] * len(some))
            whole = f"{begin} ".replace("%", "%%") + marks + end  # the driver looks for marks in names, too
            with self._errors(f"{begin} …{end}", quoting=False), self._running():
                self._session.execute(whole, [value for row in some for value in row])

    def bulk_load(self, load: BulkLoadStep, *, base: Path, done: LoadDone | None = None) -> LoadMetrics:
        """Load files with `COPY`: the server reads them, or they are sent to it where the target says so."""
        self._cancelled.clear()
        return load_files(self, load, base.resolve(), done)

    def copy_in(self, statement: str, chunks: Iterator[bytes]) -> int:
        """Send bytes to a `COPY … FROM STDIN`; returns how many rows the server made of them."""
        with self._errors(statement), self._running(), self._session.cursor() as cursor:
            with cursor.copy(statement) as copy:
                for chunk in chunks:
                    copy.write(chunk)
            return cursor.rowcount

    def refuse_if_cancelled(self) -> None:
        """Raise `StatementError` if `cancel` was called since the load began."""
        if self._cancelled.is_set():
            raise StatementError("the load was interrupted")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end of the block; roll back if it, or the commit itself, fails."""
        self.execute("BEGIN")
        try:
            yield
            self._end("COMMIT")
        except BaseException:
            # A session that is gone has rolled back already.
            with suppress(DatabaseError):
                self._end("ROLLBACK")
            raise

    def _end(self, statement: str) -> None:
        """End the transaction; `cancel` leaves that alone."""
        with self._errors(statement):
            cursor = self._session.execute(statement)
            if statement == "COMMIT" and cursor.statusmessage == "ROLLBACK":
                raise StatementError("the transaction had failed and was rolled back")

    def table_exists(self, table: Sequence[str]) -> bool:
        """Whether a table or view of this name exists."""
        return bool(self._fetch("SELECT 1 WHERE to_regclass(%s) IS NOT NULL", (qualified(table),), 1))

    def _has_schema(self, name: str) -> bool:
        return bool(self._fetch("SELECT 1 WHERE to_regnamespace(%s) IS NOT NULL", (name,), 1))

    def kind_of(self, table: Sequence[str]) -> str | None:
        """`r` for a table, `v` for a view, as the catalogue says; None if there is no such thing."""
        query = "SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s)"
        rows = self._fetch(query, (qualified(table),), 1)
        return str(rows[0][0]) if rows else None

    def columns(self, table: Sequence[str]) -> list[tuple[str, str]]:
        """Name and type of each column, in order."""
        return [(column.name, column.type) for column in self.table_columns(table)]

    def table_columns(self, table: Sequence[str]) -> list[TableColumn]:
        """The columns with all that a load wants to know of them."""
        query = (
            "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
        rows = self._fetch(query, (qualified(table),), 100_000)
        return [TableColumn(str(row[0]), str(row[1]), bool(row[2])) for row in rows]

    def post_load_maintenance(self) -> None:
        """Nothing: loads and writes bring their own `ANALYZE`, and the server's autovacuum does the rest."""

    def is_transient(self, error: BaseException) -> bool:
        """A conflict, a lock that is held, a server that starts, stops, or is out of connections, or a lost network."""
        cause: BaseException | None = error
        while isinstance(cause, DatabaseError):
            if isinstance(cause, LostSessionError):
                return True  # in whatever words: those of TLS are of its library
            cause = cause.__cause__
        return isinstance(cause, psycopg.Error) and states.is_transient(cause)

    def diagnose(self) -> Diagnosis:
        """Look at the settings without opening a session."""
        return diagnose_settings(self.config, self._base)

    def diagnose_loads(self, loads: Sequence[BulkLoadStep], *, base: Path) -> list[Finding]:
        """Whether the server has the files of these loads, and the role may have it read them."""
        return examined(self, loads, base.resolve())

    def engine_version(self) -> str:
        """`PostgreSQL 18.6`."""
        return f"PostgreSQL {self._session.info.parameter_status('server_version')}"

    def cancel(self) -> None:
        """Ask the server to end the running statement; or end the waiting for a session."""
        self._cancelled.set()
        # Held until the server has the request, so that no later statement can be meant.
        with self._gate:
            connection = self._connection
            if connection is not None and self._interruptible:
                with suppress(psycopg.Error):  # what cannot be reached does not run either
                    connection.cancel_safe(timeout=CANCEL_TIMEOUT)

    @contextmanager
    def _running(self) -> Iterator[None]:
        with self._gate:
            self._interruptible = True
        try:
            yield
        finally:
            with self._gate:
                self._interruptible = False

    @property
    def _session(self) -> Driver:
        if self._connection is None:
            raise DatabaseConnectionError("the connection is not open")
        return self._connection

    @property
    def _label(self) -> str:
        return f"{self.config.dbname} on {self.config.host}:{self.config.port} as {self.config.user}"

    @contextmanager
    def _errors(self, statement: str, *, quoting: bool = True) -> Iterator[None]:
        """Turn the driver's errors into ours, in the server's words; without `quoting`, those that hold no value."""
        try:
            yield
        except psycopg.Error as error:
            words = states.told(error, quoting=quoting)
            if not quoting:
                error = type(error)(words)
            if self._connection is None or self._connection.closed:
                raise LostSessionError(f"the session with {self._label} was lost: {words}") from error
            raise StatementError(f"{words}\n  in: {_first_line(statement)}") from error

    def _fetch(self, query: str, values: Sequence[str | int], limit: int) -> list[Row]:
        with self._errors(query), self._running():
            cursor = self._session.execute(query, values or None)
            return cursor.fetchmany(limit) if cursor.description else []

    def _open(self) -> Driver:
        connection = psycopg.connect(**connection_parameters(self.config, self._base, self._name), autocommit=True)  # type: ignore[arg-type]  # libpq's names
        try:
            settings = session_settings(self.config)
            encoding = connection.info.parameter_status("server_encoding")
            if encoding != "UTF8":
                way_out = "make one with ENCODING 'UTF8' TEMPLATE template0"
                raise DatabaseConnectionError(f"the database {self.config.dbname} holds texts in {encoding}: {way_out}")
            asked = ", ".join(["set_config(%s, %s, false)"] * len(settings))
            connection.execute(f"SELECT {asked}", [word for pair in settings.items() for word in pair])
            with suppress(psycopg.errors.InvalidParameterValue):  # a server on Windows cannot look
                connection.execute(orphans.LOOK_FOR_CLIENT)
        except BaseException:
            connection.close()
            raise
        return connection


def _first_line(statement: str) -> str:
    return statement.strip().split("\n", 1)[0][:200]
