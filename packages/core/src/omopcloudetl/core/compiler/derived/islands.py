"""Gaps and islands: spans of days that belong together, as SQL that all builders of spans share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def islands(rows: str, keys: Sequence[str], carried: Sequence[str], gaps: Mapping[str, str]) -> str:
    """The body of a CTE that numbers the islands of rows with `start_date` and `end_date`.

    A row begins a new island if more than so many days lie between the last day that any earlier row reached and its
    first day, as a difference of dates: a row that starts on the day after has a gap of 1, one that starts on the same
    day or before has none. Two windows over one order, so that the work grows as sorting does, and no row is joined
    with another. The order is total but for rows that are the same in all that counts.

    Args:
        rows: The CTE or table of rows; no end before its start, and no date NULL.
        keys: What the rows of an island have in common.
        carried: Further columns of the rows.
        gaps: Column of the result that numbers islands → the greatest gap within one, as SQL.
    """
    columns = ", ".join((*keys, "start_date", "end_date", *carried))
    order = f"PARTITION BY {', '.join(keys)} ORDER BY start_date, end_date ROWS BETWEEN UNBOUNDED PRECEDING AND"
    numbers = ",\n    ".join(
        f"SUM(CASE WHEN DATE_DIFF('day', reached_date, start_date) <= {gap} THEN 0 ELSE 1 END)"
        f" OVER ({order} CURRENT ROW) AS {name}"
        for name, gap in gaps.items()
    )
    return f"""
  SELECT {columns},
    {numbers}
  FROM (
    SELECT {columns}, MAX(end_date) OVER ({order} 1 PRECEDING) AS reached_date
    FROM {rows}
  ) AS reached
"""
