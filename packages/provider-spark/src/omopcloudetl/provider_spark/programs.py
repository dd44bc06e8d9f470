"""Lets programs that have no file import Spark's client, which would end them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def with_a_file() -> Iterator[None]:
    """Give the running program a file's name for a moment, if it has none: `python -c`, a process that another began.

    Client 4.2 takes such a program for a test of its own and calls `sys.exit`.
    """
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        yield
        return
    main.__file__ = "<program>"
    try:
        yield
    finally:
        del main.__file__
