"""Shows diagnostics as text: the offending piece underlined in its line, and what to do about it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omopcloudetl.core.errors import Diagnostic, abbreviated
from omopcloudetl.core.files.credentials import MASK, credentials_in
from omopcloudetl.core.files.project_loader import PROJECT_FILE
from omopcloudetl.core.files.spans import Sources

Style = Literal["error", "warning", "place", "gutter", "mark", "plain", "strong"]
TAB = 4
ELLIPSIS = "…"
CONTEXT = 10
"""Columns that are shown before and after a piece of a line that is too long for the width."""


@dataclass(frozen=True)
class Piece:
    """A part of a line, and what it is, so that a terminal can colour it."""

    text: str
    style: Style = "plain"


Line = tuple[Piece, ...]


def render_diagnostics(diagnostics: Iterable[Diagnostic], root: Path, *, width: int = 100, prefix: str = "") -> str:
    """The diagnostics as text for people.

    Args:
        diagnostics: What was found in the project in `root`.
        root: The project's folder, from which the offending lines are read.
        width: Columns that a line may take; longer lines of a file are cut around the offending piece.
        prefix: What stands before each file's name, such as the way from the current folder to the project.
    """
    return "\n".join(
        "".join(piece.text for piece in line)
        for line in diagnostic_lines(diagnostics, root, width=width, prefix=prefix)
    )


def diagnostic_lines(
    diagnostics: Iterable[Diagnostic], root: Path, *, width: int = 100, prefix: str = ""
) -> Iterator[Line]:
    """As `render_diagnostics`, line by line, in pieces that have a style."""
    found = list(diagnostics)
    sources = Sources(root)
    for diagnostic in sources.with_spans(found):
        yield from _block(diagnostic, sources, width, prefix)
        yield ()
    yield from _summary(found)


def _block(diagnostic: Diagnostic, sources: Sources, width: int, prefix: str) -> Iterator[Line]:
    severity, where = diagnostic.severity, diagnostic.position
    yield Piece(f"{severity}[{diagnostic.code}]", severity), Piece(f": {diagnostic.message}", "strong")
    lines = sources.lines(where.file)
    shown = lines[where.line - 1] if 0 < where.line <= len(lines) else ""
    margin = " " * len(str(where.line))
    yield Piece(f"{margin}--> ", "gutter"), Piece(f"{prefix}{where}", "place")
    if shown.strip():
        yield (Piece(f"{margin} |", "gutter"),)
        hidden = credentials_in(lines, where.line) if where.file == PROJECT_FILE else ()
        text, marks = _underlined(_cells(shown, hidden), diagnostic, width - len(margin) - 3)
        yield Piece(f"{where.line} | ", "gutter"), Piece(text)
        yield Piece(f"{margin} | ", "gutter"), Piece(marks, "mark")
    for name, note in _notes(diagnostic, is_shown=bool(shown.strip())):
        before = f"{margin} = "
        first, *others = _wrapped(note, width - len(before) - len(name) - 2)
        yield Piece(before, "gutter"), Piece(f"{name}: ", "strong"), Piece(first)
        for other in others:
            yield (Piece(" " * (len(before) + len(name) + 2)), Piece(other))


def _notes(diagnostic: Diagnostic, *, is_shown: bool) -> Iterator[tuple[str, str]]:
    """What is said below the marks; what was found is not repeated where its line is shown."""
    notes = {
        "found": None if is_shown else diagnostic.found,
        "did you mean": diagnostic.suggestion and f"{diagnostic.suggestion}?",
        "allowed": abbreviated(diagnostic.allowed) or None,
        "help": diagnostic.help,
    }
    for name, note in notes.items():
        if note is not None:
            yield name, note


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines of a width, broken between words; a word that is longer has a line of its own."""
    lines, room = [""], width
    for word in text.split():
        needed = _width(word) + bool(lines[-1])
        if needed > room and lines[-1]:
            lines.append("")
            room, needed = width, needed - 1
        lines[-1] += f" {word}" if lines[-1] else word
        room -= needed
    return lines


def _summary(diagnostics: Sequence[Diagnostic]) -> Iterator[Line]:
    counts = []
    for severity in ("error", "warning"):
        count = sum(diagnostic.severity == severity for diagnostic in diagnostics)
        counts += [f"{count} {severity}{'' if count == 1 else 's'}"] if count else []
    files = len({diagnostic.position.file for diagnostic in diagnostics})
    if counts:
        yield (Piece(f"{', '.join(counts)} in {files} file{'' if files == 1 else 's'}", "strong"),)


def _underlined(cells: Sequence[str], diagnostic: Diagnostic, width: int) -> tuple[str, str]:
    """The line and the marks below it, both cut to the width around what is marked."""
    start, end = min(diagnostic.position.column - 1, len(cells)), diagnostic.end
    if end is None:
        stop = start + 1
    elif end.line > diagnostic.position.line:
        stop = len("".join(cells).rstrip())
    else:
        stop = end.column - 1
    before, marked = cells[:start], cells[start : max(stop, start + 1)]
    indent = sum(map(_width, before))
    length = max(sum(map(_width, marked)), 1)
    if sum(map(_width, cells)) <= width:
        return "".join(cells), " " * indent + "^" * length
    return _cut(cells, start, min(max(stop, start + 1), len(cells)), max(width, 3 * CONTEXT))


def _cut(cells: Sequence[str], start: int, stop: int, width: int) -> tuple[str, str]:
    first = max(0, start - CONTEXT)
    last, room = first, width - 2
    while last < len(cells) and room >= _width(cells[last]):
        room -= _width(cells[last])
        last += 1
    left, right = ELLIPSIS if first else "", ELLIPSIS if last < len(cells) else ""
    indent = len(left) + sum(map(_width, cells[first:start]))
    length = sum(map(_width, cells[start : min(stop, last)]))
    return f"{left}{''.join(cells[first:last])}{right}", " " * indent + "^" * max(length, 1)


def _cells(line: str, hidden: Iterable[range]) -> list[str]:
    """What is shown for each character; a credential is a mask whose length tells nothing, and then nothing."""
    cells = [_cell(letter) for letter in line]
    for columns in hidden:
        cells[columns.start : columns.stop] = [MASK, *[""] * (len(columns) - 1)]
    return cells


def _cell(letter: str) -> str:
    """A character as it is shown: a tab as spaces, what could change the terminal as a mark."""
    if letter == "\t":
        return " " * TAB
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(letter) in {"Cc", "Cf", "Cs"} else letter


def _width(cell: str) -> int:
    """How many columns of a terminal a cell takes."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in cell
    )
