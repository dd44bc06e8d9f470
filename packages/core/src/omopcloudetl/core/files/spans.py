"""Finds where the text that a diagnostic is about begins and ends; looked at only when there is a mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from omopcloudetl.core.errors import Diagnostic, Position

_TOKEN = re.compile(r"\w+|'[^'\n]*'?|\"[^\"\n]*\"?|\S")
_WORD = re.compile(r"\w")


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
    """One file, with the extents of its values and keys where it is YAML."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.lines = re.split(r"\r\n|\r|\n", text)
        self._starts = [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", text))]
        self._extents = self._scalars() if file.endswith((".yaml", ".yml")) else {}

    def with_span(self, diagnostic: Diagnostic) -> Diagnostic:
        """The diagnostic with its end, and with a start nearer to what is wrong."""
        where = diagnostic.position
        if not 0 < where.line <= len(self._starts):
            return diagnostic
        extent = self._extents.get((where.line, where.column)) or self._token(where)
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
        edges = [r"(?<!\w)" if _WORD.match(piece) else "", r"(?!\w)" if _WORD.match(piece[-1]) else ""]
        places = [found.start() for found in re.finditer(edges[0] + re.escape(piece) + edges[1], whole)]
        if number >= len(places):
            return extent
        start = extent.start + places[number]
        return _Extent(start, start + len(piece))

    def _token(self, where: Position) -> _Extent | None:
        """The word, text or mark at a place."""
        start = self._starts[where.line - 1] + where.column - 1
        found = _TOKEN.match(self.text, start)
        return _Extent(found.start(), found.end()) if found else None

    def _position(self, offset: int) -> Position:
        line = next(number for number in range(len(self._starts), 0, -1) if self._starts[number - 1] <= offset)
        return Position(self.file, line, offset - self._starts[line - 1] + 1)

    def _scalars(self) -> dict[tuple[int, int], _Extent]:
        found: dict[tuple[int, int], _Extent] = {}
        try:
            root = YAML(typ="safe", pure=True).compose(self.text)
        except (YAMLError, ValueError, RecursionError):
            return found
        seen: set[int] = set()
        todo: list[Node] = [root] if root is not None else []
        while todo:
            node = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            match node:
                case ScalarNode():
                    self._note(node, found)
                case MappingNode():
                    todo += [part for pair in node.value for part in pair]
                case SequenceNode():
                    todo += node.value
                case _:
                    pass
        return found

    def _note(self, node: ScalarNode, found: dict[tuple[int, int], _Extent]) -> None:
        start, end = node.start_mark, node.end_mark
        extent = _Extent(self._starts[start.line] + start.column, self._starts[min(end.line, len(self._starts) - 1)])
        stop = min(extent.end + end.column, len(self.text))
        stop = extent.start + len(self.text[extent.start : stop].rstrip())
        if stop > extent.start:
            found[start.line + 1, start.column + 1] = _Extent(extent.start, stop)
