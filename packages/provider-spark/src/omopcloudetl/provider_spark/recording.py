"""Spells how rows of metadata are inserted or replaced: literals, in one statement for some hundred rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from omopcloudetl.core.connection import RecordValue
from omopcloudetl.provider_spark.sql import identifier, names, qualified, value

AT_A_TIME = 500
COMMITTING = threading.Lock()
"""Two commits to one table at the same time make one of them fail: those of this process wait for each other."""
Rows = Sequence[Sequence[RecordValue]]


def insert_rows(table: Sequence[str], columns: Sequence[str], rows: Rows) -> Iterator[str]:
    """Statements that add the rows."""
    for some in _parts(rows):
        yield f"INSERT INTO {qualified(table)} ({names(columns)}) VALUES {_values(some)}"


def merge_rows(table: Sequence[str], columns: Sequence[str], rows: Rows, replacing: Sequence[str]) -> Iterator[str]:
    """Statements that add the rows, and change those that equal one of them in the columns `replacing`."""
    same = " AND ".join(f"old.{identifier(name)} = new.{identifier(name)}" for name in replacing)
    others = [name for name in columns if name not in replacing]
    changes = ", ".join(f"{identifier(name)} = new.{identifier(name)}" for name in others)
    given = ", ".join(f"new.{identifier(name)}" for name in columns)
    for some in _parts(rows):
        yield (
            f"MERGE INTO {qualified(table)} AS old"
            f" USING (SELECT * FROM VALUES {_values(some)} AS given({names(columns)})) AS new ON {same}"
            + (f" WHEN MATCHED THEN UPDATE SET {changes}" if changes else "")
            + f" WHEN NOT MATCHED THEN INSERT ({names(columns)}) VALUES ({given})"
        )


def _parts(rows: Rows) -> Iterator[Rows]:
    return (rows[start : start + AT_A_TIME] for start in range(0, len(rows), AT_A_TIME))


def _values(rows: Rows) -> str:
    return ", ".join("(" + ", ".join(map(value, row)) + ")" for row in rows)
