"""Sessions with a server through Spark Connect; the only module that imports its client."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from omopcloudetl.provider_spark.commits import Commit
from omopcloudetl.provider_spark.config import SparkConfig, address
from omopcloudetl.provider_spark.programs import with_a_file

with with_a_file():
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.client.retries import DefaultPolicy, RetryPolicy
    from pyspark.sql.connect.session import SparkSession as ConnectSession

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class RemoteDriver:
    """Spark Connect."""

    errors = (PySparkException,)

    def __init__(self, config: SparkConfig) -> None:
        self._config = config

    def open(self) -> SparkSession:
        """A session of its own, set by the first call to the server."""
        session = ConnectSession.builder.remote(address(self._config)).create()
        session.client.set_retry_policies([RetryPolicy()])  # none: whoever opens sessions tries again
        session.conf.set("spark.sql.session.timeZone", "UTC")
        # A stream that breaks is taken up again where it was.
        session.client.set_retry_policies([DefaultPolicy(max_retries=3, max_backoff=2000)])
        return cast("SparkSession", session)  # it has the same methods, and another class

    def close(self, session: SparkSession) -> None:
        """One with an id of its own in the address is left to others that use it."""
        if "session_id=" in str(self._config.remote):
            session.client.close()
        else:
            session.stop()

    def mark(self, session: SparkSession, tag: str) -> None:
        """Tags are those of a thread and a session."""
        session.addTag(tag)

    def last_commit(self, session: SparkSession, table: str) -> Commit | None:
        """Nobody can tell: some servers count rows themselves."""
        return None

    def application(self, session: SparkSession) -> str:
        """No commit is looked at."""
        return ""

    def cancel(self, session: SparkSession, tag: str) -> None:
        """By the tag."""
        session.interruptTag(tag)
