"""Opens sessions patiently: what may pass by itself is waited for, until somebody says stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

import tenacity

ATTEMPTS = 5
FIRST_WAIT = 0.1


def patiently(
    may_pass: Callable[[BaseException], bool], cancelled: threading.Event, *, longest: float, attempts: int = ATTEMPTS
) -> tenacity.Retrying:
    """What calls a function a few times, while its errors may pass and `cancelled` is not set.

    Args:
        may_pass: Whether trying again could succeed after an error.
        cancelled: Ends the waiting.
        longest: Seconds to wait between two calls, at the most.
        attempts: How many calls there may be.
    """
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: may_pass(error) and not cancelled.is_set()),
        sleep=tenacity.sleep_using_event(cancelled),
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential(FIRST_WAIT, max=longest),
        reraise=True,
    )
