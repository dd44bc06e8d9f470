"""The ids that stand for natural keys in a rule test: of tables, and of the rows that mappings of events made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from omopcloudetl.core.compiler.keys import ESCAPE, NULL, SEPARATOR
from omopcloudetl.core.models.rule_tests import RuleTest, plain_key
from omopcloudetl.core.rule_tests.asked import EVENTS, KEYS
from omopcloudetl.core.rule_tests.slices import Slice

KeyText = tuple[str | None, ...]
IDS_OF_A_TABLE = 1000
"""Ids of two tables are never the same, so that a test notices when one stands for the other."""


@dataclass
class Ids:
    """The ids that stand for natural keys: by table, in the order in which they are met."""

    entities: Sequence[str]
    """Every table with ids by natural key, in order."""
    unknown: Mapping[str, frozenset[KeyText]]
    """Keys of rows that are not there."""
    of: dict[tuple[str, KeyText], int] = field(default_factory=dict)

    def learn(self, entity: str, key: KeyText) -> int | None:
        """The id of a key, a new one if it is met the first time; None for one that is unknown or whole NULL."""
        if key in self.unknown.get(entity, ()) or all(part is None for part in key):
            return None
        known = self.of.get((entity, key))
        if known is None:
            count = sum(other == entity for other, _ in self.of)
            known = self.of[entity, key] = IDS_OF_A_TABLE * (self.entities.index(entity) + 1) + count + 1
        return known

    def forget(self, entity: str) -> None:
        """Forget the ids of a table that the mapping numbers itself."""
        self.of = {(name, key): id_ for (name, key), id_ in self.of.items() if name != entity}


def ids_of(made: Slice, test: RuleTest) -> Ids:
    """No ids yet, for one test."""
    unknown = {entity: frozenset(plain_key(key) for key in keys) for entity, keys in test.unknown.items()}
    for entity, table in made.key_tables.items():  # one row has both ids, or there is none
        either = unknown.get(entity, frozenset()) | unknown.get(table, frozenset())
        unknown |= {entity: either, table: either}
    return Ids(sorted({*made.key_parts, *made.events, *unknown}), unknown)


def learn(table: str, asked: Sequence[object], ids: Ids) -> None:
    """Let there be a row of a natural key that is asked for."""
    if table.startswith(EVENTS):
        text, occurrence = asked
        if text is not None:
            again = () if occurrence in (None, 1) else (f"#{occurrence}",)
            ids.learn(table.removeprefix(EVENTS), (*key_parts(str(text)), *again))
    else:
        ids.learn(table.removeprefix(KEYS), tuple(None if part is None else str(part) for part in asked))


def key_of(parts: KeyText) -> str:
    """A natural key as one text, as `compiler.keys.key_text` makes it."""
    escaped = (
        NULL if part is None else part.replace(ESCAPE, ESCAPE * 2).replace(SEPARATOR, ESCAPE + SEPARATOR)
        for part in parts
    )
    return SEPARATOR.join(escaped)


def key_parts(text: str) -> KeyText:
    """The parts of a natural key that is one text."""
    parts: list[str | None] = [""]
    letters = iter(text)
    for letter in letters:
        if letter == SEPARATOR:
            parts.append("")
            continue
        meant = next(letters) if letter == ESCAPE else letter
        parts[-1] = None if letter + meant == NULL else f"{parts[-1]}{meant}"
    return tuple(parts)
