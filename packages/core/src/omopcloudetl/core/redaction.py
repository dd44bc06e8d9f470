"""Keeps secrets out of errors: a connection whose errors never hold what its settings were made from."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from omopcloudetl.core.connection import (
    BaseConnection,
    ExecutionMetrics,
    LoadDone,
    LoadMetrics,
    RecordValue,
    Row,
    RunSession,
)
from omopcloudetl.core.errors import DatabaseError
from omopcloudetl.core.findings import Diagnosis, Finding
from omopcloudetl.core.known_secrets import hidden, spellings
from omopcloudetl.core.plan import BulkLoadStep


@contextmanager
def redacted(secrets: Iterable[str]) -> Iterator[None]:
    """Replace secrets in the text of every error that leaves the block, and of what caused it."""
    try:
        yield
    except Exception as error:
        spelt = spellings(secrets)
        _hide_in_chain(error, spelt)
        if (text := hidden(str(error), spelt)) != str(error):  # its text is not made of its arguments
            raise DatabaseError(f"{type(error).__name__}: {text}") from None
        raise


def _hide_in_chain(error: BaseException, spelt: Sequence[str]) -> None:
    """A traceback shows causes too; their kinds are kept, because they tell what may be tried again."""
    seen: set[int] = set()
    chain: list[BaseException] = [error]
    while chain:
        current = chain.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        _hide(current, spelt)
        for name in ("__cause__", "__context__"):
            other: BaseException | None = getattr(current, name)
            if other is None:
                continue
            _hide(other, spelt)
            if hidden(str(other), spelt) != str(other):
                setattr(current, name, None)
            else:
                chain.append(other)


def _hide(error: BaseException, spelt: Sequence[str]) -> None:
    error.args = tuple(hidden(value, spelt) if isinstance(value, str) else value for value in error.args)
    if isinstance(error, OSError):
        for name in ("filename", "filename2", "strerror"):
            if isinstance(value := getattr(error, name), str | bytes):
                setattr(error, name, hidden(os.fsdecode(value), spelt))


class RedactedConnection(BaseConnection):
    """Another connection, with secrets taken out of its errors.

    A provider quotes the engine's words, and the engine quotes paths, users and addresses; no provider
    has to know which of them was a secret.
    """

    def __init__(self, inner: BaseConnection, secrets: Iterable[str]) -> None:
        self.inner = inner
        self._secrets = frozenset(secrets)

    def connect(self) -> None:
        """Open the session."""
        with redacted(self._secrets):
            self.inner.connect()

    def share(self, sessions: int) -> None:
        """Be one of several sessions."""
        with redacted(self._secrets):
            self.inner.share(sessions)

    def work_for(self, run: str) -> None:
        """Be a session of a run."""
        self.inner.work_for(run)

    def run_sessions(self) -> list[RunSession]:
        """Sessions of other runs, without secrets."""
        spelt = spellings(self._secrets)
        with redacted(self._secrets):
            return [replace(one, label=hidden(one.label, spelt)) for one in self.inner.run_sessions()]

    def end_sessions(self, runs: Collection[str]) -> None:
        """End the sessions of dead runs."""
        with redacted(self._secrets):
            self.inner.end_sessions(runs)

    def close(self) -> None:
        """End the session."""
        with redacted(self._secrets):
            self.inner.close()

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run one statement."""
        with redacted(self._secrets):
            return self.inner.execute(sql)

    def fetch(self, sql: str, *, limit: int = 10_000) -> list[Row]:
        """Run a query."""
        with redacted(self._secrets):
            return self.inner.fetch(sql, limit=limit)

    def record(
        self,
        table: Sequence[str],
        columns: Sequence[str],
        rows: Sequence[Sequence[RecordValue]],
        *,
        replacing: Sequence[str] = (),
    ) -> None:
        """Insert rows of metadata."""
        with redacted(self._secrets):
            self.inner.record(table, columns, rows, replacing=replacing)

    def bulk_load(self, load: BulkLoadStep, *, base: Path, done: LoadDone | None = None) -> LoadMetrics:
        """Load files."""
        with redacted(self._secrets):
            return self.inner.bulk_load(load, base=base, done=done)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end of the block, roll back if it raises."""
        with redacted(self._secrets), self.inner.transaction():
            yield

    def table_exists(self, table: Sequence[str]) -> bool:
        """Whether there is such a table."""
        with redacted(self._secrets):
            return self.inner.table_exists(table)

    def columns(self, table: Sequence[str]) -> list[tuple[str, str]]:
        """Names and types of a table's columns."""
        with redacted(self._secrets):
            return self.inner.columns(table)

    def post_load_maintenance(self) -> None:
        """What the engine wants after many writes."""
        with redacted(self._secrets):
            self.inner.post_load_maintenance()

    def is_transient(self, error: BaseException) -> bool:
        """Whether trying again could succeed."""
        return self.inner.is_transient(error)

    def cancel(self) -> None:
        """Interrupt what runs."""
        self.inner.cancel()

    def diagnose(self) -> Diagnosis:
        """What the connection says of itself, without secrets."""
        with redacted(self._secrets):
            found = self.inner.diagnose()
        return replace(found, findings=tuple(self._hidden(found.findings)))

    def diagnose_loads(self, loads: Sequence[BulkLoadStep], *, base: Path) -> list[Finding]:
        """What the server says of the files of loads, without secrets."""
        with redacted(self._secrets):
            return self._hidden(self.inner.diagnose_loads(loads, base=base))

    def _hidden(self, findings: Iterable[Finding]) -> list[Finding]:
        spelt = spellings(self._secrets)
        return [
            replace(one, found=hidden(one.found, spelt), help=hidden(one.help, spelt) if one.help else None)
            for one in findings
        ]

    def engine_version(self) -> str:
        """Name and version of the engine, without secrets."""
        with redacted(self._secrets):
            return hidden(self.inner.engine_version(), spellings(self._secrets))
