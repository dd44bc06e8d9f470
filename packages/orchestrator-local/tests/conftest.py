"""A real database for the orchestrator's tests: SQLite, which comes with Python."""

from __future__ import annotations

import csv
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pluggy
import pytest
from sqlglot import exp

from omopcloudetl.core import hookspecs
from omopcloudetl.core.compiler.run_tables import compile_run_tables
from omopcloudetl.core.connection import BaseConnection, ExecutionMetrics, LoadDone, LoadMetrics, RecordValue, Row
from omopcloudetl.core.errors import DatabaseConnectionError, LoadError, StatementError
from omopcloudetl.core.events import RunEvents
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.models.faults import OnFailure
from omopcloudetl.core.orchestrator import ExecutionContext
from omopcloudetl.core.plan import (
    BulkLoadStep,
    CompiledWorkflowPlan,
    Origin,
    Retry,
    RunTables,
    SqlStep,
    Statement,
    Timeout,
)
from omopcloudetl.core.runs import RunRecord, StepRecord
from omopcloudetl.orchestrator_local.orchestrator import LocalOrchestrator
from omopcloudetl.orchestrator_local.store import LocalRunStore

Function = Callable[..., int]
SCHEMAS = {"cdm": "main", "work": "main"}


class SqliteConnection(BaseConnection):
    """One session with an SQLite file; `functions` can be called from SQL."""

    def __init__(self, path: Path, functions: dict[str, Function], wait: float) -> None:
        self.path = path
        self.functions = functions
        self.wait = wait
        self.session: sqlite3.Connection | None = None

    def connect(self) -> None:
        """Open the file."""
        try:
            self.session = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=self.wait)
            self.session.execute("PRAGMA journal_mode=wal")
        except sqlite3.Error as error:
            raise DatabaseConnectionError(str(error)) from error
        for name, function in self.functions.items():
            self.session.create_function(name, -1, function)

    def close(self) -> None:
        """End the session."""
        if self.session is not None:
            self.session.close()

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run one statement."""
        start = time.perf_counter()
        count = self._run(sql).rowcount
        return ExecutionMetrics(time.perf_counter() - start, count if count >= 0 else None)

    def fetch(self, sql: str, *, limit: int = 10_000) -> list[Row]:
        """Run a query."""
        return self._run(sql).fetchmany(limit)

    def _run(self, sql: str, *values: str | None) -> sqlite3.Cursor:
        assert self.session is not None
        try:
            return self.session.execute(sql, values)
        except sqlite3.Error as error:
            raise StatementError(f"{error}\n  in: {sql}") from error

    def record(
        self,
        table: Sequence[str],
        columns: Sequence[str],
        rows: Sequence[Sequence[RecordValue]],
        *,
        replacing: Sequence[str] = (),
    ) -> None:
        """Insert rows of metadata."""
        keys = " AND ".join(f'"{name}" = ?' for name in replacing)
        for row in rows:
            values = [str(value) if value is not None else None for value in row]
            if replacing:
                self._run(f'DELETE FROM "{table[-1]}" WHERE {keys}', *(values[columns.index(n)] for n in replacing))
            self._run(f'INSERT INTO "{table[-1]}" ({", ".join(columns)}) VALUES ({",".join("?" * len(row))})', *values)

    def bulk_load(self, load: BulkLoadStep, *, base: Path, done: LoadDone | None = None) -> LoadMetrics:
        """Load a small file; only the tests may let rows pass through Python."""
        path = base / load.uri
        if not path.exists():
            raise LoadError(f"no file matches {load.uri}")
        header, *rows = csv.reader(path.read_text().splitlines())
        metrics = LoadMetrics(0.1, len(rows), 0, 1, path.stat().st_size)
        tell = done or (lambda _: None)
        with self.transaction():
            self._run(f"CREATE TABLE {load.table[-1]} ({', '.join(header)})")
            for row in rows:
                self._run(f"INSERT INTO {load.table[-1]} VALUES ({','.join('?' * len(row))})", *row)
            if load.transaction == "step":
                tell(metrics)
        if load.transaction == "none":
            tell(metrics)
        return metrics

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit or roll back."""
        self._run("BEGIN IMMEDIATE")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            self._run("ROLLBACK")
            raise

    def table_exists(self, table: Sequence[str]) -> bool:
        """Whether the table exists; SQLite's one schema stands for all."""
        query = "SELECT 1 FROM sqlite_schema WHERE name = ?"
        return self._run(query, table[-1]).fetchone() is not None

    def columns(self, table: Sequence[str]) -> list[tuple[str, str]]:
        """Names and types of the columns."""
        rows = self._run("SELECT name, type FROM pragma_table_info(?)", table[-1]).fetchall()
        return [(str(name), str(type_)) for name, type_ in rows]

    def post_load_maintenance(self) -> None:
        """Leave a trace that a test can see."""
        self._run("CREATE TABLE IF NOT EXISTS maintained (i)")

    def is_transient(self, error: BaseException) -> bool:
        """Another session has the lock."""
        return "database is locked" in str(error)

    def cancel(self) -> None:
        """Interrupt the running statement."""
        if self.session is not None:
            self.session.interrupt()


class SqliteGenerator(BaseSQLGenerator):
    """SQLite's SQL, as far as the tables of runs need it."""

    dialect = "sqlite"
    types = {"text": "TEXT", "bigint": "INTEGER", "datetime": "TEXT"}
    capabilities = {}

    def create_schema(self, schema: str) -> exp.Expr:
        """There is one schema, and it is there."""
        return exp.select(exp.Literal.string(schema))


def run_tables(workflow: str) -> RunTables:
    """The tables in which runs of a workflow note what is done."""
    return compile_run_tables(SqliteGenerator(), SCHEMAS, project="test", workflow=workflow)


class Listener:
    """Writes down the events of a run."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.inside = threading.Lock()

    def _hear(self, event: str, name: str) -> None:
        assert self.inside.acquire(blocking=False), "two events at once"
        time.sleep(0.001)
        self.heard.append((event, name))
        self.inside.release()

    @hookspecs.hookimpl
    def omopcloudetl_run_started(self, plan: CompiledWorkflowPlan) -> None:
        """A run begins."""
        self._hear("run_started", plan.name)

    @hookspecs.hookimpl
    def omopcloudetl_step_started(self, record: StepRecord) -> None:
        """A step begins."""
        self._hear(record.state, record.name)

    @hookspecs.hookimpl
    def omopcloudetl_step_finished(self, record: StepRecord) -> None:
        """A step is over."""
        self._hear(record.state, record.name)

    @hookspecs.hookimpl
    def omopcloudetl_run_finished(self, run: RunRecord) -> None:
        """A run is over."""
        self._hear("run_finished", run.state)


@dataclass
class Lab:
    """A folder with a database, and an orchestrator over it."""

    base: Path
    functions: dict[str, Function] = field(default_factory=dict)
    opened: list[SqliteConnection] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(hookspecs.PROJECT_NAME))
    wait: float = 20.0

    @property
    def state(self) -> Path:
        """Where records are kept."""
        return self.base / "state"

    def connect(self) -> SqliteConnection:
        """Make a connection that is not open yet."""
        self.opened.append(SqliteConnection(self.base / "test.db", self.functions, self.wait))
        return self.opened[-1]

    def run(
        self,
        steps: Sequence[SqlStep | BulkLoadStep],
        *,
        concurrency: int = 1,
        ledger: str | None = None,
        counted: dict[str, str] | None = None,
        target: str = "dev",
        dry_run: bool = False,
        resume: bool = False,
        retry: Retry | None = None,
        on_failure: OnFailure = "continue",
        workflow: str | None = "nightly",
    ) -> RunRecord:
        """Run a plan of these steps; without a workflow, nothing of it is noted in the database."""
        context = ExecutionContext(
            target=target,
            connect=self.connect,
            base=self.base,
            state=self.state,
            events=RunEvents(self.manager),
        )
        plan = CompiledWorkflowPlan(
            name="test",
            cdm_version="5.4",
            provider="sqlite",
            dialect="sqlite",
            concurrency=concurrency,
            retry=retry,
            on_failure=on_failure,
            schemas=SCHEMAS,
            steps=tuple(steps),
            ledger=ledger,
            counted_tables=counted or {},
            run_tables=None if workflow is None else run_tables(workflow),
        ).sealed()
        return LocalOrchestrator(context).execute_plan(plan, dry_run=dry_run, resume=resume)

    def runs(self) -> list[RunRecord]:
        """The records that are kept, the newest first."""
        with LocalRunStore(self.state) as store:
            return store.list_runs()

    def query(self, sql: str) -> list[Row]:
        """Look into the database."""
        with SqliteConnection(self.base / "test.db", self.functions, 20) as connection:
            return connection.fetch(sql)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """An empty database and an orchestrator with no listeners."""
    made = Lab(tmp_path)
    made.manager.add_hookspecs(hookspecs)
    return made


@pytest.fixture
def listener(lab: Lab) -> Listener:
    """A listener that is registered."""
    listener = Listener()
    lab.manager.register(listener)
    return listener


@pytest.fixture
def step() -> Callable[..., SqlStep]:
    """Makes a step of some statements; one that starts with `CHECK:` is a check."""

    def make(
        name: str,
        *statements: str,
        after: Sequence[str] = (),
        writes: Sequence[str] = (),
        transaction: str = "step",
        fingerprint: str | None = None,
        timeout: float | None = None,
        **more: object,
    ) -> SqlStep:
        return SqlStep.model_validate(
            {
                "name": name,
                "summary": name,
                "origin": Origin(file="workflow.yaml", line=1),
                "depends_on": after,
                "writes": writes,
                "transaction": transaction,
                "timeout": timeout and Timeout(seconds=timeout, origin=Origin(file="workflow.yaml", line=7)),
                **more,
                "fingerprint": name if fingerprint is None else fingerprint,
                "statements": [
                    Statement(
                        sql=sql.removeprefix("CHECK:"),
                        purpose="test",
                        check="rows are wrong" if sql.startswith("CHECK:") else None,
                    )
                    for sql in statements
                ],
            }
        )

    return make
