"""Interrupts what steps run when they have taken longer than they may; one thread watches over all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import DatabaseError
from omopcloudetl.core.plan import Timeout

# An engine may not notice in the first moments of a statement, and a step may go on with the next one.
SECONDS_BETWEEN_CANCELS = 0.05


class StepTimeoutError(DatabaseError):
    """A step took longer than it may; it is not tried again."""


class TimeLimit:
    """How long one step may still take, and the connection on which it works; there need not be a limit."""

    def __init__(self, timeout: Timeout | None) -> None:
        self.timeout = timeout
        self.ends = time.monotonic() + timeout.seconds if timeout is not None else None
        self.connection: BaseConnection | None = None

    @property
    def is_over(self) -> bool:
        """Whether the step has had its time."""
        return self.ends is not None and time.monotonic() >= self.ends

    def left(self, seconds: float) -> float:
        """These seconds, or what is left if that is less."""
        return seconds if self.ends is None else max(0.0, min(seconds, self.ends - time.monotonic()))

    def error(self) -> StepTimeoutError:
        """What a step fails with whose time is over."""
        assert self.timeout is not None
        where = f"{self.timeout.origin.file}:{self.timeout.origin.line}"
        return StepTimeoutError(
            f"it was stopped after {self.timeout.seconds:g} s, the `timeout` of {where}, and what it had not committed"
            " was rolled back; give it more time there, or find out what makes it slow"
        )


class TimeLimits:
    """The limits of a run's steps; its thread begins with the first of them and ends with the process or by `close`."""

    def __init__(self) -> None:
        self._limits: set[TimeLimit] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def limit(self, timeout: Timeout | None) -> Iterator[TimeLimit]:
        """Hold the block to a limit; what it runs on `TimeLimit.connection` is interrupted when that is over.

        No connection is interrupted after the end of its block.
        """
        limit = TimeLimit(timeout)
        if timeout is None:
            yield limit
            return
        with self._changed:
            self._limits.add(limit)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="time-limits", daemon=True)
                self._thread.start()
            self._changed.notify()
        try:
            yield limit
        finally:
            with self._changed:
                self._limits.discard(limit)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                self._changed.wait(self._interrupt())

    def _interrupt(self) -> float | None:
        """Interrupt what has had its time; returns the seconds until the next look, None if there is nothing to see."""
        for limit in self._limits:
            if limit.is_over and (connection := limit.connection) is not None:
                connection.cancel()
        ends = [limit.ends for limit in self._limits if limit.ends is not None]
        return max(SECONDS_BETWEEN_CANCELS, min(ends) - time.monotonic()) if ends else None
