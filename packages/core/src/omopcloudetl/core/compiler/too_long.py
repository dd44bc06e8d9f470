"""Texts that are longer than their field holds: cut, set aside or refused, as the policy says, and always counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import DraftStatement
from omopcloudetl.core.compiler.field_values import FieldValue
from omopcloudetl.core.compiler.text_lengths import TextLimit, length_of
from omopcloudetl.core.errors import Position
from omopcloudetl.core.specification.models import CdmTable


def text_limits(table: CdmTable, values: Mapping[str, FieldValue]) -> tuple[TextLimit, ...]:
    """The fields of a table whose values can be too long: field → what fills it."""
    found = []
    for name, value in values.items():
        length = length_of(table.by_name[name].type)
        if length is not None and (value.longest is None or value.longest > length):
            found.append(TextLimit(table.name, name, value.name, length))
    return tuple(found)


def too_long_reasons(
    limits: Iterable[TextLimit], values: Mapping[str, FieldValue], target: exp.Expr | None = None
) -> list[tuple[exp.Expr, exp.Expr]]:
    """When a row is set aside because of a text, and the reason; `target` tells the table that it goes to."""
    found: list[tuple[exp.Expr, exp.Expr]] = []
    for limit in limits:
        conditions = [limit.exceeded(values[limit.column].node.copy())]
        if target is not None:
            conditions.insert(0, trees.equal(target.copy(), trees.text(limit.table)))
        found.append((trees.all_of(conditions), trees.text(limit.reason)))
    return found


def too_long_counts(
    stage: str, limits: Sequence[TextLimit], written: exp.Expr, *, by_target: bool
) -> Iterator[exp.Select]:
    """For each column of a stage and each length: how many values of the rows that are `written` are longer.

    The rows have `target_table`, `reason` and `row_count`. With `by_target` the stage's rows say to which table
    they go; else all go to the same.
    """

    def place(limit: TextLimit) -> tuple[str, int]:
        return limit.column, limit.length

    for _, same in groupby(sorted(limits, key=place), key=place):
        group = list(same)
        target: exp.Expr = trees.column("target_table", "stage") if by_target else trees.text(group[0].table)
        reasons = {limit.table: trees.text(limit.reason) for limit in group}
        reason: exp.Expr = reasons[group[0].table]
        conditions = [written.copy(), group[0].exceeded(trees.column(group[0].column, "stage"))]
        if by_target:
            conditions.append(exp.In(this=target.copy(), expressions=[trees.text(table) for table in reasons]))
            reason = trees.case(
                [(trees.equal(target.copy(), trees.text(t)), text) for t, text in reasons.items()], None
            )
        query = trees.select(
            trees.named(target, "target_table"),
            trees.named(reason, "reason"),
            trees.named(trees.count_rows(), "row_count"),
        )
        trees.from_(query, trees.table(stage, "stage"))
        trees.where(query, trees.all_of(conditions))
        if by_target:
            yield trees.group_by(query, target.copy())
        else:
            query.set("having", exp.Having(this=exp.GT(this=trees.count_rows(), expression=trees.number(0))))
            yield query


def too_long_check(name: str, counts: Iterable[exp.Select], place: Position) -> list[DraftStatement]:
    """A statement that returns a row for each field with texts that are too long, where these stop the run."""
    queries = list(counts)
    if not queries:
        return []
    message = f"the mapping {name} ({place.file}:{place.line}) has texts that are too long; table, field and values"
    return [DraftStatement(trees.union(queries), f"no text of {name} is too long for its field", message)]
