"""Tries again what failed for a reason that may pass by itself, after longer and longer waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tenacity

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import DatabaseConnectionError, DatabaseError
from omopcloudetl.core.plan import Retry

Result = TypeVar("Result")
MayPass = Callable[[BaseException], bool]
Pause = Callable[[float], None]
OnRetry = Callable[[BaseException, float], object]
"""Called with the error and the seconds until the next try."""


def retrying(policy: Retry, may_pass: MayPass, pause: Pause, on_retry: OnRetry) -> tenacity.Retrying:
    """What calls a function as often as the policy says, and raises the last error as it is.

    Each wait is twice as long as the one before, and a random bit longer, up to one `first_wait`: several runs that
    wait for one lock do not come back all at once.
    """
    exponential = tenacity.wait_exponential(policy.first_wait, policy.max_wait)
    jitter = tenacity.wait_random(0, policy.first_wait)

    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        if error is not None:
            on_retry(error, state.upcoming_sleep)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(may_pass),
        stop=tenacity.stop_after_attempt(policy.attempts),
        wait=lambda state: min(exponential(state) + jitter(state), policy.max_wait),
        sleep=pause,
        before_sleep=tell,
        reraise=True,
    )


def open_patiently(connection: BaseConnection, policy: Retry | None, pause: Pause, on_retry: OnRetry) -> None:
    """Open a run's connection, as often as the workflow says; where it says nothing, once."""

    def may_pass(error: BaseException) -> bool:
        return isinstance(error, DatabaseError) and connection.is_transient(error)

    retrying(policy or Retry(attempts=1), may_pass, pause, on_retry)(connection.connect)


def work_patiently(
    connection: BaseConnection, policy: Retry | None, pause: Pause, on_retry: OnRetry, work: Callable[[], Result]
) -> Result:
    """Do what works on an open connection, as often as the workflow says; a session that was lost is opened anew."""
    lost = False

    def may_pass(error: BaseException) -> bool:
        return isinstance(error, DatabaseError) and connection.is_transient(error)

    def leave(error: BaseException, seconds: float) -> None:
        nonlocal lost
        on_retry(error, seconds)
        if isinstance(error, DatabaseConnectionError):
            connection.close()
            lost = True

    def attempt() -> Result:
        nonlocal lost
        if lost:
            connection.connect()
            lost = False
        return work()

    return retrying(policy or Retry(), may_pass, pause, leave)(attempt)
