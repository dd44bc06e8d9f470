"""Spells the pieces of SQL that are not made by the compiler: names and literals."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime


def identifier(name: str) -> str:
    """A quoted name."""
    return "`" + name.replace("`", "``") + "`"


def qualified(table: Iterable[str]) -> str:
    """A quoted name of one, two or three parts."""
    return ".".join(map(identifier, table))


def names(columns: Iterable[str]) -> str:
    """Quoted names between commas."""
    return ", ".join(map(identifier, columns))


def literal(text: str) -> str:
    """A quoted string; backslashes begin an escape in Spark's strings."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def value(found: str | int | datetime | None) -> str:
    """A value of metadata as a literal."""
    match found:
        case None:
            return "NULL"
        case int():
            return str(found)
        case datetime():
            return f"TIMESTAMP_NTZ '{found.isoformat(sep=' ')}'"
        case _:
            return literal(found)
