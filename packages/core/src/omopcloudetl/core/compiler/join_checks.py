"""Checks that a join which says `one` makes no more rows: by the rows of the stage if they can tell, else by itself."""

from __future__ import annotations

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import DraftStatement
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import StageBuilder


def checks_before(builder: StageBuilder) -> list[DraftStatement]:
    """For joins that the stage cannot tell from others: queries that return a row if a join makes more rows."""
    scopes = [source.scope for source in builder.sources if not _stage_tells(source.scope)]
    return [
        _check(builder.name, scope, alias, _joined_rows(scope, alias), _rows_before(scope, alias))
        for scope in scopes
        for alias, join in scope.rows.joins.items()
        if join.cardinality == "one"
    ]


def checks_after(builder: StageBuilder, *, fans_out: bool) -> list[DraftStatement]:
    """For the only join of a source: a query that returns a row if the stage has more rows than there are.

    With `fans_out` a code may make several rows of one, numbered by `fan_out`.
    """
    return [
        _check(builder.name, source.scope, alias, _staged_rows(builder, number, fans_out=fans_out), _rows(source.scope))
        for number, source in enumerate(builder.sources, start=1)
        if _stage_tells(source.scope)
        for alias in source.scope.rows.joins
    ]


def _stage_tells(scope: Scope) -> bool:
    """Whether the mapping's own table alone says how many rows the stage must have, and one join why it has more."""
    base = {scope.base[0]} if scope.base else set()
    joins = [join.cardinality for join in scope.rows.joins.values()]
    return joins == ["one"] and scope.aliases_in(scope.condition) <= base


def _rows(scope: Scope) -> exp.Select:
    """How many rows of its own table a mapping accounts for."""
    query = scope.from_clause(_count(), ())
    return query if scope.condition is None else trees.where(query, scope.condition.copy())


def _staged_rows(builder: StageBuilder, number: int, *, fans_out: bool) -> exp.Select:
    """How many of them, at least, the stage has; `number` is that of the source."""
    names = {"fan_out": 1} if fans_out else {}
    names |= {"source_number": number} if builder.beside else {}
    query = trees.from_(_count(), trees.table(builder.table, "stage"))
    conditions = [trees.equal(trees.column(name, "stage"), trees.number(value)) for name, value in names.items()]
    return trees.where(query, trees.all_of(conditions)) if conditions else query


def _joined_rows(scope: Scope, alias: str) -> exp.Select:
    return scope.from_clause(_count(), {*scope.aliases_in(scope.joins[alias]), alias})


def _rows_before(scope: Scope, alias: str) -> exp.Select:
    return scope.from_clause(_count(), scope.aliases_in(scope.joins[alias]) - {alias})


def _count() -> exp.Select:
    return trees.select(trees.named(trees.count_rows(), "row_count"))


def _check(name: str, scope: Scope, alias: str, joined: exp.Select, alone: exp.Select) -> DraftStatement:
    """The statement that compares the rows with a join and those without it."""
    rows, others = trees.column("row_count", "joined"), trees.column("row_count", "alone")
    extra = exp.Sub(this=rows, expression=others)
    query = trees.from_(trees.select(trees.named(extra, "extra_rows")), trees.subquery(joined, "joined"))
    query.append("joins", exp.Join(this=trees.subquery(alone, "alone"), kind="CROSS"))
    trees.where(query, exp.GT(this=rows.copy(), expression=others.copy()))
    where = scope.at("joins", alias)
    message = (
        f"the mapping {name} says that at most one row of {scope.rows.joins[alias].table} joins as '{alias}' "
        f"({where.file}:{where.line}), but the join makes more rows; extra rows"
    )
    return DraftStatement(query, f"'{alias}' joins at most one row", message)
