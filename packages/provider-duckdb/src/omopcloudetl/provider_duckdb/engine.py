"""Opens DuckDB databases and runs statements; the only module that imports the driver."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from omopcloudetl.core.connecting import patiently
from omopcloudetl.core.connection import BaseConnection, ExecutionMetrics, LoadDone, LoadMetrics, RecordValue, Row
from omopcloudetl.core.errors import DatabaseConnectionError, DatabaseError, LoadError, StatementError
from omopcloudetl.core.findings import Diagnosis, Finding
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_duckdb import recording, remote
from omopcloudetl.provider_duckdb.attached import attachment, is_lost, refused
from omopcloudetl.provider_duckdb.config import MEMORY, DuckDBConfig, EngineSettings, engine_settings
from omopcloudetl.provider_duckdb.file_guard import FileGuard
from omopcloudetl.provider_duckdb.health import diagnose_file
from omopcloudetl.provider_duckdb.load import load_files
from omopcloudetl.provider_duckdb.new_file import make_file
from omopcloudetl.provider_duckdb.sql import TableColumn, literal, qualified
from omopcloudetl.provider_duckdb.ways_out import SurroundingsError, is_damage, told_with_way_out

LOCKED = re.compile(r"Could not set lock on file")
LOCK_HOLDER = re.compile(r"\(PID (\d+)\)")
CONFLICT = re.compile(r"[Cc]onflict")
# Statements whose result is the number of rows they changed.
COUNTING = {
    duckdb.StatementType.INSERT,
    duckdb.StatementType.UPDATE,
    duckdb.StatementType.DELETE,
    duckdb.StatementType.MERGE_INTO,
    duckdb.StatementType.COPY,
    duckdb.StatementType.CREATE,
}
NAME = "omop cloud etl"  # a space, so that no schema is named like it by accident
DATABASE = f'"{NAME}"'
ENGINE_VERSION = f"v{duckdb.__version__}"
REMOTE_VIEWS = "SELECT 1 FROM duckdb_views() WHERE sql LIKE '%read_parquet(%://%' LIMIT 1"
MAIN = "main"
"""The schema of a session."""
OPENING = threading.Lock()


class DuckDBConnection(BaseConnection):
    """A session with a database file; all sessions of a process on one file share its engine."""

    def __init__(self, config: DuckDBConfig, base: Path) -> None:
        self._config = config
        self._base = base
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._guard: FileGuard | None = None
        self._reads_remote = False
        self._cancelled = threading.Event()
        self._ending = threading.Lock()

    def connect(self) -> None:
        """Open the file, or make it; waits a moment while another process holds it."""
        if self._connection is not None:
            return
        self._cancelled.clear()
        retrying = patiently(self.is_transient, self._cancelled, longest=1)
        try:
            self._connection = retrying(self._open)
            try:
                retrying(self._reach_out)
            except BaseException:
                self.close()
                raise
        except duckdb.Error as error:
            raise _connection_error(error, self._config.path, self._file) from error
        except OSError as error:
            raise DatabaseConnectionError(f"cannot open {self._config.path}: {error.strerror}") from error

    def share(self, sessions: int) -> None:
        """The session's own thread works for its statements, too: so many fewer of the engine's are needed.

        With two sessions on two processors a run took 35 s in place of 37, and 52 s of processor time in place of 61:
        threads that are more than the processors wait for each other.
        """
        with self._errors("SET external_threads"):
            ((threads,),) = self._session.execute("SELECT current_setting('threads')").fetchall()
            self._session.execute(f"SET external_threads = {min(sessions, int(threads))}")

    def close(self) -> None:
        """End the session; what was not committed is lost."""
        if self._connection is not None:
            self._connection.close()
            self._connection = self._guard = None
            self._reads_remote = False

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run one statement; the rows it changed are counted by the engine."""
        start = time.perf_counter()
        with self._errors(sql):
            statements = self._session.extract_statements(sql)
            if len(statements) != 1:
                words = f"one statement was expected, {len(statements)} were found"
                raise StatementError(f"{words}\n  in: {_first_line(sql)}")
            result = self._session.execute(statements[0])
            names = [column[0] for column in result.description or []]
            counts = statements[0].type in COUNTING and names == ["Count"]
            row = result.fetchone() if counts else None
        return ExecutionMetrics(time.perf_counter() - start, int(row[0]) if row else None)

    def fetch(self, sql: str, *, limit: int = 10_000) -> list[Row]:
        """Run a query and return its first `limit` rows."""
        return self._fetch(sql, limit)

    def record(
        self,
        table: Sequence[str],
        columns: Sequence[str],
        rows: Sequence[Sequence[RecordValue]],
        *,
        replacing: Sequence[str] = (),
    ) -> None:
        """Insert rows of metadata; the text of an error does not quote their values."""
        if replacing:
            self._send(recording.delete_statement(table, columns, rows, replacing))
        self._send(recording.insert_statement(table, columns, rows))

    def _send(self, sql: str) -> None:
        about = sql.partition(")")[0]
        with self._errors(about):
            try:
                self._session.execute(sql)
            except duckdb.Error as error:
                raise type(error)(recording.without_values(str(error))) from None

    def bulk_load(self, load: BulkLoadStep, *, base: Path, done: LoadDone | None = None) -> LoadMetrics:
        """Load files with `read_csv` or `read_parquet`; no row passes through Python."""
        self._cancelled.clear()
        return load_files(self, load, base, done)

    def refuse_if_cancelled(self) -> None:
        """Raise `StatementError` if `cancel` was called since the load began."""
        if self._cancelled.is_set():
            raise StatementError("the load was interrupted")

    def allow_remote(self, uri: str) -> None:
        """Load the engine's extension and hand it the target's settings, when the first remote file is asked for."""
        remote.refuse_uri(uri, self._config)
        self._prepare_remote()

    def _prepare_remote(self) -> None:
        if self._reads_remote:
            return
        with OPENING:  # sessions on one file share the engine
            try:
                for statement in remote.preparation(self._config, self._base, ENGINE_VERSION):
                    self.execute(statement)
            except StatementError as error:
                # The engine may quote the statement, and that holds credentials.
                about = str(error).partition("\n")[0] if "SECRET" not in str(error) else "it refuses the S3 settings"
                raise LoadError(f"the engine cannot read remote files: {about}") from None
        self._reads_remote = True

    def temp_folder(self) -> Path | None:
        """The target's folder for what does not fit; None if it names none."""
        named = self._config.temp_directory
        return None if named is None else self._base / named

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end of the block; roll back if it, or the commit itself, fails."""
        self.execute("BEGIN TRANSACTION")
        try:
            yield
            self._end("COMMIT")
            self._refuse_change()
        except BaseException:
            # An engine that could not commit has rolled back already.
            with suppress(DatabaseError):
                self._end("ROLLBACK")
            raise

    def _end(self, sql: str) -> None:
        """End the transaction, and be left alone with it.

        DuckDB commits to the end when it is interrupted, but then says that it was interrupted; and a rollback that is
        interrupted leaves the transaction open.
        """
        with self._ending, self._errors(sql):
            self._opened.execute(sql)

    def table_exists(self, table: Sequence[str]) -> bool:
        """Whether a table or view of this name exists; case does not matter, as in DuckDB."""
        with suppress(StatementError):
            self._fetch(f"SELECT 1 FROM {_named(table)} LIMIT 0", 1)
            return True
        return self._is_view(table)  # of tables that are gone

    def is_view(self, table: Sequence[str]) -> bool | None:
        """Whether a name is that of a view; None if there is no such table or view."""
        return self._is_view(table) or (False if self.table_exists(table) else None)

    def _is_view(self, table: Sequence[str]) -> bool:
        *catalog, schema, name = table if len(table) > 1 else (MAIN, *table)
        database = f"lower({literal(catalog[0])})" if catalog else "current_database()"
        query = (
            f"SELECT 1 FROM duckdb_views() WHERE lower(database_name) = {database}"
            f" AND lower(schema_name) = lower({literal(schema)}) AND lower(view_name) = lower({literal(name)})"
        )
        return bool(self._fetch(query, 1))

    def columns(self, table: Sequence[str]) -> list[tuple[str, str]]:
        """Name and type of each column, in order."""
        return [(column.name, column.type) for column in self.table_columns(table)]

    def table_columns(self, table: Sequence[str]) -> list[TableColumn]:
        """The columns with all that a load wants to know of them."""
        # Of this table alone: `information_schema` looks at all tables, in 6 ms where this takes less than 1.
        try:
            rows = self._fetch(f"DESCRIBE {_named(table)}", 100_000)
        except StatementError as error:
            if isinstance(error.__cause__, duckdb.CatalogException):
                return []
            raise
        return [TableColumn(str(name), str(type_), null == "NO") for name, type_, null, *_ in rows]

    def post_load_maintenance(self) -> None:
        """Move the write-ahead log into the file; put off while other sessions write.

        Statistics need nothing: DuckDB keeps them up to date as rows come in.
        """
        try:
            self.execute("CHECKPOINT")
        except StatementError as error:
            if not isinstance(error.__cause__, duckdb.TransactionException):
                raise
        self._refuse_change()

    def is_transient(self, error: BaseException) -> bool:
        """A lock of the file, a conflict with another transaction, or a server that is away or out of breath."""
        cause: BaseException | None = error
        while isinstance(cause, DatabaseError):
            cause = cause.__cause__
        if isinstance(cause, duckdb.TransactionException):
            return CONFLICT.search(str(cause)) is not None
        if not isinstance(cause, duckdb.IOException):
            return False
        words = str(cause)
        return LOCKED.search(words) is not None or remote.is_transient_status(words) or is_lost(words)

    def diagnose(self) -> Diagnosis:
        """Look at the database file without opening it."""
        if self._config.path == MEMORY:
            return Diagnosis((Finding("database", "warning", "in memory: nothing is kept after a run"),))
        return diagnose_file(self._file, self._config.path)

    def engine_version(self) -> str:
        """`DuckDB 1.5.5`."""
        return f"DuckDB {duckdb.__version__}"

    def cancel(self) -> None:
        """Interrupt the running statement, or the waiting for a lock; called from another thread."""
        self._cancelled.set()
        connection = self._connection
        # The end of a transaction goes on to its end.
        if connection is not None and self._ending.acquire(blocking=False):
            try:
                with suppress(duckdb.ConnectionException):  # it was closed in this moment
                    connection.interrupt()
            finally:
                self._ending.release()

    @property
    def _session(self) -> duckdb.DuckDBPyConnection:
        self._refuse_change()
        return self._opened

    @property
    def _opened(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise DatabaseConnectionError("the connection is not open")
        return self._connection

    def _refuse_change(self) -> None:
        if self._guard is not None:
            self._guard.refuse_change()

    @contextmanager
    def _errors(self, sql: str) -> Iterator[None]:
        """Turn the driver's errors into ours, in the engine's words and with a way out."""
        try:
            yield
        except duckdb.Error as error:
            told = told_with_way_out(str(error), str(self._file))
            if told is not None and is_damage(told, str(self._file)):
                raise DatabaseConnectionError(f"{told}\n  in: {_first_line(sql)}") from error
            if told is not None:
                raise SurroundingsError(told, _first_line(sql)) from error
            raise StatementError(f"{error}\n  in: {_first_line(sql)}") from error

    def _fetch(self, sql: str, limit: int) -> list[Row]:
        with self._errors(sql):
            return self._session.execute(sql).fetchmany(limit)

    @property
    def _file(self) -> Path:
        return (self._base / self._config.path).resolve()

    def _reach_out(self) -> None:
        """Get ready to read what is elsewhere: an attached database, and files on S3 that views are made of."""
        try:
            if self._opened.execute(REMOTE_VIEWS).fetchone():
                self._prepare_remote()
        except LoadError as error:
            raise DatabaseConnectionError(str(error)) from None
        try:
            with OPENING:
                for statement in attachment(self._config, self._base, ENGINE_VERSION):
                    self._opened.execute(statement)
        except duckdb.Error as error:
            words = str(error)
            # What may pass is said by its cause, which is of the server; others may quote the statement.
            raise DatabaseConnectionError(refused(self._config, words)) from (error if is_lost(words) else None)

    def _open(self) -> duckdb.DuckDBPyConnection:
        settings = engine_settings(self._config, self._base)
        if self._config.path == MEMORY:
            return duckdb.connect(_instance_name(self._base.resolve()), config=settings)
        connection, self._guard = _open_file(self._file, settings)
        return connection


def _open_file(path: Path, settings: EngineSettings) -> tuple[duckdb.DuckDBPyConnection, FileGuard]:
    if not path.parent.is_dir():
        raise DatabaseConnectionError(f"cannot make {path}: the folder {path.parent} does not exist")
    settings.setdefault("temp_directory", f"{path}.tmp")
    # Under a name of its own: DuckDB would name the database after the file, and a file `cdm.duckdb`
    # makes every `cdm.person` ambiguous.
    with OPENING:
        connection = duckdb.connect(_instance_name(path), config=settings)
        try:
            if not path.exists():
                make_file(connection.execute, path)
            connection.execute(f"ATTACH IF NOT EXISTS {literal(str(path))} AS {DATABASE} (TYPE duckdb)")
            connection.execute(f"USE {DATABASE}")
            return connection, FileGuard(path)
        except BaseException:
            connection.close()
            raise


def _connection_error(error: duckdb.Error, label: str, file: Path) -> DatabaseConnectionError:
    words = str(error)
    if not LOCKED.search(words):
        return DatabaseConnectionError(f"cannot open {label}: {told_with_way_out(words, str(file)) or words}")
    holder = LOCK_HOLDER.search(words)
    who = f"another process (PID {holder[1]})" if holder else "another process"
    return DatabaseConnectionError(f"cannot open {file}: {who} has it open; DuckDB lets one process at a time write")


def _instance_name(path: Path) -> str:
    """One engine for all sessions on one file, or on one project's database in memory."""
    return f"{MEMORY}{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"


def _named(table: Sequence[str]) -> str:
    """The quoted name of a table; one without a schema is in that of the session."""
    return qualified(table if len(table) > 1 else (MAIN, *table))


def _first_line(sql: str) -> str:
    return sql.strip().split("\n", 1)[0][:200]
