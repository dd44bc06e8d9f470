"""Compares the rows that a mapping made with those that a test expects: in any order, listed columns only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from omopcloudetl.core.models.rule_tests import Cell, QuarantinedRow, Row, plain_key, plain_text
from omopcloudetl.core.rule_tests.ids import Ids
from omopcloudetl.core.rule_tests.report import QUARANTINED, Difference, RowPair, Value

Found = Mapping[str, object]
"""A row of the database: column → value."""
SEPARATOR = " | "
"""What stands between the parts of a key in `work.quarantine`."""


def compare(table: str, expected: Sequence[Row], found: Sequence[Found], ids: Ids) -> Difference | None:
    """What differs between the rows that are expected of a table and those it has; None where nothing does."""
    wanted = [{name.lower(): value for name, value in row.items()} for row in expected]
    matched = _matching(
        [[all(_is(value, row.get(name), ids) for name, value in want.items()) for row in found] for want in wanted]
    )
    missing = [want for number, want in enumerate(wanted) if number not in matched]
    unexpected = [row for number, row in enumerate(found) if number not in matched.values()]
    if not missing and not unexpected:
        return None
    columns = tuple(dict.fromkeys(name for want in wanted for name in want))
    pairs = tuple(_pairs(missing, unexpected, columns, ids))
    if not columns:
        columns = tuple(dict.fromkeys(name for pair in pairs for name in pair.found or ()))
    return Difference(table, columns, len(matched), pairs)


def compare_quarantined(expected: Sequence[QuarantinedRow], found: Sequence[Found], ids: Ids) -> Difference | None:
    """What differs between the rows that are expected to be set aside and those that are."""
    rows: list[Row] = []
    for row in expected:
        wanted: dict[str, Cell] = {}
        if row.key is not None:
            wanted["key"] = SEPARATOR.join(part if part is not None else "NULL" for part in plain_key(row.key))
        if row.reason is not None:
            wanted["reason"] = row.reason
        rows.append(wanted)
    return compare(QUARANTINED, rows, found, ids)


def _matching(fits: Sequence[Sequence[bool]]) -> dict[int, int]:
    """Expected row → found row, as many pairs as can be: rows that list few columns may fit several."""
    owner: dict[int, int] = {}

    def place(want: int, tried: set[int]) -> bool:
        for row, fit in enumerate(fits[want]):
            if fit and row not in tried:
                tried.add(row)
                if row not in owner or place(owner[row], tried):
                    owner[row] = want
                    return True
        return False

    for want in range(len(fits)):
        place(want, set())
    return {want: row for row, want in owner.items()}


def _is(expected: Cell, found: object, ids: Ids) -> bool:
    """Whether a value of the database is what is expected."""
    if isinstance(expected, dict):
        ((entity, key),) = expected.items()
        return found is not None and ids.of.get((entity, plain_key(key))) == found
    if expected is None or found is None:
        return expected is None and found is None
    match found:
        case bool():
            return expected is found
        case int() | float() | Decimal():
            is_number = isinstance(expected, int | float) and not isinstance(expected, bool)
            return is_number and math.isclose(float(expected), float(found), rel_tol=1e-9)
        case date():
            return isinstance(expected, str) and _as_time(expected) == _as_time(found.isoformat())
        case _:
            return plain_text(expected) == str(found)


def _as_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _pairs(
    missing: Sequence[Mapping[str, Cell]], unexpected: Sequence[Found], columns: Sequence[str], ids: Ids
) -> list[RowPair]:
    """Each missing row beside the unexpected one that is nearest to it, then what is left of these."""
    left = list(unexpected)
    found: list[RowPair] = []
    for want in missing:
        nearest = max(left, key=lambda row: sum(_is(v, row.get(n), ids) for n, v in want.items()), default=None)
        if nearest is not None:
            left.remove(nearest)
        shown = None if nearest is None else _shown(nearest, list(want), ids, like=want)
        found.append(RowPair({name: _written(value) for name, value in want.items()}, shown))
    rest = [_shown(row, columns or [name for name, value in row.items() if value is not None], ids) for row in left]
    return [*found, *(RowPair(None, row) for row in rest)]


def _written(value: Cell) -> Value:
    """An expected value as it is written."""
    if isinstance(value, dict):
        ((entity, key),) = value.items()
        return {entity: key[0] if len(key) == 1 else list(key)}
    return value


def _shown(row: Found, columns: Sequence[str], ids: Ids, like: Mapping[str, Cell] | None = None) -> dict[str, Value]:
    """A row of the database as a test would write it; a value that is right as the test did write it."""
    found: dict[str, Value] = {}
    for name in columns:
        value = row.get(name)
        if like is not None and name in like and _is(like[name], value, ids):
            found[name] = _written(like[name])
        else:
            found[name] = _plain(name, value, ids)
    return found


def _plain(name: str, value: object, ids: Ids) -> Value:
    """A value of the database as a test would write it: ids by the natural keys of their rows, dates as text."""
    if isinstance(value, int) and not isinstance(value, bool) and name.endswith("_id"):
        for (entity, key), id_ in ids.of.items():
            if id_ == value and name.endswith(f"{entity}_id"):
                return {entity: key[0] if len(key) == 1 else list(key)}
        return value
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return float(value)
        case datetime():
            return value.isoformat(sep=" ")
        case date():
            return value.isoformat()
        case _:
            return str(value)
