"""What the ledger says of derived rows: queries of its entries over the tables `stage` and `inputs` of a mapping."""

from __future__ import annotations

NO_CONCEPT = "'no standard concept'"


def entry(kind: str, count: str, rest: str, *, table: str = "NULL", reason: str = "NULL") -> str:
    """One entry; table and reason are SQL, `rest` is what follows the columns."""
    return f"SELECT '{kind}' AS entry, {table} AS target_table, {reason} AS reason, {count} AS row_count {rest}"


def excluded(reason: str, count: str, rest: str) -> str:
    """An entry of rows that are left out, for each reason that there is."""
    return entry("excluded", count, f"{rest} GROUP BY {reason}", reason=reason)


def of_spans(table: str, count: str, reason: str) -> tuple[str, str]:
    """The rows that are written, and the records beyond the first that each is made of; `count` is a stage column."""
    name = f"'{table}'"
    return (
        entry("written", "COUNT(*)", "FROM stage", table=name),
        entry("merged", f"COALESCE(SUM({count} - 1), 0)", "FROM stage", table=name, reason=f"'{reason}'"),
    )
