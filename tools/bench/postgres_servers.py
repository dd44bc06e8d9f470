"""Starts a PostgreSQL server for a benchmark, by the means of the provider's tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omopcloudetl.provider_postgres.config import PostgresConfig, session_settings
from tools.bench.measure import ROOT

TESTS = ROOT / "packages/provider-postgres/tests"


@dataclass(frozen=True)
class Server:
    """A running server, as a benchmark uses it."""

    own: Any
    """That of the tests' module, which is not installed."""

    @property
    def port(self) -> int:
        """Where it listens on this machine."""
        return int(self.own.port)

    @property
    def password(self) -> str:
        """Of its superuser."""
        return str(self.own.password)

    @property
    def files(self) -> Path:
        """A folder that it can read."""
        return Path(self.own.files)

    @property
    def settings(self) -> dict[str, Any]:
        """What psycopg needs but the database."""
        return dict(self.own.settings)

    def config(self, database: str) -> PostgresConfig:
        """The same for the provider."""
        return PostgresConfig.model_validate(self.settings | {"dbname": database})

    def session_settings(self) -> Mapping[str, str]:
        """What the provider sets in each session."""
        return session_settings(self.config("x"))

    def empty(self, database: str) -> None:
        """Make the database anew."""
        with self.own.admin() as session:
            session.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
            session.execute(f'CREATE DATABASE "{database}"')


@contextmanager
def own_server() -> Iterator[Server]:
    """The newest server that is there, which writes to disk as one in use does."""
    sys.path.insert(0, str(TESTS))
    try:
        import postgres_server  # type: ignore[import-not-found]  # of the tests
    finally:
        sys.path.remove(str(TESTS))
    version = max(version for version in postgres_server.VERSIONS if postgres_server.binaries(version))
    running = postgres_server.start(version, options=("-c", "shared_buffers=1GB", "-c", "max_wal_size=8GB"))
    try:
        yield Server(running)
    finally:
        postgres_server.stop(running)
