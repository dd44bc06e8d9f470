"""Reads one YAML file into plain values and remembers where each of them stands."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from omopcloudetl.core.errors import Diagnostic, Position, ProjectError

Path = tuple[str | int, ...]
MAX_BYTES = 4_000_000
MAX_NODES = 200_000  # a document of aliases that expands without end stops here
MAX_DEPTH = 60


@dataclass(frozen=True)
class YamlDocument:
    """A file's values and the position of every key and value, by path from the root."""

    file: str
    data: Any
    positions: dict[Path, Position] = field(repr=False)

    def at(self, *path: str | int) -> Position:
        """The position of the value at `path`, or of its nearest parent that the file holds."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.positions:
                return self.positions[path[:end]]
        return Position(self.file)


def parse_yaml(file: str, text: str) -> YamlDocument:
    """Parse the text of `file`; syntax errors, duplicate keys and bombs become a `ProjectError`."""
    if len(text) > MAX_BYTES:
        raise _problem(file, "yaml-too-large", f"the file is larger than {MAX_BYTES:,} characters")
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file)
        message = error.problem or error.context or "this is not YAML"
        raise ProjectError([Diagnostic("yaml-syntax", message, where, help=_yaml_help(text, where))]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise _problem(file, "yaml-syntax", str(error).splitlines()[0] or "this is not YAML") from None
    reader = _Reader(file)
    data = reader.value(root, (), 0) if root is not None else None
    return YamlDocument(file, data, reader.positions)


def _yaml_help(text: str, where: Position) -> str | None:
    lines = text.splitlines()
    line = lines[where.line - 1] if 0 < where.line <= len(lines) else ""
    return "indent with spaces; YAML does not allow tabs" if "\t" in line else None


def _problem(file: str, code: str, message: str) -> ProjectError:
    return ProjectError([Diagnostic(code, message, Position(file))])


class _Reader:
    """Turns ruamel's nodes into plain values, noting positions on the way."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.positions: dict[Path, Position] = {}
        self.nodes = 0

    def value(self, node: Node, path: Path, depth: int) -> Any:
        self.nodes += 1
        position = Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)
        self.positions.setdefault(path, position)
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            message = f"the document is deeper than {MAX_DEPTH} levels or has over {MAX_NODES:,} values"
            raise ProjectError([Diagnostic("yaml-too-large", message, position)])
        if isinstance(node, MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, position)

    def _mapping(self, node: MappingNode, path: Path, depth: int) -> dict[Hashable, Any]:
        result: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            where = Position(self.file, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, ScalarNode):
                raise ProjectError([Diagnostic("yaml-key", "a key must be a plain value", where)])
            key = str(key_node.value)
            if key in result:
                raise ProjectError([Diagnostic("duplicate-key", f"the key '{key}' is given twice", where)])
            result[key] = self.value(value_node, (*path, key), depth + 1)
        return result

    def _scalar(self, node: ScalarNode, position: Position) -> object:
        kind = str(node.tag).rsplit(":", 1)[-1]
        text = str(node.value)
        try:
            match kind:
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return int(text.replace("_", ""), 0) if text[:2] in {"0x", "0o"} else int(text)
                case "float":
                    return float(text.replace("_", ""))
                case "str" | "timestamp":
                    return text
        except ValueError:
            return text
        message = f"the tag '{node.tag}' is not allowed"
        raise ProjectError([Diagnostic("yaml-tag", message, position, help="write a plain value")])
