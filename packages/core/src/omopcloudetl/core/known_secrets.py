"""The secrets that this process looked up, in every spelling, so that what it tells can be held against them.

A connection keeps its own secrets out of its errors (`redaction`). What others tell of it, such as a driver that logs
or warns by itself, or a value that the database gives back, passes through `without_secrets` where it is shown or kept.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import quote, quote_plus

from pydantic import PlainSerializer

HIDDEN = "***"
SHORTEST_LINE = 8
SHORTEST_ANYWHERE = 4
"""A secret of fewer letters is looked for in errors of its connection alone: it stands in many a word."""
_ESCAPED = re.compile(r"%[0-9A-F]{2}")
_LOCK = threading.Lock()
_known: set[str] = set()
_spelt: tuple[str, ...] = ()


def remember(secrets: Iterable[str]) -> None:
    """From now on these are hidden in all that is told; blanks around them do not count."""
    global _spelt  # the process has one log, and one set of what may not stand in it
    with _LOCK:
        _known.update(secret for secret in secrets if len(secret.strip()) >= SHORTEST_ANYWHERE)
        _spelt = tuple(one for one in spellings(_known) if len(one) >= SHORTEST_ANYWHERE)


def without_secrets(text: str) -> str:
    """The text with every known secret replaced."""
    return hidden(text, _spelt) if _spelt else text


Told = Annotated[str, PlainSerializer(without_secrets)]
"""A text of a record that quotes what somebody else said: it is written without known secrets."""


def spellings(secrets: Iterable[str]) -> list[str]:
    """Every way in which a text may quote a secret, the longest first."""
    found: set[str] = set()
    for secret in secrets:
        # A key of several lines is quoted line by line, or only its first one.
        for part in (secret, *(line for line in secret.splitlines() if len(line) >= SHORTEST_LINE)):
            in_urls = quote(part), quote(part, safe=""), quote_plus(part)
            found.update((part, part.strip(), *in_urls, *(_ESCAPED.sub(lambda m: m[0].lower(), u) for u in in_urls)))
            found.update((json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1], repr(part)[1:-1]))
            found.update(part.replace(mark, mark * 2) for mark in ("'", '"', "\\"))
    return sorted(filter(None, found), key=len, reverse=True)


def hidden(text: str, spelt: Iterable[str]) -> str:
    """The text with every spelling replaced."""
    for secret in spelt:
        text = text.replace(secret, HIDDEN)
    return text
