"""Breaks a SQL expression in one place: what a slip of the author's hand could make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sqlglot import exp, parse_one

DIALECT = "duckdb"
OPPOSITE: Mapping[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
    exp.GT: exp.GTE,
    exp.GTE: exp.GT,
    exp.LT: exp.LTE,
    exp.LTE: exp.LT,
    exp.And: exp.Or,
    exp.Or: exp.And,
    exp.NullSafeEQ: exp.NullSafeNEQ,
    exp.NullSafeNEQ: exp.NullSafeEQ,
    exp.Max: exp.Min,
    exp.Min: exp.Max,
}
PARTS = {"YEAR": "MONTH", "MONTH": "DAY", "DAY": "MONTH"}

LONGEST = 40

Change = tuple[str, exp.Expr]
"""What is changed, in words where that is not clear from what it was, and what stands there instead."""


def broken(sql: str) -> Iterator[tuple[str, str]]:
    """Every way in which an expression is broken, each once: what is changed, and the whole expression after it."""
    return _broken(parse_one(sql, read=DIALECT, into=exp.Condition))


def broken_query(sql: str) -> Iterator[tuple[str, str]]:
    """The same of a query."""
    return _broken(parse_one(sql, read=DIALECT))


def _broken(tree: exp.Expr) -> Iterator[tuple[str, str]]:
    seen = {tree.sql(DIALECT)}
    for number, node in enumerate(tree.walk()):
        for words, new in _changes(node):
            whole = _with_new(tree, number, new).sql(DIALECT)
            if whole not in seen:
                seen.add(whole)
                yield f"{_short(node)}: {words}" if words else f"{_short(node)} → {_short(new)}", whole


def _short(node: exp.Expr) -> str:
    text = str(node.sql(DIALECT, comments=False))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def without_table(sql: str, alias: str) -> str:
    """The expression with NULL for every column of a table that is not joined any more."""
    tree: exp.Expr = parse_one(sql, read=DIALECT, into=exp.Condition)
    changed = tree.transform(lambda node: exp.Null() if isinstance(node, exp.Column) and node.table == alias else node)
    return str(changed.sql(DIALECT))


def _with_new(tree: exp.Expr, number: int, new: exp.Expr) -> exp.Expr:
    """A copy of a tree with another node in the place of one."""
    copy = tree.copy()
    place = next(node for i, node in enumerate(copy.walk()) if i == number)
    if place is copy:
        return new
    place.replace(new)
    return copy


def _changes(node: exp.Expr) -> Iterator[Change]:
    opposite = OPPOSITE.get(type(node))
    if opposite is not None:
        yield "", opposite(**{name: _copied(value) for name, value in node.args.items()})
        return
    for kinds, changes in _BREAKERS:
        if isinstance(node, kinds):
            yield from changes(node)
            return


def _of_coalesce(node: exp.Expr) -> Iterator[Change]:
    for value in (node.this, *node.expressions):
        yield "", value.copy()


def _of_literal(node: exp.Expr) -> Iterator[Change]:
    if not node.args["is_string"]:
        yield "", exp.Literal.number(float(node.name) + 1 if "." in node.name else int(node.name) + 1)
    elif node.name:
        yield "", exp.Literal.string(f"{node.name}x")


def _of_case(node: exp.Expr) -> Iterator[Change]:
    branches, default = node.args["ifs"], node.args.get("default")
    for i in range(len(branches)):
        if len(branches) > 1:
            yield f"without branch {i + 1}", _with(node, ifs=[*branches[:i], *branches[i + 1 :]])
        else:
            yield "without its branch", default.copy() if default is not None else exp.Null()
    if default is not None:
        yield "without else", _with(node, default=None)


def _of_extract(node: exp.Expr) -> Iterator[Change]:
    if node.name.upper() in PARTS:
        yield "", _with(node, this=exp.var(PARTS[node.name.upper()]))


def _of_is(node: exp.Expr) -> Iterator[Change]:
    if not isinstance(node.parent, exp.Not):
        yield "", exp.Not(this=node.copy())


def _of_column(node: exp.Expr) -> Iterator[Change]:
    if node.parent is None:
        yield "", exp.Null()


def _of_concat(node: exp.Expr) -> Iterator[Change]:
    parts = node.expressions
    for i in range(1, len(parts)):
        yield f"without part {i}", _with(node, expressions=[*parts[:i], *parts[i + 1 :]])


def _of_difference(node: exp.Expr) -> Iterator[Change]:
    yield "the other way round", _with(node, this=node.expression, expression=node.this)


def _first_only(node: exp.Expr) -> Iterator[Change]:
    if isinstance(node.this, exp.Expr):
        yield f"only what {node.key} takes" if isinstance(node, exp.Func) else "", node.this.copy()


def _of_order(node: exp.Expr) -> Iterator[Change]:
    yield "the other way round", _with(node, desc=not node.args.get("desc"))


def _of_where(node: exp.Expr) -> Iterator[Change]:
    yield "dropped", exp.Where(this=exp.true())


def _nothing(_: exp.Expr) -> Iterator[Change]:
    yield from ()


_BREAKERS: tuple[tuple[type[exp.Expr] | tuple[type[exp.Expr], ...], Callable[[exp.Expr], Iterator[Change]]], ...] = (
    (exp.Coalesce, _of_coalesce),
    (exp.Literal, _of_literal),
    (exp.Case, _of_case),
    (exp.Extract, _of_extract),
    (exp.Is, _of_is),
    (exp.Column, _of_column),
    (exp.ConcatWs, _of_concat),
    (exp.DateDiff, _of_difference),
    (exp.Ordered, _of_order),
    (exp.Where, _of_where),
    (exp.Cast, _nothing),  # a type is checked when the mapping is compiled
    ((exp.Count, exp.RowNumber), _nothing),
    ((exp.Not, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Func), _first_only),
)
"""Kind of node → how it is broken; the first that fits."""


def _with(node: exp.Expr, **arguments: object) -> exp.Expr:
    copy = node.copy()
    for name, value in arguments.items():
        copy.set(name, _copied(value))
    return copy


def _copied(value: object) -> object:
    if isinstance(value, list):
        return [_copied(each) for each in value]
    return value.copy() if isinstance(value, exp.Expr) else value
