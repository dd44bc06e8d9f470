"""Joins the rows of a stage to the events they refer to, where that can be done before their table is written."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.event_links import EventLink
from omopcloudetl.core.compiler.field_values import FieldValue


def with_occurrences(
    rows: exp.Select, links: Sequence[EventLink], order: Sequence[str], *, fans_out: bool = False
) -> exp.Select:
    """The rows, those of one key counted for links that pair; `order` are columns that tell the rows apart.

    Rows that are set aside come last: there are no events that they could take.
    """
    paired = [link for link in links if link.pair]
    if not paired:
        return rows
    query = trees.select(exp.Column(this=exp.Star(), table=trees.identifier("rows")))
    for link in paired:
        partition = [trees.column(name, "rows") for name in (link.key, *(["fan_out"] if fans_out else []))]
        last = trees.case([(trees.is_null(trees.column("row_reason", "rows")), trees.number(0))], trees.number(1))
        number = trees.row_number([last, *(trees.column(name, "rows") for name in order)], partition)
        query.append("expressions", trees.named(number, link.occurrence))
    return trees.from_(query, trees.subquery(rows, "rows"))


def with_events(
    rows: exp.Select, names: Sequence[str], linked: Sequence[FieldValue], required: Sequence[FieldValue]
) -> exp.Select:
    """The rows joined to the events they refer to; one that lacks a required event is set aside.

    `names` are the columns of the rows that are kept, `linked` the values that are taken of events.
    """
    if not linked:
        return rows
    reason: exp.Expr = trees.column("row_reason", "rows")
    branches = [branch for value in required for branch in value.quarantine_branches()]
    if branches:
        reason = trees.coalesce(reason, trees.case(branches, None))
    query = trees.select(
        *(trees.column(name, "rows") for name in names),
        *(trees.named(value.node, value.name) for value in linked),
        trees.named(reason, "row_reason"),
    )
    trees.from_(query, trees.subquery(rows, "rows"))
    for link in dict.fromkeys(value.link for value in linked if value.link is not None):
        link.join_to(query, "rows")
    return query
