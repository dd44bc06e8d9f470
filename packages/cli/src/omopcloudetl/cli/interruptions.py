"""Ends the command that Ctrl-C or SIGTERM interrupts: in order if that takes less than two seconds, else at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import socket

# Together less than the two seconds in which a command promises to end.
SECONDS_TO_END = 1.5
SECONDS_TO_TELL = 0.2
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = "\x1b[?25h"


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, which is treated as Ctrl-C is, but for the exit code."""


class Interruptions:
    """The first signal is raised in the main thread; the second one, or too long a wait, ends the process.

    Python calls handlers in the main thread only, when that comes back from the driver of a database. So each signal
    is told to a thread, too, by the file descriptor that Python has for this.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._report: Callable[[], None] = lambda: None
        self._telling = threading.Lock()
        self._told = False
        self._sockets: tuple[socket.socket, socket.socket] | None = None

    def watch(self) -> None:
        """From now on, signals end the process; one that whoever started it lets it ignore is still ignored.

        Shells and `nohup` do so for what runs in the background.
        """
        import socket

        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._raise)
        ours, pythons = self._sockets = socket.socketpair()
        pythons.setblocking(False)
        signal.set_wakeup_fd(pythons.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._wait, args=(ours,), name="signals", daemon=True).start()

    @property
    def exit_code(self) -> int:
        """What shells report of a program that the signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.number or signal.SIGINT)

    def tell_by(self, report: Callable[[], None]) -> None:
        """What tells the user that the command was interrupted."""
        self._report, self._told = report, False

    def tell(self) -> None:
        """Tell the user, once."""
        with self._telling:
            if not self._told:
                self._told = True
                self._report()

    def leave(self) -> NoReturn:
        """End the process now that all is in order; freeing the memory of a large plan may take Python a second."""
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(self.exit_code)

    def _raise(self, number: int, _: FrameType | None) -> None:
        self.number = self.number or number
        raise KeyboardInterrupt if number == signal.SIGINT else TerminatedError

    def _wait(self, signals: socket.socket) -> None:
        import select

        while (number := signals.recv(1)[0]) not in SIGNALS:  # one that a plugin has a handler for
            pass
        self.number = number
        select.select([signals], [], [], SECONDS_TO_END)
        self._end()

    def _end(self) -> NoReturn:
        """End the process, without waiting for what does not end; a run's database and its record allow it any time."""
        last = threading.Timer(SECONDS_TO_TELL, os._exit, (self.exit_code,))  # nobody may read what is told
        last.daemon = True
        last.start()
        with suppress(Exception):
            if sys.stderr.isatty():
                sys.stderr.write(f"{SHOW_CURSOR}\n")
            self.tell()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(self.exit_code)


interruptions = Interruptions()
"""Those of this process."""
