"""Short names for the syntax trees the compiler builds; every identifier is quoted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from sqlglot import exp


def identifier(name: str) -> exp.Identifier:
    """A quoted identifier."""
    return exp.Identifier(this=name, quoted=True)


def column(name: str, table: str | None = None) -> exp.Column:
    """`"table"."name"`."""
    return exp.Column(this=identifier(name), table=identifier(table) if table else None)


def typed(value: exp.Expr, type_: exp.DataType) -> exp.Expr:
    """The value, which knows its type: a generator may ask for it."""
    value.type = type_
    return value


def table(logical: str, alias: str | None = None) -> exp.Table:
    """A logical table such as `source.patients`, with an alias if one is given."""
    schema, name = logical.split(".")
    found = exp.Table(this=identifier(name), db=identifier(schema))
    if alias:
        found.set("alias", exp.TableAlias(this=identifier(alias)))
    return found


def text(value: str) -> exp.Literal:
    """A string literal."""
    return exp.Literal.string(value)


def number(value: int) -> exp.Literal:
    """An integer literal; it must not be negative."""
    return exp.Literal(this=str(value), is_string=False)


def without_places(tree: exp.Expr) -> exp.Expr:
    """The same tree without the positions the parser noted; they make copies several times slower."""
    for node in tree.walk():
        node._meta = None
    return tree


def literal(value: object) -> exp.Expr:
    """A plain value as a literal; dates become `CAST('…' AS DATE)`."""
    return exp.convert(value)


def cast(value: exp.Expr, type_: exp.DataType) -> exp.Cast:
    """`CAST(value AS type)`."""
    return exp.Cast(this=value, to=type_)


def try_cast(value: exp.Expr, type_: exp.DataType) -> exp.TryCast:
    """`TRY_CAST(value AS type)`: NULL for what cannot be read."""
    return exp.TryCast(this=value, to=type_)


def null_of(type_: exp.DataType) -> exp.Cast:
    """A NULL of a type."""
    return cast(exp.Null(), type_)


def later(day: exp.Expr, count: exp.Expr, unit: Literal["DAY", "MONTH"]) -> exp.Cast:
    """The date so many days or months after a date."""
    return cast(exp.DateAdd(this=day, expression=count, unit=exp.var(unit)), exp.DataType.build("date"))


def is_null(value: exp.Expr) -> exp.Is:
    """`value IS NULL`."""
    return exp.Is(this=value, expression=exp.Null())


def not_null(value: exp.Expr) -> exp.Not:
    """`NOT value IS NULL`."""
    return exp.Not(this=is_null(value))


def equal(left: exp.Expr, right: exp.Expr) -> exp.EQ:
    """`left = right`."""
    return exp.EQ(this=left, expression=right)


def same(left: exp.Expr, right: exp.Expr) -> exp.NullSafeEQ:
    """`left IS NOT DISTINCT FROM right`: NULL is the same as NULL."""
    return exp.NullSafeEQ(this=left, expression=right)


def all_of(conditions: Iterable[exp.Expr]) -> exp.Expr:
    """The conditions joined by AND; TRUE without any."""
    result: exp.Expr | None = None
    for condition in conditions:
        wrapped = exp.Paren(this=condition) if isinstance(condition, exp.Or) else condition
        result = wrapped if result is None else exp.And(this=result, expression=wrapped)
    return exp.true() if result is None else result


def any_of(conditions: Iterable[exp.Expr]) -> exp.Expr:
    """The conditions joined by OR; FALSE without any."""
    result: exp.Expr | None = None
    for condition in conditions:
        wrapped = exp.Paren(this=condition) if isinstance(condition, exp.And | exp.Or) else condition
        result = wrapped if result is None else exp.Or(this=result, expression=wrapped)
    return exp.false() if result is None else result


def coalesce(value: exp.Expr, *others: exp.Expr) -> exp.Coalesce:
    """`COALESCE(value, …)`."""
    return exp.Coalesce(this=value, expressions=list(others))


def case(branches: Sequence[tuple[exp.Expr, exp.Expr]], default: exp.Expr | None) -> exp.Case:
    """`CASE WHEN … THEN … ELSE … END`."""
    return exp.Case(ifs=[exp.If(this=when, true=then) for when, then in branches], default=default)


def named(value: exp.Expr, name: str) -> exp.Alias:
    """`value AS "name"`."""
    return exp.Alias(this=value, alias=identifier(name))


def count_rows() -> exp.Count:
    """`COUNT(*)`."""
    return exp.Count(this=exp.Star())


def row_number(order: Sequence[exp.Expr], partition: Sequence[exp.Expr] = ()) -> exp.Window:
    """`ROW_NUMBER() OVER (PARTITION BY … ORDER BY …)`, NULLs last."""
    ordered = exp.Order(expressions=[exp.Ordered(this=item, nulls_first=False) for item in order])
    return exp.Window(this=exp.RowNumber(), partition_by=list(partition), order=ordered, over="OVER")


def select(*projections: exp.Expr) -> exp.Select:
    """A SELECT of the given projections."""
    return exp.Select(expressions=list(projections))


def from_(query: exp.Select, source: exp.Expr) -> exp.Select:
    """The query with its FROM."""
    query.set("from_", exp.From(this=source))
    return query


def where(query: exp.Select, condition: exp.Expr) -> exp.Select:
    """The query with its WHERE."""
    query.set("where", exp.Where(this=condition))
    return query


def group_by(query: exp.Select, *keys: exp.Expr) -> exp.Select:
    """The query with its GROUP BY."""
    query.set("group", exp.Group(expressions=list(keys)))
    return query


def join(query: exp.Select, source: exp.Expr, on: exp.Expr, side: str = "LEFT") -> exp.Select:
    """The query with one more join; an empty `side` is an inner join."""
    query.append("joins", exp.Join(this=source, on=on, side=side or None))
    return query


def delete(logical: str, condition: exp.Expr) -> exp.Delete:
    """`DELETE FROM table WHERE condition`."""
    return exp.Delete(this=table(logical), where=exp.Where(this=condition))


def within(value: exp.Expr, query: exp.Query) -> exp.In:
    """`value IN (query)`."""
    return exp.In(this=value, query=exp.Subquery(this=query))


def exists(source: exp.Expr, condition: exp.Expr) -> exp.Exists:
    """`EXISTS(SELECT 1 FROM source WHERE condition)`."""
    return exp.Exists(this=where(from_(select(number(1)), source), condition))


def insert(logical: str, names: Sequence[str], query: exp.Query) -> exp.Insert:
    """`INSERT INTO table (names) query`."""
    return exp.Insert(
        this=exp.Schema(this=table(logical), expressions=[identifier(n) for n in names]), expression=query
    )


def subquery(query: exp.Query, alias: str) -> exp.Subquery:
    """`(query) AS "alias"`."""
    return exp.Subquery(this=query, alias=exp.TableAlias(this=identifier(alias)))


def union(queries: Sequence[exp.Query], *, distinct: bool = False) -> exp.Query:
    """The queries as one, duplicates kept unless `distinct`."""
    result = queries[0]
    for query in queries[1:]:
        result = exp.Union(this=result, expression=query, distinct=distinct)
    return result
