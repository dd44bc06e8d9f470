"""Builds the statements that write rows of metadata, whose values are one parameter: a JSON text.

The driver takes 0.25 ms to turn each value of Python into one of the engine where pandas is not installed, because it
looks for it every time: 10,000 rows took 34 s with a parameter for each value, and 0.15 s with one for all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from omopcloudetl.core.connection import RecordValue
from omopcloudetl.provider_duckdb.sql import identifier, qualified

_ROWS = """(SELECT unnest(from_json(?, '[["VARCHAR"]]')) AS "row") AS "rows\""""
Rows = Sequence[Sequence[RecordValue]]


def insert_statement(table: Sequence[str], columns: Sequence[str], rows: Rows) -> tuple[str, str]:
    """The statement and its parameter; the engine turns the texts into what its columns are."""
    names = ", ".join(map(identifier, columns))
    values = ", ".join(f'"row"[{place}]' for place in range(1, len(columns) + 1))
    return f"INSERT INTO {qualified(table)} ({names}) SELECT {values} FROM {_ROWS}", _as_json(rows)


def delete_statement(
    table: Sequence[str], columns: Sequence[str], rows: Rows, replacing: Sequence[str]
) -> tuple[str, str]:
    """What takes out the rows that are equal to one of these in the columns `replacing`, and its parameter."""
    places = [columns.index(name) for name in replacing]
    names = ", ".join(map(identifier, replacing))
    values = ", ".join(f'"row"[{place}]' for place in range(1, len(places) + 1))
    keys = [[row[place] for place in places] for row in rows]
    return f"DELETE FROM {qualified(table)} WHERE ({names}) IN (SELECT {values} FROM {_ROWS})", _as_json(keys)


def _as_json(rows: Rows) -> str:
    return json.dumps([[None if value is None else str(value) for value in row] for row in rows])
