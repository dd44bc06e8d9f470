"""Types the columns of a stage that hold few texts, all known beforehand, as enumerations where the engine has them.

A text costs several times what a number does to be written, and three columns of a stage are the compiler's own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.generator import BaseSQLGenerator

COLUMNS = ("target_table", "row_fate", "row_reason")


def enumerate_texts(generator: BaseSQLGenerator, query: exp.Query, known: Mapping[str, Iterable[str]]) -> None:
    """Cast those columns of a stage's query; `known` has the texts of the columns whose expressions do not tell."""
    if not isinstance(query, exp.Select):
        return
    for node in query.expressions:
        source = query.args["from_"].this if node.is_star else None
        if isinstance(source, exp.Subquery):
            enumerate_texts(generator, source.this, known)
        elif node.alias_or_name in COLUMNS:
            texts = set(known.get(node.alias_or_name, ())) or _texts(node, query)
            type_ = generator.enumeration(sorted(texts)) if texts else None
            if type_ is not None:
                node.replace(trees.named(trees.cast(node.unalias().copy(), type_), node.alias_or_name))


def _texts(value: exp.Expr, query: exp.Select) -> set[str] | None:
    """Every text that an expression can give beside NULL; None if that cannot be told."""
    match value:
        case exp.Literal() if value.is_string:
            return {value.this}
        case exp.Null():
            return set()
        case exp.Alias() | exp.Paren() | exp.Cast():
            return _texts(value.this, query)
        case exp.Coalesce():
            return _of_all([value.this, *value.expressions], query)
        case exp.Case():
            return _of_all([*(branch.args["true"] for branch in value.args["ifs"]), _default(value)], query)
        case exp.Column():
            return _of_column(value, query)
        case _:
            return None


def _default(case: exp.Case) -> exp.Expr:
    return case.args.get("default") or exp.Null()


def _of_all(values: Sequence[exp.Expr], query: exp.Select) -> set[str] | None:
    found: set[str] = set()
    for value in values:
        texts = _texts(value, query)
        if texts is None:
            return None
        found |= texts
    return found


def _of_column(column: exp.Column, query: exp.Select) -> set[str] | None:
    """The texts of a column of a query within this one."""
    sources = [query.args["from_"].this, *(join.this for join in query.args.get("joins") or ())]
    source = next((source for source in sources if column.table in {"", source.alias_or_name}), None)
    return _in_query(source.this if isinstance(source, exp.Subquery) else _common_table(source, query), column.name)


def _in_query(query: exp.Expr | None, name: str) -> set[str] | None:
    """The texts of a column of a query, in each part of a UNION."""
    if isinstance(query, exp.SetOperation):
        left, right = _in_query(query.left, name), _in_query(query.right, name)
        return None if left is None or right is None else left | right
    if not isinstance(query, exp.Select):
        return None
    for node in query.expressions:
        if node.alias_or_name == name:
            return _texts(node, query)
    star = next((node for node in query.expressions if node.is_star), None)
    return _of_column(exp.column(name, star.args.get("table")), query) if star is not None else None


def _common_table(source: exp.Expr | None, query: exp.Select) -> exp.Expr | None:
    """The query of a common table expression that is seen from a query."""
    if not isinstance(source, exp.Table) or source.db:
        return None
    outer: exp.Expr | None = query
    while outer is not None:
        with_ = outer.args.get("with_")
        found = next((common for common in with_.expressions if common.alias == source.name), None) if with_ else None
        if found is not None:
            inner: exp.Expr = found.this
            return inner
        outer = outer.parent
    return None
