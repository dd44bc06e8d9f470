"""Finds which columns of tables each column of a query is made of, and in which way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sqlglot import exp

Use = Literal[
    "IDENTITY",
    "TRANSFORMATION",
    "AGGREGATION",
    "CONDITIONAL",
    "FILTER",
    "GROUP_BY",
    "JOIN",
    "WINDOW",
]
"""How a column is used, in OpenLineage's words; the first three are direct, the others indirect."""
DIRECT: tuple[Use, ...] = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")
UNNAMED = "?"
"""Begins the name of a column that has none, or the one of a column before it: it is found by its place."""
Source = tuple[str, str]
"""A table and a column of it, both in lower case."""
Inputs = dict[Source, frozenset[Use]]
Leaf = Callable[[str, str], Inputs]
"""What a column of a table stands for: itself, or what the same step made it of."""


class UnknownColumnError(Exception):
    """A column of a query that no table or subquery is known to have."""


@dataclass
class Made:
    """What a query returns."""

    columns: dict[str, Inputs | None] = field(default_factory=dict)
    """Column, in the query's order → what it is made of; None where that is not known."""
    types: dict[str, exp.DataType] = field(default_factory=dict)
    """The types of columns that the query casts."""
    rows: Inputs = field(default_factory=dict)
    """What decides which rows there are: filters, joins, groups."""
    complete: bool = True
    """Whether all columns are named: not after a `*` over a table whose columns nobody knows."""
    opaque: Inputs | None = None
    """What every column is made of, where there are no columns to tell apart."""

    def column(self, name: str) -> Inputs:
        """What a column is made of; raises `UnknownColumnError`."""
        found = self.columns.get(name, self.opaque)
        if found is None:
            raise UnknownColumnError(name)
        return found

    def __contains__(self, name: str) -> bool:
        return name in self.columns or self.opaque is not None


def combined(found: Iterable[Inputs]) -> Inputs:
    """All inputs together."""
    some = [inputs for inputs in found if inputs]
    if len(some) < 2:  # nobody changes inputs that are made
        return some[0] if some else {}
    result = dict(some[0])
    for inputs in some[1:]:
        for source, uses in inputs.items():
            result[source] = result[source] | uses if source in result else uses
    return result


def used(inputs: Inputs, use: Use) -> Inputs:
    """The inputs of something that is itself used in some way; what is indirect once stays so."""
    if use == "IDENTITY":
        return inputs
    if use not in DIRECT:
        return dict.fromkeys(inputs, frozenset({use}))
    return {source: frozenset(_stronger(one, use) for one in uses) for source, uses in inputs.items()}


def _stronger(inner: Use, outer: Use) -> Use:
    if inner not in DIRECT:
        return inner
    return max(inner, outer, key=DIRECT.index)


class Reader:
    """Reads the queries of one statement."""

    def __init__(self, leaf: Leaf, known: Callable[[str], tuple[str, ...] | None]) -> None:
        self.leaf = leaf
        self.known = known
        """The columns of a table, where they are known."""

    def query(self, node: exp.Expr, ctes: Mapping[str, Made], outer: _Select | None = None) -> Made:
        """What a query returns, over the CTEs around it and, if it is correlated, the query around it."""
        ctes = {**ctes, **self.ctes_of(node, ctes, outer)}
        match node:
            case exp.Subquery():
                return self.query(node.this, ctes, outer)
            case exp.SetOperation():
                return _united(self.query(node.this, ctes, outer), self.query(node.expression, ctes, outer))
            case exp.Select():
                return _Select(self, node, ctes, outer).made()
            case _:
                return Made(complete=False)

    def ctes_of(
        self, node: exp.Expr, ctes: Mapping[str, Made] | None = None, outer: _Select | None = None
    ) -> dict[str, Made]:
        """The CTEs of a statement or a query."""
        found: dict[str, Made] = {}
        with_ = node.args.get("with_")
        if with_ is None:
            return found
        for cte in with_.expressions:
            around = {**(ctes or {}), **found}
            if with_.recursive and isinstance(cte.this, exp.SetOperation):
                first = self.query(cte.this.this, around, outer)
                around[cte.alias.lower()] = renamed(first, cte)
            found[cte.alias.lower()] = renamed(self.query(cte.this, around, outer), cte)
        return found

    def table(self, table: exp.Table, ctes: Mapping[str, Made]) -> Made:
        """What a table or a CTE has."""
        if not isinstance(table.this, exp.Identifier):
            return Made(complete=False)  # a function that makes rows
        name = table_name(table)
        if name in ctes:
            return ctes[name]
        columns = self.known(name)
        return Made({column: self.leaf(name, column) for column in columns or ()}, complete=columns is not None)


def table_name(table: exp.Table) -> str:
    """The name of a table as the statement has it, in lower case."""
    return ".".join(part.name for part in table.parts).lower()


def renamed(made: Made, node: exp.Expr) -> Made:
    """With the names that an alias gives to the columns: `AS x (a, b)`."""
    names = [name.lower() for name in node.alias_column_names]
    if not names:
        return made
    columns = dict(zip([*names, *list(made.columns)[len(names) :]], made.columns.values(), strict=False))
    return Made(columns, {}, made.rows, made.complete, made.opaque)


def _united(left: Made, right: Made) -> Made:
    """Columns of a UNION are matched by their place, and called as on the left."""
    columns: dict[str, Inputs | None] = {}
    others = list(right.columns.values())
    for number, (name, inputs) in enumerate(left.columns.items()):
        other = others[number] if number < len(others) else None
        columns[name] = None if inputs is None or other is None else combined([inputs, other])
    rows = combined([left.rows, right.rows])
    return Made(columns, left.types, rows, left.complete and right.complete)


@dataclass
class _From:
    """A source of a SELECT."""

    made: Made
    table: str | None = None
    """Set for a table of the database, which may have columns that nobody knows."""
    joined_by: exp.Expr | None = None


class _Select:
    """One SELECT: its sources, and what its columns are made of."""

    def __init__(self, reader: Reader, node: exp.Select, ctes: Mapping[str, Made], outer: _Select | None) -> None:
        self._reader = reader
        self._node = node
        self._ctes = ctes
        self._outer = outer
        self._sources: dict[str, _From] = {}
        self._lookups: dict[str, Inputs] = {}
        self._aliases: dict[str, Inputs | None] = {}
        self._found: dict[tuple[str, str], Inputs] = {}

    def made(self) -> Made:
        """What the SELECT returns."""
        self._read_sources()
        result = Made(self._aliases)
        for node in self._node.expressions:
            if node.is_star:
                self._expand(node, result)
                continue
            name = node.alias_or_name.lower()
            if not name or name in result.columns:
                name = f"{UNNAMED}{len(result.columns)}"
            value = node.unalias()
            result.columns[name] = self._inputs_or_none(value)
            type_ = self._type(value)
            if type_ is not None:
                result.types[name] = type_
        result.rows = combined([self._rows(), *(source.made.rows for source in self._sources.values())])
        return result

    def _type(self, value: exp.Expr) -> exp.DataType | None:
        """The type that a value is cast to, here or where its column is made."""
        if isinstance(value, exp.Cast):
            return value.to
        if not isinstance(value, exp.Column):
            return None
        name, alias = value.name.lower(), value.table.lower()
        source = self._sources.get(alias or next(iter(self._having(name)), ""))
        return source.made.types.get(name) if source is not None else None

    def _read_sources(self) -> None:
        from_ = self._node.args.get("from_")
        if from_ is not None:
            self._add(from_.this, None)
        for join in self._node.args.get("joins") or ():
            using = [exp.column(name.name) for name in join.args.get("using") or ()]
            self._add(join.this, join.args.get("on") or (exp.Tuple(expressions=using) if using else None))
        for lateral in self._node.args.get("laterals") or ():
            self._add(lateral, None)

    def _add(self, node: exp.Expr, on: exp.Expr | None) -> None:
        table = None
        match node:
            case exp.Table():
                made = renamed(self._reader.table(node, self._ctes), node)
                name = table_name(node)
                table = name if isinstance(node.this, exp.Identifier) and name not in self._ctes else None
            case exp.Subquery():
                made = renamed(self._reader.query(node, self._ctes, self), node)
            case exp.Lateral(this=exp.Subquery()):
                made = renamed(self._reader.query(node.this, self._ctes, self), node)
            case exp.Values():
                made = Made(opaque={})
            case _:  # UNNEST, a function of rows: every column is made of all it is given
                made = Made(opaque=used(self._inputs_or_none(node) or {}, "TRANSFORMATION"))
        self._sources[node.alias_or_name.lower()] = _From(made, table, on)

    def _expand(self, star: exp.Expr, result: Made) -> None:
        """The columns of `*` or `t.*`, without those that EXCLUDE names."""
        asked = star.table.lower() if isinstance(star, exp.Column) else ""
        inner = star.this if isinstance(star, exp.Column) else star
        left_out = {node.name.lower() for node in inner.args.get("except_") or ()}
        for alias, source in self._sources.items():
            if asked not in {"", alias}:
                continue
            result.complete &= source.made.complete and source.made.opaque is None
            for name in source.made.columns:
                if name not in left_out:
                    result.columns[name] = self._inputs_or_none(exp.column(name, alias))
                    if name in source.made.types:
                        result.types[name] = source.made.types[name]
        for node in inner.args.get("replace") or ():
            result.columns[node.alias_or_name.lower()] = self._inputs_or_none(node.unalias())

    def _rows(self) -> Inputs:
        """What decides which rows there are."""
        found = [self._inputs_as(source.joined_by, "JOIN") for source in self._sources.values()]
        found += [self._inputs_as(self._node.args.get(key), "FILTER") for key in ("where", "having", "qualify")]
        found.append(self._inputs_as(self._node.args.get("group"), "GROUP_BY"))
        return combined(found)

    def _inputs_as(self, node: exp.Expr | None, use: Use) -> Inputs:
        """The inputs of a condition; a column that is not known is left out of it."""
        if node is None:
            return {}
        found = []
        for part, _ in _parts(node, "IDENTITY"):
            try:
                found.append(used(self._part(part), use))
            except UnknownColumnError:
                continue
        return combined(found)

    def _inputs_or_none(self, node: exp.Expr) -> Inputs | None:
        try:
            return combined(used(self._part(part), use) for part, use in _parts(node, "IDENTITY"))
        except UnknownColumnError:
            return None

    def _part(self, node: exp.Expr) -> Inputs:
        if isinstance(node, exp.Column):
            if node.is_star:
                return {}  # COUNT(t.*)
            return self.column(node.name.lower(), node.table.lower())
        inner = self._reader.query(node, self._ctes, self)
        if None in inner.columns.values():
            raise UnknownColumnError(next(name for name, inputs in inner.columns.items() if inputs is None))
        return combined([*(inputs for inputs in inner.columns.values() if inputs), inner.rows])

    def column(self, name: str, alias: str) -> Inputs:
        """What a column of one of the sources, or of a query around this one, is made of."""
        if (name, alias) not in self._found:
            self._found[name, alias] = self._looked_for(name, alias)
        return self._found[name, alias]

    def _looked_for(self, name: str, alias: str) -> Inputs:
        for source_alias in [alias] if alias else self._having(name):
            source = self._sources.get(source_alias)
            if source is not None:
                return self._of_source(name, source_alias, source)
        if not alias and self._aliases.get(name) is not None:
            return self._aliases[name] or {}  # engines that let a column use the one before
        if self._outer is not None:
            return self._outer.column(name, alias)
        raise UnknownColumnError(f"{alias}.{name}" if alias else name)

    def _having(self, name: str) -> list[str]:
        """The source that has a column without a table; where none is known to, the one table that may."""
        sure = [alias for alias, source in self._sources.items() if name in source.made]
        if sure:
            return sure[:1]
        may = [alias for alias, source in self._sources.items() if source.table and not source.made.complete]
        return may if len(may) == 1 else []

    def _of_source(self, name: str, alias: str, source: _From) -> Inputs:
        if name not in source.made and source.table is not None:
            own = self._reader.leaf(source.table, name)
        else:
            own = source.made.column(name)
        return combined([own, self._lookup(alias, source)])

    def _lookup(self, alias: str, source: _From) -> Inputs:
        """By which columns of other sources the rows of a joined one are found."""
        if source.joined_by is None:
            return {}
        if alias not in self._lookups:
            self._lookups[alias] = {}  # a condition may name its own source
            columns = [node for node in source.joined_by.find_all(exp.Column) if node.table.lower() != alias]
            self._lookups[alias] = combined(self._inputs_as(node, "JOIN") for node in columns)
        return self._lookups[alias]


def _parts(node: exp.Expr, use: Use) -> Iterator[tuple[exp.Expr, Use]]:
    """The columns and subqueries of an expression, each with how it is used."""
    if isinstance(node, exp.Column | exp.Query):
        yield node, use
        return
    for child, child_use in _children(node, use):
        yield from _parts(child, child_use)


def _children(node: exp.Expr, use: Use) -> Iterator[tuple[exp.Expr, Use]]:
    inner: Use = use if isinstance(node, exp.Alias | exp.Paren) else _at_least(use, "TRANSFORMATION")
    decides: set[int] = set()
    match node:
        case exp.Case() | exp.If():
            decides = {id(node.this)}
        case exp.Window():
            decides = {id(child) for child in node.iter_expressions() if child is not node.this}
        case exp.Filter():
            decides = {id(node.expression)}
        case exp.Exists() | exp.In():
            decides = {id(child) for child in node.iter_expressions()}
        case exp.AggFunc():
            inner = _at_least(use, "AGGREGATION")
        case _:
            pass
    as_: Use = "WINDOW" if isinstance(node, exp.Window) else "CONDITIONAL"
    for child in node.iter_expressions():
        yield child, (as_ if use in DIRECT else use) if id(child) in decides else inner


def _at_least(use: Use, least: Use) -> Use:
    return max(use, least, key=DIRECT.index) if use in DIRECT else use
