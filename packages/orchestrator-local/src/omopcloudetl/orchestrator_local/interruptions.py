"""Lets Ctrl-C reach a run whatever its statements do: the run works in a thread, and who called only waits."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")

# Python on Windows hears of Ctrl-C only between two waits; elsewhere a wait ends with it.
SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_STOPS = 0.05


def run_interruptibly(work: Callable[[], T], stop: Callable[[], None]) -> T:
    """What `work` returns or raises.

    Python raises KeyboardInterrupt in the main thread only, and there only when a statement of the database has
    ended. So the main thread does not work. If anything is raised while it waits, `stop` is called, again and again
    because it may come between two statements, until `work` has ended; then that is raised.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    future: Future[T] = Future()
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: context.run(_fulfil, future, work), name="run")
    try:
        thread.start()
        while not wait([future], SECONDS_BETWEEN_LOOKS).done:
            pass
    except BaseException:
        while thread.is_alive():
            stop()
            thread.join(SECONDS_BETWEEN_STOPS)
        raise
    thread.join()
    return future.result()


def _fulfil(future: Future[T], work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001  # it is raised again in the thread that waits
        future.set_exception(error)
