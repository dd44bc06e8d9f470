"""Finds where the text that a diagnostic is about begins and ends; looked at only when there is a mistake."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from omopcloudetl.core.errors import Diagnostic, Position
from omopcloudetl.core.files.yaml_document import compose
from omopcloudetl.core.files.yaml_limits import excess_of

_TOKEN = re.compile(r"\w+|'[^'\n]*'?|\"[^\"\n]*\"?|\S")
_YAML = (".yaml", ".yml")
_WORD = re.compile(r"\w")
MAX_CHARACTERS = 300_000
"""A longer file is not read a second time for the ends of its values."""


def as_word(text: str) -> re.Pattern[str]:
    """A pattern for a text where it is no part of a longer word."""
    before = r"(?<!\w)" if _WORD.match(text) else ""
    after = r"(?!\w)" if _WORD.match(text[-1:]) else ""
    return re.compile(before + re.escape(text) + after)


class Sources:
    """The texts of a project's files, for showing what a diagnostic is about; what cannot be read is empty."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._texts: dict[str, _Text] = {}

    def lines(self, file: str) -> list[str]:
        """The lines of a file."""
        return self._text(file).lines

    def with_spans(self, diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
        """The diagnostics, each with the place of exactly the text that it is about, as far as that can be told."""
        return tuple(
            diagnostic if diagnostic.end else self._text(diagnostic.position.file).with_span(diagnostic)
            for diagnostic in diagnostics
        )

    def _text(self, file: str) -> _Text:
        if file not in self._texts:
            path = self._root / file
            try:
                inside = path.resolve().is_relative_to(self._root.resolve())
                content = path.read_bytes().decode("utf-8-sig", errors="replace") if inside else ""
            except (OSError, ValueError, RuntimeError):
                content = ""
            self._texts[file] = _Text(file, content)
        return self._texts[file]


@dataclass(frozen=True)
class _Extent:
    """A part of a text, by offsets."""

    start: int
    end: int


class _Text:
    """One file, with the extents of keys and values where it is YAML."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.lines = re.split(r"\r\n|\r|\n", text)
        self._starts = [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", text))]
        self._extents = self._values() if file.endswith(_YAML) else {}

    def with_span(self, diagnostic: Diagnostic) -> Diagnostic:
        """The diagnostic with its end, and with a start nearer to what is wrong."""
        where = diagnostic.position
        if not 0 < where.line <= len(self._starts):
            return diagnostic
        extent = self._extents.get((where.line, where.column)) or self._token(where, diagnostic.found or "")
        if extent is None:
            return diagnostic
        extent = self._narrowed(extent, diagnostic)
        return replace(diagnostic, position=self._position(extent.start), end=self._position(extent.end))

    def _narrowed(self, extent: _Extent, diagnostic: Diagnostic) -> _Extent:
        """The piece of a longer text that is meant: the one that is named, else the word that was found in it."""
        piece, number = diagnostic.piece or (diagnostic.found or "", 0)
        whole = self.text[extent.start : extent.end]
        if not piece or piece == whole:
            return extent
        places = [match.start() for match in as_word(piece).finditer(whole)]
        is_collection = whole[0] in "{[" and self.file.endswith(_YAML)
        if number >= len(places) or (is_collection and len(places) > 1):
            return extent
        start = extent.start + places[number]
        return _Extent(start, start + len(piece))

    def _token(self, where: Position, found: str) -> _Extent | None:
        """What was found if it stands at a place, else the word, text or mark there."""
        start = self._starts[where.line - 1] + where.column - 1
        if found and self.text[start : start + len(found)].lower() == found.lower():
            return _Extent(start, start + len(found))
        token = _TOKEN.match(self.text, start)
        return _Extent(token.start(), token.end()) if token else None

    def _position(self, offset: int) -> Position:
        line = bisect_right(self._starts, offset)
        return Position(self.file, line, offset - self._starts[line - 1] + 1)

    def _values(self) -> dict[tuple[int, int], _Extent]:
        """The extents of keys, plain values and collections in brackets, by line and column."""
        found: dict[tuple[int, int], _Extent] = {}
        if len(self.text) > MAX_CHARACTERS or excess_of(self.text) is not None:
            return found
        try:
            root = compose(self.text)
        except (YAMLError, ValueError, RecursionError):
            return found
        seen: set[int] = set()
        todo: list[Node] = [root] if root is not None else []
        while todo:
            node = todo.pop()
            if id(node) in seen:  # an alias
                continue
            seen.add(id(node))
            if isinstance(node, ScalarNode) or (isinstance(node, CollectionNode) and node.flow_style):
                self._note(node, found)
            if isinstance(node, CollectionNode):
                todo += [part for pair in node.value for part in pair] if isinstance(node, MappingNode) else node.value
        return found

    def _note(self, node: Node, found: dict[tuple[int, int], _Extent]) -> None:
        start, end = node.start_mark, node.end_mark
        first = self._starts[start.line] + start.column
        last = self._starts[end.line] + end.column if end.line < len(self._starts) else len(self.text)
        last = first + len(self.text[first:last].rstrip())
        if last > first:
            found[start.line + 1, start.column + 1] = _Extent(first, last)
