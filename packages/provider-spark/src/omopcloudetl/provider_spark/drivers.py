"""What a connection needs of a driver, and which of the two there are: Spark Connect, or a session of this process."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

from omopcloudetl.core.errors import DatabaseConnectionError
from omopcloudetl.provider_spark.commits import Commit
from omopcloudetl.provider_spark.config import SparkConfig
from omopcloudetl.provider_spark.orphans import Pause

if TYPE_CHECKING:
    from pathlib import Path

    # Of this type are the sessions of both.
    from pyspark.sql import SparkSession as SparkSession


class Driver(Protocol):
    """Opens sessions, ends them, and ends what they run."""

    @property
    def errors(self) -> Sequence[type[Exception]]:
        """The kinds of errors that it raises."""
        ...

    def work_for(self, run: str) -> None:
        """Open sessions of a run from now on, by which another process can end what this one has left."""
        ...

    def open(self) -> SparkSession:
        """A new session."""
        ...

    def close(self, session: SparkSession) -> None:
        """End a session."""
        ...

    def mark(self, session: SparkSession, tag: str) -> None:
        """Give what this thread runs in the session from now on a tag."""
        ...

    def last_commit(self, session: SparkSession, table: str) -> Commit | None:
        """The last commit of a table; None where there is no such table, or the driver cannot tell."""
        ...

    def application(self, session: SparkSession) -> str:
        """What commits of the session's application are marked with."""
        ...

    def cancel(self, session: SparkSession, tag: str) -> None:
        """End what runs under a tag."""
        ...

    def end(self, runs: Collection[str], pause: Pause) -> None:
        """End the sessions of runs whose processes are dead, and wait until nothing of them runs."""
        ...


def driver_for(config: SparkConfig, base: Path) -> Driver:
    """The driver that the settings ask for; raises `DatabaseConnectionError` where it is not installed."""
    extra = "connect" if config.remote is not None else "local"
    try:
        if config.remote is not None:
            from omopcloudetl.provider_spark.remote import RemoteDriver

            return RemoteDriver(config)
        from omopcloudetl.provider_spark.local import LocalDriver

        return LocalDriver(config, base)
    except ModuleNotFoundError as error:
        told = f"{'remote' if extra == 'connect' else 'master'}: needs a driver that is not installed ({error.name})"
        advice = (
            f"install omopcloudetl-provider-spark[{extra}], and not its other extra: both bring the package pyspark"
        )
        raise DatabaseConnectionError(f"{told}; {advice}") from error
