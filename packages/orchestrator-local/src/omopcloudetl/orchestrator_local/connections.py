"""The connections of a run: one for each thread that runs steps, and the means to interrupt them all."""

from __future__ import annotations

import threading
from collections.abc import Callable

from omopcloudetl.core.connection import BaseConnection


class Connections:
    """Made and opened when a thread first needs one, and closed together."""

    def __init__(self, connect: Callable[[], BaseConnection]) -> None:
        self._connect = connect
        self._own = threading.local()
        self._all: set[BaseConnection] = set()
        self._lock = threading.Lock()

    def own(self) -> BaseConnection:
        """The thread's own connection, which may not be open yet."""
        connection: BaseConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._connect()
            self._own.connection, self._own.is_open = connection, False
            with self._lock:
                self._all.add(connection)
        return connection

    def opened(self) -> BaseConnection:
        """The thread's own connection, open; raises `DatabaseConnectionError`."""
        connection = self.own()
        if not self._own.is_open:
            connection.connect()
            self._own.is_open = True
        return connection

    def discard(self) -> None:
        """Close the thread's own connection, with whatever transaction it is in; its next one is new."""
        connection, self._own.connection = self.own(), None
        with self._lock:
            self._all.discard(connection)
        connection.close()

    def cancel(self) -> None:
        """Ask every running statement to stop."""
        with self._lock:
            connections = list(self._all)
        for connection in connections:
            connection.cancel()

    def close(self) -> None:
        """Close every connection; no thread may be using one."""
        while self._all:
            self._all.pop().close()
