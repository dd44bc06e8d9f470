"""Spells a merge by one key as syntax trees: as `MERGE INTO`, or as statements that every engine has."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

OLD, NEW = "old", "new"


def merge_into(table: exp.Table, key: str, columns: Sequence[str], query: exp.Query) -> exp.Expr:
    """`MERGE INTO table … WHEN MATCHED AND it differs THEN UPDATE … WHEN NOT MATCHED THEN INSERT`."""
    values = [name for name in columns if name != key]
    update = exp.Update(expressions=[exp.EQ(this=_column(name), expression=_column(name, NEW)) for name in values])
    insert = exp.Insert(
        this=exp.Tuple(expressions=[_column(name) for name in columns]),
        expression=exp.Tuple(expressions=[_column(name, NEW) for name in columns]),
    )
    whens = [exp.When(matched=False, source=False, then=insert)]
    if values:
        whens.insert(0, exp.When(matched=True, source=False, condition=_differs(values), then=update))
    return exp.Merge(
        this=_aliased(table, OLD),
        using=_subquery(query),
        on=exp.EQ(this=_column(key, OLD), expression=_column(key, NEW)),
        whens=exp.Whens(expressions=whens),
    )


def delete_and_insert(table: exp.Table, key: str, columns: Sequence[str], query: exp.Query) -> list[exp.Expr]:
    """Delete the rows that differ from the query's, then insert the query's rows that the table has not."""
    values = [name for name in columns if name != key]
    same_key = exp.EQ(this=_column(key, OLD), expression=_column(key, NEW))
    differing = exp.Select(expressions=[_column(key, NEW)])
    differing.set("from_", exp.From(this=_subquery(query.copy())))
    differing.append("joins", exp.Join(this=_aliased(table, OLD), on=same_key))
    differing.set("where", exp.Where(this=_differs(values) if values else exp.false()))
    known = exp.Select(expressions=[_column(key, OLD)])
    known.set("from_", exp.From(this=_aliased(table, OLD)))
    rows = exp.Select(expressions=[_column(name, NEW) for name in columns])
    rows.set("from_", exp.From(this=_subquery(query)))
    rows.set("where", exp.Where(this=exp.Not(this=exp.In(this=_column(key, NEW), query=exp.Subquery(this=known)))))
    target = exp.Schema(this=table.copy(), expressions=[_name(name) for name in columns])
    gone = exp.Where(this=exp.In(this=_column(key), query=exp.Subquery(this=differing)))
    return [exp.Delete(this=table.copy(), where=gone), exp.Insert(this=target, expression=rows)]


def _differs(columns: Sequence[str]) -> exp.Expr:
    """Any of the columns is another than before; NULL is no other than NULL."""
    found: exp.Expr | None = None
    for name in columns:
        other = exp.NullSafeNEQ(this=_column(name, OLD), expression=_column(name, NEW))
        found = other if found is None else exp.Or(this=found, expression=other)
    assert found is not None
    # The text of a deep tree of ORs is the same as that of a flat one, and the branch reads as one condition.
    return exp.Paren(this=found)


def _aliased(table: exp.Table, alias: str) -> exp.Table:
    found = table.copy()
    found.set("alias", exp.TableAlias(this=_name(alias)))
    return found


def _subquery(query: exp.Query) -> exp.Subquery:
    return exp.Subquery(this=query, alias=exp.TableAlias(this=_name(NEW)))


def _column(name: str, table: str | None = None) -> exp.Column:
    return exp.Column(this=_name(name), table=_name(table) if table else None)


def _name(name: str) -> exp.Identifier:
    return exp.Identifier(this=name, quoted=True)
