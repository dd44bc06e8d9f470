"""Holds a YAML text against limits before its nodes are made: how deep it is nested and how much it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    NodeEvent,
)

MAX_BYTES = 4_000_000
MAX_NODES = 100_000  # a document of aliases that expands without end stops here
MAX_DEPTH = 60
LARGE = 100_000
"""Characters from which on a text is counted, and an error told by the parser in C: that in Python is slow."""
_DEEP_BLOCKS = re.compile(r"^[ ?:-]{100}", re.MULTILINE)


@dataclass(frozen=True)
class Excess:
    """What is too much about a text, and where that was noticed: line and column from 1."""

    message: str
    line: int
    column: int


TOO_MUCH = f"the document is deeper than {MAX_DEPTH} levels or has over {MAX_NODES:,} values"


def excess_of(text: str) -> Excess | None:
    """What is too much about a text; None if nothing is, or if it is no YAML.

    Parsers make their nodes in recursion, that in C without a look at the stack, and need twenty times as long for
    them as for reading what there is.
    """
    if len(text) > MAX_BYTES:
        return Excess(f"the file is larger than {MAX_BYTES:,} characters", 1, 1)
    if len(text) <= LARGE and not _may_be_deep(text) and not ("&" in text and "*" in text):
        return None
    try:
        return _counted(text)
    except (YAMLError, ValueError, RecursionError):
        return None  # who composes it tells


def _may_be_deep(text: str) -> bool:
    return text.count("[") + text.count("{") > MAX_DEPTH or _DEEP_BLOCKS.search(text) is not None


def _counted(text: str) -> Excess | None:
    """Count the values, those of an alias as often as it is used."""
    nodes = documents = 0
    opened: list[tuple[str | None, int]] = []
    sizes: dict[str | None, int] = {}
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, AliasEvent):
            nodes += sizes.get(event.anchor, 1)
        elif isinstance(event, NodeEvent):
            if isinstance(event, CollectionStartEvent):
                opened.append((event.anchor, nodes))
            nodes += 1
        elif isinstance(event, CollectionEndEvent):
            anchor, before = opened.pop()
            sizes[anchor] = nodes - before
        documents += isinstance(event, DocumentStartEvent)
        # A key is a node as well as its value.
        if len(opened) > MAX_DEPTH + 1 or nodes > 2 * MAX_NODES:
            return Excess(TOO_MUCH, event.start_mark.line + 1, event.start_mark.column + 1)
        if documents > 1:
            return None  # a mistake of its own
    return None
