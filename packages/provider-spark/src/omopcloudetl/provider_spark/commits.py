"""Reads from a table's last commit how many rows a statement wrote, where the server does not tell them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = r"(?:`(?:[^`]|``)+`|\w+)"
_CHANGE = re.compile(
    r"\s*(?:INSERT\s+(?:OVERWRITE|INTO)(?:\s+TABLE)?|CREATE\s+OR\s+REPLACE\s+TABLE|(?P<delete>DELETE)\s+FROM)\s+"
    rf"(?P<table>{_NAME}(?:\.{_NAME})*)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Commit:
    """What the last commit of a table says of itself."""

    id: int
    application: str | None = None
    """The one that made it."""
    added: int = 0
    deleted: int = 0
    """Rows of files that were left out; a statement that deletes some of a file adds the others again."""


@dataclass(frozen=True)
class Change:
    """A statement whose rows can be read from a commit: one that inserts, makes a table, or deletes."""

    table: str
    """Its name, as the statement spells it."""
    is_delete: bool

    def rows(self, before: Commit | None, after: Commit | None, application: str) -> int | None:
        """How many rows it wrote or deleted, by the commits before and after it; None where nobody can tell."""
        if after is None or (before is not None and before.id == after.id):
            return None if after is None else 0
        if after.application != application:  # another one was quick
            return None
        return after.deleted - after.added if self.is_delete else after.added


def change_of(sql: str) -> Change | None:
    """What a statement changes; None where a commit does not tell: UPDATE and MERGE write rows again as they are."""
    found = _CHANGE.match(sql)
    return None if found is None else Change(found["table"], found["delete"] is not None)
