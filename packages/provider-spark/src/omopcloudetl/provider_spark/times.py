"""Spells how a text in a format of strptime's directives is read."""

from __future__ import annotations

from sqlglot import exp

from omopcloudetl.core.sql_rewriting import TimeReader
from omopcloudetl.provider_spark.casts import BLANK, try_cast

_READER = TimeReader("Spark", BLANK, "$", try_cast)


def read_time(text: exp.Expr, format_: exp.Expr) -> exp.Expr:
    """The timestamp that a text is in a format; NULL where it is none, and where there is no such day."""
    return _READER.read(text, format_)
