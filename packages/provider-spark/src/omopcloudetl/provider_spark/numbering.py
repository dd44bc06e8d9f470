"""Numbers rows in an order without sorting all of them in one place.

A window without a partition makes Spark bring every row to one task. Here the rows are put into buckets that follow
each other as their rows do; each bucket is numbered by itself, after as many rows as the buckets before it have. What
is in one place are the counts of the buckets, at most 17 to the power of `DIGITS` and far fewer in practice.

The bucket of a row is the beginning of a text of digits that is made from the leading columns of the order: whole
numbers as hexadecimal digits above the least one, texts as the hexadecimal digits of their first bytes behind what all
of them begin with. Both rise with the value, and `G` stands for NULL, which comes last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp, parse_one

DIGITS = 5
"""Of hexadecimal digits: four for each mapping's rows are 4,096 to 65,536 buckets, where ids are spread evenly."""
LEADING = 3
"""Columns that are looked at."""
_BYTES = 3
WHOLE = frozenset({*exp.DataType.INTEGER_TYPES})
TEXT = frozenset({*exp.DataType.TEXT_TYPES})
_QUERY = """
WITH numbered_rows AS (SELECT 1),
numbered_bounds AS (SELECT {bounds} FROM numbered_rows),
numbered_places AS (
  SELECT numbered_rows.*, SUBSTRING({digits}, 1, {count}) AS bucket FROM numbered_rows CROSS JOIN numbered_bounds
),
numbered_buckets AS (SELECT bucket, COUNT(*) AS row_count FROM numbered_places GROUP BY bucket),
numbered_before AS (SELECT bucket, SUM(row_count) OVER (ORDER BY bucket) - row_count AS row_count FROM numbered_buckets)
SELECT before.row_count + ROW_NUMBER() OVER (PARTITION BY places.bucket ORDER BY {order}) AS number
FROM numbered_places AS places JOIN numbered_before AS before ON before.bucket = places.bucket
"""


def number_by_buckets(query: exp.Select, order: Sequence[exp.Expr], name: str) -> exp.Select | None:
    """The query with a first column `name`, numbered from 1 in the order; None where the order's types tell nothing."""
    leading = list(_leading(order))
    if not leading:
        return None
    columns = query.named_selects
    found = _template(
        _QUERY.format(
            bounds=", ".join(_bounds(leading)),
            digits=_digits(leading),
            count=DIGITS,
            order=", ".join(f"places.order_{number} NULLS LAST" for number in range(1, len(order) + 1)),
        )
    )
    for place, item in enumerate(order, start=1):
        query.append("expressions", exp.alias_(item.copy(), f"order_{place}"))
    found.ctes[0].set("this", query)
    (number,) = found.expressions
    number.set("alias", exp.to_identifier(name))
    found.set("expressions", [number, *(exp.column(column, "places") for column in columns)])
    for identifier in found.find_all(exp.Identifier):
        identifier.set("quoted", True)
    return found


def _template(text: str) -> exp.Select:
    """A query in Spark's words; its casts are those of whole numbers, which never fail: none reads a text."""
    found = parse_one(text, read="spark")
    assert isinstance(found, exp.Select)
    for cast in list(found.find_all(exp.TryCast)):
        cast.replace(exp.Cast(this=cast.this, to=cast.to))
    return found


def _leading(order: Sequence[exp.Expr]) -> Iterator[tuple[int, bool]]:
    """The number of each leading column that is a whole number or a text, and whether it is a text."""
    for number, item in enumerate(order[:LEADING], start=1):
        if item.type is None or not item.type.is_type(*WHOLE, *TEXT):
            return
        yield number, item.type.is_type(*TEXT)


def _bounds(leading: Sequence[tuple[int, bool]]) -> Iterator[str]:
    """Least and greatest values; of a text, where values begin to differ, and whether they differ at all."""
    for number, is_text in leading:
        least, greatest = f"MIN(order_{number})", f"MAX(order_{number})"
        if is_text:
            start = f"SUBSTRING({least}, 1, n) = SUBSTRING({greatest}, 1, n)"
            yield f"SIZE(FILTER(SEQUENCE(0, LENGTH(COALESCE({least}, ''))), n -> {start})) AS differs_at_{number}"
            yield f"COUNT(*) = COUNT(order_{number}) AND {least} = {greatest} AS is_same_{number}"
        else:
            yield f"CAST({least} AS BIGINT) AS least_{number}"
            yield f"LENGTH(HEX(CAST({greatest} AS BIGINT) - CAST({least} AS BIGINT))) AS width_{number}"


def _digits(leading: Sequence[tuple[int, bool]]) -> str:
    """The digits of all leading columns up to the first text whose values differ."""
    if not leading:
        return "''"
    (number, is_text), *others = leading
    value = f"order_{number}"
    if is_text:
        some = f"HEX(SUBSTRING({value}, differs_at_{number}, {_BYTES}))"
        own = f"COALESCE(RPAD({some}, {2 * _BYTES}, '0'), '{'G' * 2 * _BYTES}')"
        return f"CASE WHEN is_same_{number} THEN {_digits(others)} ELSE {own} END"
    above, width = f"HEX(CAST({value} AS BIGINT) - least_{number})", f"width_{number}"
    own = f"COALESCE(LPAD({above}, {width}, '0'), REPEAT('G', {width}), 'G')"
    return f"CONCAT({own}, {_digits(others)})" if others else own
