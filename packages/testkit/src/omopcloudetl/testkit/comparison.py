"""Compares the rows of a table with those a case expects: every value by its type, and each row as often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal

from omopcloudetl.testkit.outcome import ConformanceError, expect
from omopcloudetl.testkit.rows import Cell, RowFile

Value = object
ROWS_SHOWN = 10


def compare(table: str, types: Mapping[str, str], expected: RowFile, found: list[tuple[Value, ...]]) -> None:
    """Raise `ConformanceError` where the found rows are not the expected ones, in whatever order.

    Args:
        table: The table's name, for the message.
        types: Each column's type of the specification; without one the cell's text decides.
        expected: The rows, and which columns are compared.
        found: The same columns of the table.
    """
    __tracebackhide__ = True
    kinds = [types.get(name, "").partition("(")[0] for name in expected.columns]
    wanted = Counter(tuple(map(_expected, kinds, row)) for row in expected.rows)
    got = Counter(
        tuple(_found(table, *pair) for pair in zip(expected.columns, kinds, row, strict=True)) for row in found
    )
    if wanted == got:
        return
    lines = [f"{table} has other rows than expected ({', '.join(expected.columns)}):"]
    lines += _shown("lacks", wanted - got)
    lines += _shown("has too much", got - wanted)
    raise ConformanceError("\n".join(lines))


def _shown(what: str, rows: Counter[tuple[Value, ...]]) -> list[str]:
    listed = sorted(rows.elements(), key=repr)
    more = [f"  … and {len(listed) - ROWS_SHOWN} more"] if len(listed) > ROWS_SHOWN else []
    return [f"  {what}: {row!r}" for row in listed[:ROWS_SHOWN]] + more


def _expected(kind: str, cell: Cell) -> Value:
    """A cell of a file as the value that the table must have."""
    if cell is None:
        return None
    return _READ.get(kind, str)(cell)


def _found(table: str, column: str, kind: str, value: Value) -> Value:
    """A value of the table in the form in which it is compared; one of another type is an error."""
    if value is None:
        return None
    allowed, plain = _KINDS.get(kind, (str, str))
    right = isinstance(value, allowed) and not isinstance(value, bool)
    if kind == "date":
        right = right and not isinstance(value, datetime)
    expect(right, f"{table}.{column} must come as {kind or 'text'}, and it comes as {type(value).__name__}: {value!r}")
    return plain(value)


def _number(value: Value) -> float:
    """A number with twelve digits: what engines add up in another order may differ in the last ones."""
    return float(f"{float(str(value)):.12g}")


def _time(value: Value) -> Value:
    """A time without a zone; one with a zone is another one."""
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)


_READ: Mapping[str, Callable[[str], Value]] = {
    "integer": int,
    "bigint": int,
    "float": _number,
    "date": date.fromisoformat,
    "datetime": lambda cell: datetime.fromisoformat(cell).isoformat(" "),
}
_KINDS: Mapping[str, tuple[type | tuple[type, ...], Callable[[Value], Value]]] = {
    "integer": (int, lambda value: value),
    "bigint": (int, lambda value: value),
    "float": ((int, float, Decimal), _number),
    "date": (date, lambda value: value),
    "datetime": (datetime, _time),
}
