"""Spells the pieces of DuckDB SQL that everything else is built from: names, literals, columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

TEXT = "VARCHAR"
# Name of the reader's column that tells the file; only used to explain an error.
FILE_COLUMN = "omopcloudetl file"


@dataclass(frozen=True)
class FileColumn:
    """A column of a file: its name there, its name in tables, its type."""

    delivered: str
    name: str
    type: str
    keys: tuple[str, ...] = ()
    """In JSON, the keys that are this column; they differ in case only."""


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
    """A quoted string."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """A list of quoted strings."""
    return f"[{', '.join(map(literal, texts))}]"


def qualified(table: Iterable[str]) -> str:
    """A quoted name of one, two or three parts."""
    return ".".join(identifier(part) for part in table)
