"""Spells a join of each row to the latest row that is not after it, as syntax trees that every engine has."""

from __future__ import annotations

from sqlglot import exp, parse_one

# One window over the moments of both tables finds the latest: sorting, and no join by ranges.
_JOINS = """
SELECT 1 FROM {rows}
LEFT JOIN (
  SELECT row_by, moment, latest_at
  FROM (
    SELECT row_by, moment, is_row, MAX(latest_at) OVER (
      PARTITION BY row_by ORDER BY moment, is_row ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS latest_at
    FROM (
      SELECT {row_by} AS row_by, {row_at} AS moment, 1 AS is_row, NULL AS latest_at FROM {rows}
      UNION
      SELECT {other_by} AS row_by, {other_at} AS moment, 0 AS is_row, {other_at} AS latest_at FROM {others}
    ) AS moments
  ) AS passed
  WHERE is_row = 1
) AS latest ON latest.row_by = {rows}.{row_by} AND latest.moment = {rows}.{row_at}
LEFT JOIN {others} ON {others}.{other_by} = latest.row_by AND {others}.{other_at} = latest.latest_at
"""


def join_latest(query: exp.Select, rows: str, others: str, by: tuple[str, str], at: tuple[str, str]) -> exp.Select:
    """See `BaseSQLGenerator.join_latest`."""
    columns = {"row_by": by[0], "other_by": by[1], "row_at": at[0], "other_at": at[1]}
    tree = parse_one(_JOINS.format(rows=rows, others=others, **columns))
    for name in tree.find_all(exp.Identifier):
        name.set("quoted", True)
    for join in tree.args["joins"]:
        query.append("joins", join)
    return query
