"""Sends events from a thread of its own, so that a run neither waits for a server nor fails with it."""

from __future__ import annotations

import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from omopcloudetl.core.memory import collections_paused
from omopcloudetl.core.text import one_line
from omopcloudetl.openlineage.configuration import ConfigurationError

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

CAPACITY = 10_000
"""Events that may wait; those beyond are dropped, and counted."""
THREAD = "openlineage"
_USER_IN_URL = re.compile(r"[^/@\s]+@")


class Client(Protocol):
    """What is needed of an OpenLineage client."""

    def emit(self, event: RunEvent) -> None:
        """Send one event; raises if it cannot."""

    def close(self, timeout: float) -> bool:
        """Send what waits, for some seconds at most; whether everything was sent."""


Build = Callable[[], "RunEvent"]


class Sender:
    """A queue of events, and the thread that builds and sends them one after the other."""

    def __init__(self, open_: Callable[[], Client], capacity: int = CAPACITY) -> None:
        self._open = open_
        self._queue: queue.Queue[Build | None] = queue.Queue(capacity)
        self._over = threading.Event()
        self._abandoned = threading.Event()
        self._busy_since: float | None = None
        self._asked = 0
        self._sent = 0
        self._problem: str | None = None
        self._closing = 0.0
        # A daemon, so that a server that does not answer cannot keep the process from ending.
        self._thread = threading.Thread(target=self._work, name=THREAD, daemon=True)
        self._thread.start()

    def put(self, build: Build) -> None:
        """Let the thread build and send an event; never waits."""
        self._asked += 1
        try:
            self._queue.put_nowait(build)
        except queue.Full:
            self._problem = self._problem or "the server is too slow"

    def finish(self, seconds: float, seconds_for_one: float) -> str | None:
        """Wait for what is still to be sent, within limits; returns what is to be warned of.

        Args:
            seconds: For everything.
            seconds_for_one: For the event that is being sent: a server that does not answer is not waited for.
        """
        deadline = time.monotonic() + seconds
        self._closing = seconds_for_one
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            self._abandoned.set()
        while not self._over.wait(0.02):
            now, since = time.monotonic(), self._busy_since
            if self._abandoned.is_set() or now > deadline or (since is not None and now - since > seconds_for_one):
                self._problem = self._problem or "the server did not answer in time"
                break
        self._abandoned.set()
        missing = self._asked - self._sent
        if not missing and self._problem is None:
            return None
        return f"{missing} of {self._asked} events were not sent: {self._problem}"

    def _work(self) -> None:
        try:
            with _quiet():
                client = self._opened()
                if client is not None:
                    self._send_all(client)
        finally:
            self._over.set()

    def _opened(self) -> Client | None:
        try:
            with collections_paused():
                return self._open()
        except ConfigurationError as error:
            self._problem = str(error)
        except Exception as error:  # noqa: BLE001  # a transport may raise anything; the run must not notice
            self._problem = f"the transport cannot be made: {_told(error)}"
        return None

    def _send_all(self, client: Client) -> None:
        while not self._abandoned.is_set() and (build := self._queue.get()) is not None:
            try:
                with collections_paused():  # a third of the time else: syntax trees and facets are many objects
                    event = build()
                self._busy_since = time.monotonic()
                client.emit(event)
                self._sent += 1
            except Exception as error:  # noqa: BLE001  # the same
                self._problem = _told(error)
            finally:
                self._busy_since = None
        try:
            if not client.close(self._closing):
                self._problem = self._problem or "the transport could not send all it was given"
        except Exception as error:  # noqa: BLE001  # the same
            self._problem = self._problem or _told(error)


def _told(error: Exception) -> str:
    """An error in one line, without the user and password that a URL may have."""
    return f"{type(error).__name__}: {_USER_IN_URL.sub('', one_line(str(error)))[:300]}"


@contextmanager
def _quiet() -> Iterator[None]:
    """No log lines of the libraries for each event that fails: what was not sent is told once, at the end.

    `OPENLINEAGE_CLIENT_LOGGING` gives the client's own log back.
    """
    ours = logging.getLogger("openlineage")
    if ours.level == logging.NOTSET:
        ours.setLevel(logging.CRITICAL)
    retries = logging.getLogger("urllib3.connectionpool")
    retries.addFilter(_not_of_this_thread)
    try:
        yield
    finally:
        retries.removeFilter(_not_of_this_thread)


def _not_of_this_thread(record: logging.LogRecord) -> bool:
    return record.threadName != THREAD
