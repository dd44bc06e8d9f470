"""Finds out which rows of other mappings a statement asks for, so that a test need not give them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.event_links import EVENT_KEY, EVENT_OCCURRENCE
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.models.base import LOGICAL_SCHEMAS

LOGICAL = {name: name for name in LOGICAL_SCHEMAS}
KEYS = "work.key_"
"""Beginning of the tables that have the natural keys of a CDM table's rows."""
EVENTS = "work.event_"
"""Beginning of the tables that have the natural keys of the rows that a mapping of events made."""


@dataclass(frozen=True)
class KeyQuery:
    """Which natural keys of another table the rows of a statement refer to."""

    table: str
    """`work.key_person`, or `work.event_conditions`."""
    sql: str
    """A query of the distinct keys, one column for each part; of events the text of the key and its occurrence."""


def key_queries(tree: exp.Expr, generator: BaseSQLGenerator) -> tuple[KeyQuery, ...]:
    """For each join of a statement with the keys of a table: the keys that are asked for there."""
    found = []
    for select in tree.find_all(exp.Select):
        for join in select.args.get("joins") or ():
            name = f"{join.this.db}.{join.this.name}" if isinstance(join.this, exp.Table) else ""
            if name.startswith((KEYS, EVENTS)):
                query = _asked(select, join, _EVENT_PARTS if name.startswith(EVENTS) else None)
                found += [KeyQuery(name, generator.render(query, LOGICAL))] if query is not None else []
    return tuple(found)


_EVENT_PARTS = (EVENT_KEY, EVENT_OCCURRENCE)


def _asked(select: exp.Select, join: exp.Join, names: Sequence[str] | None) -> exp.Select | None:
    """A query of the distinct keys that a join looks up, over the tables that are joined before it."""
    values = {column: value for column, value in _compared(join) if column in (names or (column,))}
    parts = names or [f"key_{i}" for i in range(1, sum(name.startswith("key_") for name in values) + 1)]
    if not parts or not values.keys() >= set(parts):
        return None
    query = trees.select(*(trees.named(values[name].copy(), name) for name in parts))
    query.set("distinct", exp.Distinct())
    query.set("from_", select.args["from_"].copy())
    before = select.args["joins"][: select.args["joins"].index(join)]
    used = {column.table for name in parts for column in values[name].find_all(exp.Column)}
    query.set("joins", _needed(before, used))
    with_ = next((node.args["with_"] for node in _around(select) if node.args.get("with_")), None)
    if with_ is not None:
        query.set("with_", with_.copy())
    return query


def _compared(join: exp.Join) -> Iterator[tuple[str, exp.Expr]]:
    """Columns of the joined table, and what each is compared with."""
    alias, on = join.this.alias_or_name, join.args["on"]
    for condition in on.flatten() if isinstance(on, exp.And) else (on,):
        compared = condition.unnest()
        if isinstance(compared, exp.EQ | exp.NullSafeEQ):
            for mine, other in ((compared.left, compared.right), (compared.right, compared.left)):
                if isinstance(mine, exp.Column) and mine.table == alias:
                    yield mine.name, other


def _around(select: exp.Select) -> Iterator[exp.Expr]:
    node: exp.Expr | None = select
    while node is not None:
        yield node
        node = node.parent


def _needed(joins: Sequence[exp.Join], used: set[str]) -> list[exp.Join]:
    """Copies of the joins whose columns are used, and of those that these need."""
    kept: list[exp.Join] = []
    for join in reversed(joins):
        if join.this.alias_or_name in used:
            kept.insert(0, join.copy())
            on = join.args.get("on")
            used |= {column.table for column in on.find_all(exp.Column)} if on is not None else set()
    return kept
