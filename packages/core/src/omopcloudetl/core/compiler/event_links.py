"""References to rows that event mappings make: `{event: medications, key: […]}`.

The rows of an event get their ids after every stage is made. `work.event_<mapping>` then has, for each source row of
the mapping, its natural key, and id and table of the row that stands for it. A mapping of a table that no event writes
is staged after that, so that a row whose required reference is unknown is set aside. The stage of any other keeps the
key, and the reference is resolved where the table is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.errors import Position
from omopcloudetl.core.models.values import EventReferenceValue
from omopcloudetl.core.text import plural

EVENT_KEY, EVENT_ID, EVENT_TABLE = "event_key", "event_id", "event_table"
EVENT_OCCURRENCE, EVENT_FIELD = "event_occurrence", "event_field_concept_id"

DOMAINS: dict[str, tuple[str, int]] = {
    "condition_occurrence": ("Condition", 19),
    "drug_exposure": ("Drug", 13),
    "procedure_occurrence": ("Procedure", 10),
    "measurement": ("Measurement", 21),
    "observation": ("Observation", 27),
    "device_exposure": ("Device", 17),
    "specimen": ("Specimen", 36),
    "visit_occurrence": ("Visit", 8),
    "visit_detail": ("Visit", 8),
    "episode": ("Episode", 32527),
}
"""Table of events → name and concept of its domain, as the vocabulary's table `domain` has them."""
LONGEST = max(len(text) for table, (domain, _) in DOMAINS.items() for text in (table, domain))
"""How many characters the name of a table or domain has at most."""


@dataclass(frozen=True)
class EventLink:
    """The events that the rows of a mapping refer to: those of another, by their natural key."""

    event: str
    alias: str
    """Under which the table of events is joined; the columns by which it is joined are named after it."""
    pair: bool = False
    """Whether rows of one key refer to its events one by one; else to the first."""

    @property
    def table(self) -> str:
        """The table of events."""
        return f"work.event_{self.event}"

    @property
    def key(self) -> str:
        """The column of a mapping's rows that has the event's natural key; NULL where no part is given."""
        return f"{self.alias}_key"

    @property
    def occurrence(self) -> str:
        """The column of a mapping's rows that counts those of one key."""
        return f"{self.alias}_occurrence"

    @property
    def columns(self) -> list[str]:
        """The columns by which a row finds its event."""
        return [self.key, *([self.occurrence] if self.pair else [])]

    def join_to(self, query: exp.Select, rows: str, *, also: Sequence[exp.Expr] = ()) -> None:
        """Join the events to rows that have the link's columns under the alias `rows`."""
        number = trees.column(self.occurrence, rows) if self.pair else trees.number(1)
        same_key = trees.equal(trees.column(EVENT_KEY, self.alias), trees.column(self.key, rows))
        same_number = trees.equal(trees.column(EVENT_OCCURRENCE, self.alias), number)
        trees.join(query, trees.table(self.table, self.alias), trees.all_of([*also, same_key, same_number]))

    def value(self, take: str) -> exp.Expr:
        """What is taken of the event that is joined; NULL without one."""
        own = {"id": EVENT_ID, "table": EVENT_TABLE, "field_concept_id": EVENT_FIELD}
        if take in own:
            return trees.column(own[take], self.alias)
        branches: list[tuple[exp.Expr, exp.Expr]] = []
        for table, (name, concept) in DOMAINS.items():
            result = trees.text(name) if take == "domain" else trees.number(concept)
            branches.append((trees.equal(trees.column(EVENT_TABLE, self.alias), trees.text(table)), result))
        return trees.case(branches, None)


def is_late(compilation: Compilation, target: str | None) -> bool:
    """Whether events are joined where a mapping's table is written: rows of that table may be events themselves."""
    return target is None or target in compilation.event_tables


def check_event(compilation: Compilation, value: EventReferenceValue, at: Callable[..., Position]) -> None:
    """The event must be a mapping of events, and its key must have as many parts; `at` tells where a part stands."""
    arity = compilation.events.get(value.event)
    may_be_there = not compilation.project.incomplete.isdisjoint(("mappings", "steps"))
    if arity is None and not may_be_there:
        compilation.problem(
            "unknown-event",
            f"there is no mapping of `kind: event` named '{value.event}'",
            at("event"),
            found=value.event,
            allowed=tuple(compilation.events),
            help="for rows of another kind of mapping use {reference: TABLE, key: …}",
        )
    elif arity is not None and arity != len(value.key):
        message = f"the natural key of '{value.event}' has {plural(arity, 'part')}"
        help_ = "give as many, in the order of that mapping's `key`"
        compilation.problem("key-arity", message, at("key"), found=plural(len(value.key), "part"), help=help_)


def check_taken(compilation: Compilation, name: str, type_: str, value: EventReferenceValue, place: Position) -> None:
    """A field of numbers takes ids and concepts, a field of text the names of tables and domains."""
    takes_text, is_text = value.take in {"table", "domain"}, type_.partition("(")[0] in {"varchar", "text"}
    if takes_text != is_text:
        fitting = ("table", "domain") if is_text else ("id", "domain_concept_id", "field_concept_id")
        message = f"{name} is of type {type_}, and `take: {value.take}` gives {'a text' if takes_text else 'a number'}"
        help_ = f"take {', '.join(fitting)}"
        compilation.problem("type-mismatch", message, place, found=value.take, help=help_)


def check_late(compilation: Compilation, name: str, write: str, place: Position, *, required: bool) -> None:
    """Where the reference is resolved as the table is written, rows are not set aside any more, nor merged."""
    if required:
        message = f"{name} is required, and the ids of events are known only when its rows are written"
        compilation.problem("late-reference", message, place, help="fill it in another way")
    elif write != "full":
        message = f"rows of events that are written with `write: {write}` cannot refer to events"
        help_ = "use `write: full`, or say the relation in a mapping of cdm.fact_relationship"
        compilation.problem("late-reference", message, place, help=help_)
