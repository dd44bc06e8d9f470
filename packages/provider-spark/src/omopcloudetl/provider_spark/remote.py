"""Sessions with a server through Spark Connect; the only module that imports its client."""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, cast

from omopcloudetl.core.errors import StatementError
from omopcloudetl.provider_spark import orphans, states
from omopcloudetl.provider_spark.commits import Commit
from omopcloudetl.provider_spark.config import SparkConfig, address
from omopcloudetl.provider_spark.programs import with_a_file

with with_a_file():
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.client import SparkConnectClient
    from pyspark.sql.connect.client.retries import DefaultPolicy, RetryPolicy
    from pyspark.sql.connect.session import SparkSession as ConnectSession

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class RemoteDriver:
    """Spark Connect."""

    errors = (PySparkException,)

    def __init__(self, config: SparkConfig) -> None:
        self._config = config
        self._is_of_others = "session_id=" in str(config.remote)
        """Whether the session has an id of its own in the address, and is left to others that use it."""
        self._run: str | None = None
        self._number: int | None = None

    def work_for(self, run: str) -> None:
        """Have sessions of ids that another process can find, unless the address has one."""
        self._run = None if self._is_of_others else run

    def open(self) -> SparkSession:
        """A session of its own, set by the first call to the server."""
        while (session := self._opened()) is None:
            pass
        session.conf.set("spark.sql.session.timeZone", "UTC")
        # A stream that breaks is taken up again where it was.
        session.client.set_retry_policies([DefaultPolicy(max_retries=3, max_backoff=2000)])
        return cast("SparkSession", session)  # it has the same methods, and another class

    def close(self, session: SparkSession) -> None:
        """One with an id of its own in the address is left to others that use it."""
        if self._is_of_others:
            session.client.close()
        else:
            session.stop()
        self._give_back()

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

    def end(self, runs: Collection[str], pause: orphans.Pause) -> None:
        """End the sessions of runs, and what they still do; raises `StatementError` if one does not end."""
        if self._is_of_others:
            return
        for run in sorted(runs):
            orphans.end_run(run, partial(self._end, run, pause))

    def _opened(self) -> ConnectSession | None:
        """A session; None if it was to have the id of one that is closed."""
        if self._run is None:
            return self._session(None)
        self._number, is_new = orphans.numbers_of(self._run).take()
        id_ = orphans.session_id(self._run, self._number)
        session = self._session(id_)
        try:
            session.conf.set(orphans.RUN_KEY, self._run)
        except PySparkException as error:
            session.client.close()
            if states.is_closed(error, id_) and not is_new:
                return None
            # A new one that is closed was ended by somebody who takes this run for dead.
            self._give_back()
            raise
        return session

    def _session(self, id_: str | None) -> ConnectSession:
        session = ConnectSession.builder.remote(address(self._config, id_)).create()
        session.client.set_retry_policies([RetryPolicy()])  # none: whoever opens sessions tries again
        return session

    def _give_back(self) -> None:
        number, self._number = self._number, None
        if self._run is not None and number is not None:
            orphans.numbers_of(self._run).give_back(number)

    def _end(self, run: str, pause: orphans.Pause, session: str) -> bool:
        """End what a session does, then the session; whether it is, or was, one of the run."""
        client = SparkConnectClient(address(self._config, session))
        try:
            is_known = client.get_config_with_defaults((orphans.RUN_KEY, "")) == (run,)
            is_known |= _end_statements(client, run, pause)
            client.release_session()
        except PySparkException as error:
            if not states.is_closed(error, session):
                raise
            return True
        finally:
            client.close()
        return is_known


def _end_statements(client: SparkConnectClient, run: str, pause: orphans.Pause) -> bool:
    """Interrupt what runs in a session, and wait until it does not; whether anything did."""
    did_anything = bool(client.interrupt_all())
    left = _running(client)
    if left is None and did_anything:
        pause(orphans.SECONDS_UNTOLD)
    until = time.monotonic() + orphans.PATIENCE
    while left:
        if pause(orphans.SECONDS_BETWEEN):
            raise StatementError(f"statements of run {run} on the server were told to end, and not waited for")
        if time.monotonic() > until:
            raise StatementError(
                f"{left} statements of run {run}, which is dead, go on on the server {orphans.PATIENCE:g} s after they"
                " were told to end; wait until they have, or restart the server, and start again"
            )
        client.interrupt_all()
        left = _running(client)
    return did_anything


def _running(client: SparkConnectClient) -> int | None:
    """How many statements a session runs; None if the server, or the client, is older than the question."""
    # It has no other name yet; Spark answers it from 4.2 on.
    ask = getattr(client, "_get_operation_statuses", None)
    if ask is None:
        return None
    try:
        answer = ask()
    except PySparkException as error:
        if states.is_unknown_question(error):
            return None
        raise
    name = answer.OperationStatus.OperationState.Name
    return len([one for one in answer.operation_statuses if name(one.state).endswith(orphans.RUNNING)])
