"""Which sessions on a Spark Connect server are of a run, and how those are looked for whose run is dead."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from functools import cache
from uuid import UUID, uuid5

Pause = Callable[[float], bool]
"""Waits for so many seconds, or until it is told to stop; whether it was."""
RUN_KEY = "omopcloudetl.run"
"""A setting of each session of a run: the run's id. A session that was made by asking for it has none."""
LOOKS = 16
"""So many numbers in a row that the server does not know are the end of a run's sessions.

Numbers of this process have no gaps but those of sessions that were open when a server lost all of them.
"""
PATIENCE = 60.0
"""Seconds until a statement must have ended that was told to."""
SECONDS_BETWEEN = 0.3
SECONDS_UNTOLD = 5.0
"""How long to wait after statements were told to end, where the server does not say whether they have."""
RUNNING = ("_RUNNING", "_TERMINATING")
"""What states of statements end with that have not ended."""
_SESSIONS = UUID("6d3d8b5e-0f0c-4a55-9d5b-8f1f5d0f2c11")


def session_id(run: str, number: int) -> str:
    """The id of a session of a run; they are numbered from 0, because a server lists none."""
    return str(uuid5(_SESSIONS, f"{run}/{number}"))


class Numbers:
    """The numbers of one run's sessions in this process: each is given to one at a time, the smallest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._returned: list[int] = []
        self._count = 0

    def take(self) -> tuple[int, bool]:
        """A number, and whether no session has had it before."""
        with self._lock:
            if self._returned:
                return heapq.heappop(self._returned), False
            self._count += 1
            return self._count - 1, True

    def give_back(self, number: int) -> None:
        """Let another session have it; a server that knows it as closed refuses it then."""
        with self._lock:
            heapq.heappush(self._returned, number)


@cache
def numbers_of(run: str) -> Numbers:
    """The numbers of a run."""
    return Numbers()


def end_run(run: str, end: Callable[[str], bool]) -> None:
    """End all sessions of a run; `end` does it with one of an id, and says whether there was or had been one."""
    number = unknown = 0
    while unknown < LOOKS:
        unknown = 0 if end(session_id(run, number)) else unknown + 1
        number += 1
