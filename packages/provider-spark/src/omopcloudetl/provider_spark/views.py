"""Temporary views, by which files are read; their names are nobody else's, also where others use the same session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from omopcloudetl.core.errors import DatabaseError
from omopcloudetl.provider_spark.sessions import LoadSession
from omopcloudetl.provider_spark.sql import identifier


def new_name() -> str:
    """A name that no view has."""
    return f"omopcloudetl_{uuid4().hex}"


@contextmanager
def view_of(session: LoadSession, source: str, name: str | None = None) -> Iterator[str]:
    """A view of a source, `USING … OPTIONS (…)`, of this name or a new one, which is given as SQL spells it."""
    view = identifier(name or new_name())
    session.execute(f"CREATE TEMPORARY VIEW {view}{source}")
    try:
        yield view
    finally:
        with suppress(DatabaseError):  # what ended the block is told, and a session that is lost has no views
            session.execute(f"DROP VIEW {view}")
