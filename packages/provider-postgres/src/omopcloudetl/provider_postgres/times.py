"""Spells times in formats of strptime's directives: read as ISO 8601 by a regular expression, written by TO_CHAR."""

from __future__ import annotations

import re

from sqlglot import exp
from sqlglot.errors import UnsupportedError

from omopcloudetl.core.sql_rewriting import TimeReader, literal_format
from omopcloudetl.provider_postgres.casts import try_cast

_WRITTEN = {"Y": "YYYY", "y": "YY", "m": "MM", "d": "DD", "H": "HH24", "I": "HH12", "M": "MI", "S": "SS"} | {
    "f": "US",
    "g": "MS",
    "j": "DDD",
    "p": "AM",
    "b": "Mon",
    "B": "FMMonth",
    "a": "Dy",
    "A": "FMDay",
    "-d": "FMDD",
    "-m": "FMMM",
    "-H": "FMHH24",
    "-I": "FMHH12",
    "-M": "FMMI",
    "-S": "FMSS",
}
_WRITING = re.compile(r"%(-?.)|([^%]+)", re.DOTALL)
_MEANT = re.compile(r'[A-Za-z"\\]')
_READER = TimeReader("PostgreSQL", r"\s", "\\", try_cast)


def read_time(text: exp.Expr, format_: exp.Expr) -> exp.Expr:
    """The timestamp that a text is in a format; NULL where it is none, and where there is no such day."""
    return _READER.read(text, format_)


def write_time(time: exp.Expr, format_: exp.Expr) -> exp.Expr:
    """The text that a time is in a format, in the order of code points like any other."""
    format_text = literal_format(format_)
    pieces = (_written(format_text, *found) for found in _WRITING.findall(format_text))
    text = exp.Anonymous(this="TO_CHAR", expressions=[time, exp.Literal.string("".join(pieces))])
    return exp.Collate(this=text, expression=exp.to_identifier("C", quoted=True))


def _written(format_: str, directive: str, between: str) -> str:
    """A directive, or what stands between two: TO_CHAR would take its letters for patterns."""
    if directive == "%":
        return "%"
    if directive:
        if directive not in _WRITTEN:
            listed = ", ".join(f"%{letter}" for letter in _WRITTEN)
            raise UnsupportedError(f"'{format_}' has %{directive}, and on PostgreSQL only {listed} are written")
        return _WRITTEN[directive]
    if not _MEANT.search(between):
        return between
    return '"' + between.replace("\\", "\\\\").replace('"', '\\"') + '"'
