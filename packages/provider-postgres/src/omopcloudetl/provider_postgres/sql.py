"""Spells the pieces of SQL that everything else is built from: names and literals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class TableColumn:
    """A column of the table that is loaded."""

    name: str
    type: str
    required: bool


def identifier(name: str) -> str:
    """A quoted name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A quoted string; backslashes are nothing special."""
    return "'" + text.replace("'", "''") + "'"


def qualified(table: Iterable[str]) -> str:
    """A quoted name of one, two or three parts."""
    return ".".join(identifier(part) for part in table)


def names(columns: Iterable[str]) -> str:
    """Quoted names between commas."""
    return ", ".join(map(identifier, columns))
