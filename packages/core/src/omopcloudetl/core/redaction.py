"""Keeps secrets out of errors: a connection whose errors never hold what its settings were made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from omopcloudetl.core.connection import BaseConnection, ExecutionMetrics, LoadMetrics, Row
from omopcloudetl.core.errors import OmopCloudEtlError
from omopcloudetl.core.plan import BulkLoadStep

HIDDEN = "***"


@contextmanager
def redacted(secrets: Iterable[str]) -> Iterator[None]:
    """Replace secrets in the text of every error of ours that leaves the block."""
    try:
        yield
    except OmopCloudEtlError as error:
        text = str(error)
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        error.args = (text,)
        raise


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

    def bulk_load(self, load: BulkLoadStep, *, base: Path) -> LoadMetrics:
        """Load files."""
        with redacted(self._secrets):
            return self.inner.bulk_load(load, base=base)

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
