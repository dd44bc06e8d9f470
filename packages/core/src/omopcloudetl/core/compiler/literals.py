"""Says whether a constant is a value of a type of the specification, as an author writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from omopcloudetl.core.models.values import Scalar

EXAMPLES: Mapping[str, str] = {
    "integer": "a whole number, such as 42",
    "bigint": "a whole number, such as 42",
    "float": "a number, such as 1.5",
    "date": "a date as YYYY-MM-DD",
    "datetime": "a date as YYYY-MM-DD, or a timestamp as YYYY-MM-DD hh:mm:ss",
}
"""How to write a value of a type; any other type is text."""
_BITS = {"integer": 32, "bigint": 64}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def fits(value: Scalar, base: str) -> bool:
    """Whether a constant is of a type, `varchar` for `varchar(50)`; nothing is of any type."""
    if value is None:
        return True
    if base in _BITS:
        return type(value) is int
    if base == "float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, str):
        return False
    return base not in {"date", "datetime"} or _is_time(value, only_date=base == "date")


def is_in_range(value: Scalar, base: str) -> bool:
    """Whether a type of whole numbers has a number as large; of any other type all are."""
    if base not in _BITS or not isinstance(value, int):
        return True
    limit = 2 ** (_BITS[base] - 1)
    return bool(-limit <= value < limit)


def _is_time(text: str, *, only_date: bool) -> bool:
    date = _DATE.match(text)
    if date is None or (only_date and date.end() < len(text)):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
