"""Translates regular expressions as authors write them, which are RE2's, into PostgreSQL's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlglot.errors import UnsupportedError

_OPTIONS = re.compile(r"\(\?([a-zA-Z]+)\)")
_NAMED = re.compile(r"\(\?P?<[A-Za-z_]\w*>")
_PIECE = re.compile(r"\\x\{|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|\(\?[^:]|.", re.DOTALL)
_ESCAPES = {r"\b": r"\y", r"\B": r"\Y", r"\z": r"\Z"}
"""Borders of words and the end of the text, which PostgreSQL spells otherwise: its `\\b` is a control character."""
_NO_WORDS = (r"\x{", r"\p", r"\P", r"\Q", r"\C", "(?")
_ANY_LETTER = r"[^\n]"
"""What `.` means, unless an option says otherwise."""


@dataclass(frozen=True)
class Pattern:
    """A regular expression in PostgreSQL's spelling: its options, which stand in front, and the rest."""

    options: str
    body: str

    @property
    def text(self) -> str:
        """The whole."""
        return f"{self.options}{self.body}"

    @property
    def full_match(self) -> str:
        """One that matches only a text as a whole."""
        return f"{self.options}^(?:{self.body})$"


def translated(pattern: str, options: str = "") -> Pattern:
    """A pattern with RE2's options; raises `UnsupportedError` for what PostgreSQL has no words for."""
    while (found := _OPTIONS.match(pattern)) is not None:
        options, pattern = options + found[1], pattern[found.end() :]
    if unknown := set(options) - set("cilms"):
        raise UnsupportedError(f"the option '{min(unknown)}' of a regular expression has no words in PostgreSQL")
    if "l" in options:
        raise UnsupportedError("a text that is no regular expression is looked for by contains(…) on PostgreSQL")
    letter = "." if "s" in options else _ANY_LETTER
    pieces = _PIECE.findall(_NAMED.sub("(", pattern))
    body = "".join(letter if piece == "." else _spelled(piece) for piece in pieces)
    kept = ("i" if "i" in options else "") + ("w" if "m" in options else "")
    return Pattern(f"(?{kept})" if kept else "", body)


def replacement(text: str) -> str:
    r"""What is put in place of a match: `\\0`, all of it, is `\\&` in PostgreSQL."""
    return re.sub(r"\\(.)", lambda found: r"\&" if found[1] == "0" else found[0], text)


def _spelled(piece: str) -> str:
    if piece.startswith(_NO_WORDS):
        raise UnsupportedError(f"'{piece}' of a regular expression has no words in PostgreSQL")
    return _ESCAPES.get(piece, piece)
