"""Has a text be read once a row, by a LATERAL query beside the tables, where a SELECT reads it in several places.

Where a dialect has no TRY_CAST that reads as the compiler means it, each reading is an expression of several hundred
letters. Spelled in each place, it makes statements long, and engines evaluate it as often as it stands there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from sqlglot import exp

from omopcloudetl.core.sql_rewriting import is_whole

_ALIAS = "read"
_READS = (exp.TryCast, exp.Try, exp.Anonymous)
# A join's condition is asked before the LATERAL query, which comes last.
_AFTER_TABLES = ("expressions", "where", "group", "having", "windows", "order", "distinct")


@dataclass(frozen=True)
class OnceReader:
    """How a dialect reads a text once a row."""

    is_read: Callable[[exp.Expr], bool]
    """Whether a cast reads a text there, or what may be none, and is no plain cast."""
    offset: bool
    """Whether OFFSET 0 has to keep the engine from merging the query into the one around."""

    def rewrite(self, statement: exp.Expr) -> exp.Expr:
        """The statement, in which each SELECT reads a text as a type once."""
        for select in list(statement.find_all(exp.Select)):
            has_star = any(isinstance(node, exp.Star) for node in select.expressions)
            if select.args.get("from_") is not None and not has_star:
                while shared := self._repeated(select):
                    _share(select, shared, offset=self.offset)
        return statement

    def _repeated(self, select: exp.Select) -> list[list[exp.Expr]]:
        """The innermost casts that stand in the SELECT more than once, each with its places."""
        places: dict[exp.Expr, list[exp.Expr]] = {}
        tables = _tables(select)
        for node in _own_casts(select):
            if self.is_read(node) and _is_of(node, tables):
                places.setdefault(node, []).append(node)
        repeated = {node: found for node, found in places.items() if len(found) > 1}
        return [found for node, found in repeated.items() if not any(inner in repeated for inner in _within(node))]


def _own_casts(select: exp.Select) -> Iterator[exp.Expr]:
    """The casts of a SELECT, without those of its tables and of queries within it.

    Where there are groups, only those that are aggregated: of another, the server would have to know its group.
    """
    grouped = select.args.get("group") is not None
    for key in _AFTER_TABLES:
        found = select.args.get(key)
        parts = found if isinstance(found, list) else [found] if isinstance(found, exp.Expr) else []
        for node in chain.from_iterable(part.walk(prune=_is_query) for part in parts):
            if isinstance(node, _READS) and (not grouped or _is_aggregated(node)):
                yield node


def _is_query(node: exp.Expr) -> bool:
    return isinstance(node, exp.Query)


def _is_aggregated(node: exp.Expr) -> bool:
    """Whether it is within an aggregate of a group; one that is a window is asked of the groups."""
    outer = node.find_ancestor(exp.AggFunc, exp.Select)
    return isinstance(outer, exp.AggFunc) and not isinstance(outer.find_ancestor(exp.Window, exp.Select), exp.Window)


def _within(node: exp.Expr) -> Iterator[exp.Expr]:
    return (inner for inner in node.find_all(*_READS) if inner is not node)


def _tables(select: exp.Select) -> set[str]:
    """The aliases of what a SELECT reads."""
    joined = [join.this for join in select.args.get("joins") or ()]
    return {source.alias_or_name for source in (select.args["from_"].this, *joined)}


def _is_of(node: exp.Expr, tables: set[str]) -> bool:
    """Whether it is made of columns of these tables, and queries that read their own."""
    own = _aliases(node)
    columns = list(node.find_all(exp.Column))
    return bool(columns) and all(column.table in tables | own for column in columns)


def _aliases(tree: exp.Expr) -> set[str]:
    """What the tables and queries of a tree are called in it."""
    return {
        node.alias_or_name if isinstance(node, exp.Table) else node.name
        for node in tree.find_all(exp.Table, exp.TableAlias)
    }


def _share(select: exp.Select, shared: Sequence[Sequence[exp.Expr]], *, offset: bool) -> None:
    """Read each in one place, and have its column in all others."""
    alias = _free(_ALIAS, _aliases(select.root()))
    names: set[str] = set()
    values = []
    for places in shared:
        value = places[0].copy()
        name = _free(_name(value), names)
        names.add(name)
        values.append(exp.alias_(value, name, quoted=True))
        for place in places:
            column = exp.column(name, alias, quoted=True)
            column.type = _type_of(place)
            place.replace(column)
    query = exp.Select(expressions=values)
    if offset:
        query.set("offset", exp.Offset(expression=exp.Literal.number(0)))
    named = exp.TableAlias(this=exp.to_identifier(alias, quoted=True))
    lateral = exp.Lateral(this=exp.Subquery(this=query), alias=named)
    select.append("joins", exp.Join(this=lateral, kind="CROSS"))


def _type_of(read: exp.Expr) -> exp.DataType:
    """The type of what is read."""
    if isinstance(read, exp.Try):
        return exp.DataType.build("timestamp")
    to: exp.DataType = read.expressions[1] if is_whole(read) else read.args["to"]
    return to.copy()


def _name(value: exp.Expr) -> str:
    """That of the column that is read, where it is one."""
    of = value.this if isinstance(value, exp.TryCast) else next(iter(value.expressions), None)
    return of.name if isinstance(of, exp.Column) else "value"


def _free(name: str, taken: set[str]) -> str:
    """A name that is not taken."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found
