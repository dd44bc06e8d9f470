"""The contract of a database connection, and the metrics every statement returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from omopcloudetl.core.findings import Diagnosis, Finding
from omopcloudetl.core.plan import BulkLoadStep


@dataclass(frozen=True)
class ExecutionMetrics:
    """What one statement did."""

    seconds: float
    rows_affected: int | None = None
    """Rows inserted, updated or deleted, as the engine reports them; None where it reports none."""


@dataclass(frozen=True)
class LoadMetrics:
    """What one bulk load did."""

    seconds: float
    rows_loaded: int
    rows_rejected: int
    files: int
    bytes_read: int | None
    """Size of the files as stored, in bytes; None where the engine does not tell."""
    files_digest: str | None = None
    """The same as long as the files' names, sizes and times are; None where the engine does not tell."""


@dataclass(frozen=True)
class RunSession:
    """A session of a run that a server still has."""

    run: str
    """The id of the run."""
    label: str
    """Which one it is, for people who would end it: the server's number of it, where it came from, since when."""


LoadDone = Callable[[LoadMetrics], None]
"""Called with what a load did while its transaction is open: what it writes is kept with the rows or not at all."""
Row = tuple[object, ...]
RecordValue = str | int | datetime | None
"""A value that `record` writes; a time is in UTC and without a zone."""


class BaseConnection(ABC):
    """One session with a database. It is used by one thread at a time.

    A provider implements every method; `DatabaseError` and its kinds are the only errors that leave it.
    Instructions pass through it, never bulk data: `fetch` is for metadata, checks and ledgers.
    """

    @abstractmethod
    def connect(self) -> None:
        """Open the session, retrying what is transient; raises `DatabaseConnectionError`."""

    def share(self, sessions: int) -> None:
        """Be one of so many sessions of this process that work at the same time; called once, when it is open.

        An engine within the process divides its threads among them. Others have nothing to do.
        """
        return

    def work_for(self, run: str) -> None:  # noqa: B027  # an embedded engine ends with the process of its run
        """Be a session of the run of this id, by which other processes find it; called before it is opened.

        All sessions of a run are of one process.
        """

    def run_sessions(self) -> list[RunSession]:
        """The sessions of other runs that the database still has.

        None where they end with their process, and where a server does not list them: whoever knows that a run is dead
        hands its id to `end_sessions` without having seen a session.
        """
        return []

    def end_sessions(self, runs: Collection[str]) -> None:  # noqa: B027  # as above
        """End the sessions of these runs, whose processes are dead, and wait until what they did is over.

        A server may go on with a statement whose result nobody waits for; after this, none of theirs changes anything.
        A run that has no session left is no error. Raises `DatabaseError` if one does not end.
        """

    @abstractmethod
    def close(self) -> None:
        """End the session; closing twice is no error."""

    @abstractmethod
    def execute(self, sql: str) -> ExecutionMetrics:
        """Run one statement; raises `StatementError` with the engine's own words."""

    @abstractmethod
    def fetch(self, sql: str, *, limit: int = 10_000) -> list[Row]:
        """Run a query and return its first `limit` rows."""

    @abstractmethod
    def record(
        self,
        table: Sequence[str],
        columns: Sequence[str],
        rows: Sequence[Sequence[RecordValue]],
        *,
        replacing: Sequence[str] = (),
    ) -> None:
        """Insert rows of metadata, their values as parameters or literals, which no error may quote.

        It is part of the transaction that is open, if one is. With `replacing`, rows of the table that equal one of
        these in those columns, which are of text, are deleted first; call it in a transaction then. For a few rows, or
        some thousands; sessions that insert into one table at the same time must not disturb each other.
        """

    @abstractmethod
    def bulk_load(self, load: BulkLoadStep, *, base: Path, done: LoadDone | None = None) -> LoadMetrics:
        """Let the database load files into a table; relative paths are below `base`; raises `LoadError`.

        The load is one transaction: the table then holds exactly the files' rows, or what it held before. `done` is
        called once, at the end of that transaction; where the engine has none, after the load.
        """

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Commit at the end of the block, roll back if it raises."""

    @abstractmethod
    def table_exists(self, table: Sequence[str]) -> bool:
        """Whether a table of this physical name exists."""

    @abstractmethod
    def columns(self, table: Sequence[str]) -> list[tuple[str, str]]:
        """Name and type of each column of a table, in order; empty when there is no such table."""

    @abstractmethod
    def post_load_maintenance(self) -> None:
        """What the engine wants after many writes: statistics, checkpoints."""

    @abstractmethod
    def is_transient(self, error: BaseException) -> bool:
        """Whether trying again, with nothing changed, could succeed."""

    def cancel(self) -> None:  # noqa: B027  # an engine may have no way to do it
        """Ask what runs to stop: a statement, a load, the wait for a connection.

        Unlike the rest, another thread may call this, again and again. A commit or a rollback is let go on to its end,
        so that what is reported of it is true; and what begins later is not affected.
        """

    def diagnose(self) -> Diagnosis:
        """Look at what a session will need, before it is opened, and leave nothing behind; for `doctor`."""
        return Diagnosis()

    def diagnose_loads(self, loads: Sequence[BulkLoadStep], *, base: Path) -> list[Finding]:
        """Ask the server for the files of these loads, of an open session; where `diagnose` says that it reads them."""
        return []

    def engine_version(self) -> str:
        """Name and version of the engine, of an open session; for people to read."""
        return ""

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
