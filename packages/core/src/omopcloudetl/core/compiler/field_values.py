"""What a stage has for a field of the CDM, and the rows of other tables that it refers to."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.event_links import EventLink


@dataclass(frozen=True)
class FieldValue:
    """A field's value in the stage, and how to tell why it is missing."""

    name: str
    node: exp.Expr
    nullable: bool = True
    reasons: tuple[tuple[exp.Expr, str], ...] = ()
    """Conditions under which a NULL has a better reason than `missing`."""
    longest: int | None = None
    """How many characters the text has at most, where that can be told."""
    link: EventLink | None = None
    """The events that must be joined to the rows first."""
    take: str = "id"
    """What is taken of the event."""

    def quarantine_branches(self) -> list[tuple[exp.Expr, exp.Expr]]:
        """Branches of the reason's CASE for a field that must not be NULL."""
        if not self.nullable:
            return []
        empty = trees.is_null(self.node)
        found = []
        for reason in dict.fromkeys(reason for _, reason in self.reasons):
            conditions = [condition.copy() for condition, other in self.reasons if other == reason]
            present = trees.all_of([empty.copy(), trees.any_of(conditions)])
            found.append((present, trees.text(f"{self.name}: {reason}")))
        return [*found, (empty.copy(), trees.text(f"{self.name}: missing"))]


@dataclass(frozen=True)
class Reference:
    """A row of another CDM table, joined by its natural key."""

    entity: str
    table: str
    """The table of keys that has its id."""
    alias: str
    keys: tuple[exp.Expr, ...]

    def join_to(self, query: exp.Select) -> None:
        """Join the table of current keys to the mapping's rows."""
        compare = trees.equal if len(self.keys) == 1 else trees.same
        conditions = [
            compare(trees.column(f"key_{i}", self.alias), key.copy()) for i, key in enumerate(self.keys, start=1)
        ]
        trees.join(query, trees.table(self.table, self.alias), trees.all_of(conditions))
