"""Builds the statements that write rows of metadata: a few as literals, many as one of them, a JSON text.

No value is a parameter: for each, the driver looks for pandas and numpy, which takes 0.25 ms where they are not
installed, and imports them where they are, half a second of every command. One row takes 0.7 ms with literals, 2.6 ms
as JSON, and every step of a run writes one; 10,000 rows take 0.15 s as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from omopcloudetl.core.connection import RecordValue
from omopcloudetl.provider_duckdb.sql import identifier, literal, qualified

_ROWS = """(SELECT unnest(from_json({}, '[["VARCHAR"]]')) AS "row") AS "rows\""""
FEW = 20
Rows = Sequence[Sequence[RecordValue]]
_ABOUT_VALUES = re.compile(r"(Conversion|Constraint|Invalid Input|Out of Range) Error: ")
_QUOTE = re.compile("['\"]")


def insert_statement(table: Sequence[str], columns: Sequence[str], rows: Rows) -> str:
    """What inserts the rows; the engine turns texts into what its columns are."""
    names = ", ".join(map(identifier, columns))
    return f"INSERT INTO {qualified(table)} ({names}) {_rows(len(columns), rows)}"


def delete_statement(table: Sequence[str], columns: Sequence[str], rows: Rows, replacing: Sequence[str]) -> str:
    """What takes out the rows that are equal to one of these in the columns `replacing`."""
    places = [columns.index(name) for name in replacing]
    names = ", ".join(map(identifier, replacing))
    gone = _rows(len(places), [[row[place] for place in places] for row in rows])
    return f"DELETE FROM {qualified(table)} WHERE ({names}) IN ({gone})"


def without_values(words: str) -> str:
    """The engine's words of an error without the statement and the values that it may quote."""
    if _ABOUT_VALUES.match(words):
        return f"{_QUOTE.split(words)[0]}…"
    return words.partition("\nLINE ")[0].rstrip()


def _rows(width: int, rows: Rows) -> str:
    if len(rows) <= FEW:
        return "VALUES " + ", ".join("(" + ", ".join(map(_literal, row)) + ")" for row in rows)
    values = ", ".join(f'"row"[{place}]' for place in range(1, width + 1))
    listed = json.dumps([[None if value is None else str(value) for value in row] for row in rows])
    return f"SELECT {values} FROM {_ROWS.format(literal(listed))}"


def _literal(value: RecordValue) -> str:
    if value is None or isinstance(value, int):
        return "NULL" if value is None else str(value)
    return literal(str(value))
