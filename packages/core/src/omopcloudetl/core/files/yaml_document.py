"""Reads one YAML file into plain values and remembers where each of them stands."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag

from omopcloudetl.core.errors import Diagnostic, Position, ProjectError
from omopcloudetl.core.files.yaml_limits import LARGE, MAX_DEPTH, MAX_NODES, TOO_MUCH, excess_of

Path = tuple[str | int, ...]
MAX_PROBLEMS = 100
LONGEST_NUMBER = 100
_PLAIN_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}

_ABOUT_TABS = "indent with spaces; YAML does not allow tabs"
_ABOUT_DIRECTIVES = "remove the lines that begin with '%'; files are YAML 1.2"
_CONFLICT = ("<<<<<<<", "=======", ">>>>>>>")
_NO_BREAKS = {0x85: "\ue085", 0x2028: "\ue028", 0x2029: "\ue029"}
"""Line breaks of YAML 1.1 alone, as which its parsers still count them, stand as private characters meanwhile."""
_BREAKS = {ord(private): chr(own) for own, private in _NO_BREAKS.items()}
_UNFIT = re.compile("[\0\ud800-\udfff]")
"""What an escape such as "\\0" can make, and no database, file name or output can hold."""
_SYNTAX_PROBLEMS = (
    # part of ruamel's message, our own if that is not clear, what to do
    (
        "mapping values are not allowed",
        None,
        "line the key up with those above; put a text that holds ': ' in quotes",
    ),
    ("cannot start any token", None, "put a text that begins with a special character in quotes"),
    (
        "expected alphabetic",
        "'*' and '&' begin the name of an alias",
        "put a text that begins with them in quotes",
    ),
    ("expected <block end>", "the indentation does not match the lines above", "line the entries up"),
    ("could not find expected ':'", None, "write `key: value`"),
    ("another document", "the file holds two documents", "remove the line '---'"),
    ("expected '<document start>'", "a second value begins here", "one file holds one mapping; remove the other value"),
    ("undefined alias", None, "put a text that begins with '*' in quotes"),
    ("unknown escape character", None, "write \\\\ for a backslash, or use single quotes"),
    ("incompatible YAML", None, _ABOUT_DIRECTIVES),
    ("duplicate YAML directive", None, _ABOUT_DIRECTIVES),
    ("tag handle", None, "write a plain value, without a tag"),
    ("is never closed", None, "close it with the quote it begins with; double that quote inside the text"),
    ("expected the node content", "a value is missing here", "write the value, and close every bracket"),
)
_OTHERWISE = "check the quotes, brackets and indentation of this line and the one above"
_ABOUT_CONFLICTS = "git marked a conflict here; keep one of the two sides and remove the marks"
_ABOUT_SIZE = "split the file; an alias counts as often as it is used"


@dataclass(frozen=True)
class YamlDocument:
    """A file's values and the position of every key and value, by path from the root."""

    file: str
    data: Any = field(repr=False)
    positions: dict[Path, Position] = field(repr=False)
    keys: dict[Path, Position] = field(default_factory=dict, repr=False)
    """The positions of keys, by the path of their value."""

    def at(self, *path: str | int) -> Position:
        """The position of the value at `path`, or of its nearest parent that the file holds."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.positions:
                return self.positions[path[:end]]
        return Position(self.file)

    def without(self, paths: Iterable[Path]) -> YamlDocument:
        """The same document with some keys and entries left out; what is left keeps its places."""
        positions: dict[Path, Position] = {}
        keys: dict[Path, Position] = {}
        dropped = frozenset(paths)

        def keep(value: Any, old: Path, new: Path) -> Any:
            if old in self.positions:
                positions[new] = self.positions[old]
            if old in self.keys:
                keys[new] = self.keys[old]
            if isinstance(value, dict):
                return {k: keep(v, (*old, k), (*new, k)) for k, v in value.items() if (*old, k) not in dropped}
            if isinstance(value, list):
                kept = [i for i in range(len(value)) if (*old, i) not in dropped]
                return [keep(value[i], (*old, i), (*new, number)) for number, i in enumerate(kept)]
            return value

        return YamlDocument(self.file, keep(self.data, (), ()), positions, keys)

    def at_key(self, *path: str | int) -> Position:
        """The position of the key at `path`; where there is none, the same as `at`."""
        return self.keys.get(path) or self.at(*path)


def parse_yaml(file: str, text: str) -> YamlDocument:
    """Parse the text of `file`; syntax errors, duplicate keys and bombs become a `ProjectError`."""
    if (excess := excess_of(text)) is not None:
        raise _too_large(excess.message, Position(file, excess.line, excess.column))
    try:
        root = compose(text)
    except MarkedYAMLError as error:
        raise _syntax_error(file, text, error) from None
    except ReaderError as error:
        raise _character_error(file, text, error) from None
    except RecursionError:
        raise _too_large(f"the document is deeper than {MAX_DEPTH} levels", Position(file)) from None
    except (YAMLError, ValueError) as error:
        message = str(error).partition("\n")[0] or "this is not YAML"
        raise ProjectError([Diagnostic("yaml-syntax", message, Position(file), help=_OTHERWISE)]) from None
    reader = _Reader(file)
    data = reader.value(root, (), 0) if root is not None else None
    if reader.problems:
        raise ProjectError(reader.problems)
    return YamlDocument(file, data, reader.positions, reader.keys)


def compose(text: str) -> Node | None:
    """The nodes of a document within the limits, by the parser in C where it is there.

    That in Python has the better errors, and takes a hundred times as long.
    """
    text = text.translate(_NO_BREAKS)
    root: Node | None
    if is_fast(text):
        with nullcontext() if len(text) > LARGE else suppress(YAMLError, ValueError):
            fast = YAML(typ="safe")
            fast.Resolver = _Resolver
            root = fast.compose(text)
            return root
    root = YAML(typ="safe", pure=True).compose(text)
    return root


def is_fast(text: str) -> bool:
    """Whether the parser in C may read a text first."""
    return excess_of(text) is None


def _syntax_error(file: str, text: str, error: MarkedYAMLError) -> ProjectError:
    mark = error.problem_mark or error.context_mark
    message = str(error.problem or error.context or "this is not YAML")
    if message == "found unexpected end of stream" and error.context_mark:
        # Where the file ends helps nobody; where the text begins does.
        mark, message = error.context_mark, "the quoted text that begins here is never closed"
    elif message == "could not find expected ':'" and error.context_mark:
        mark = error.context_mark  # the key; the place of the error is where the next one begins
    where = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file)
    message = message.replace("'<stream end>'", "the end of the file")
    line = next(islice(StringIO(text, newline=None), where.line - 1, where.line), "").rstrip("\n")
    problems = (problem for problem in _SYNTAX_PROBLEMS if problem[0] in message)
    _, own_message, help_ = next(problems, (None, None, None))
    message = own_message or message
    if "\t" in line[: len(line) - len(line.lstrip())]:
        message, help_ = "a tab cannot indent", _ABOUT_TABS
    elif line.startswith(_CONFLICT):
        help_ = _ABOUT_CONFLICTS
    elif message.startswith("expected ',' or") and error.context_mark:
        help_ = f"close what is opened in line {error.context_mark.line + 1}, column {error.context_mark.column + 1}"
    return ProjectError([Diagnostic("yaml-syntax", f"this is not YAML: {message}", where, help=help_ or _OTHERWISE)])


def _character_error(file: str, text: str, error: ReaderError) -> ProjectError:
    before = text[: error.position]
    where = Position(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
    message = f"the character U+{int(error.character):04X} is not allowed in YAML"
    return ProjectError([Diagnostic("yaml-syntax", message, where, help="remove the control character")])


def _too_large(message: str, where: Position) -> ProjectError:
    return ProjectError([Diagnostic("yaml-too-large", message, where, help=_ABOUT_SIZE)])


class _Resolver(VersionedResolver):
    """Looks a word of one document up once: half of what the parser in C takes goes into that."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._known: dict[tuple[Any, ...], Tag] = {}

    def resolve(self, kind: type[Node], value: str | None, implicit: object) -> Tag:
        asked = (kind, value, implicit)
        if asked not in self._known:
            self._known[asked] = super().resolve(kind, value, implicit)
        return self._known[asked]


class _Reader:
    """Turns ruamel's nodes into plain values, noting positions on the way."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.positions: dict[Path, Position] = {}
        self.keys: dict[Path, Position] = {}
        self.nodes = 0
        self.problems: list[Diagnostic] = []

    def value(self, node: Node, path: Path, depth: int) -> Any:
        self.nodes += 1
        position = self._place(node)
        if isinstance(node, ScalarNode) and node.value == "" and not node.style:
            position = self.keys.get(path, position)  # an empty value is marked where the next token is
        self.positions[path] = position
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise _too_large(TOO_MUCH, position)
        if not isinstance(node, ScalarNode) and str(node.tag) not in _PLAIN_TAGS:
            raise self._tag_problem(node, position)
        if isinstance(node, MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, position)

    def _mapping(self, node: MappingNode, path: Path, depth: int) -> dict[Hashable, Any]:
        result: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            where = self._place(key_node)
            if not isinstance(key_node, ScalarNode):
                help_ = "write one word before the colon; put a text that begins with a bracket in quotes"
                raise ProjectError([Diagnostic("yaml-key", "a key must be a plain value", where, help=help_)])
            key = self._fit(str(key_node.value), where)
            if key == "<<" and not key_node.style:
                message = "merge keys ('<<') are not part of YAML 1.2"
                raise ProjectError([Diagnostic("yaml-key", message, where, help="write the keys out")])
            if key in result:
                first = self.keys[(*path, key)].line
                message = f"the key '{key}' is given twice, first in line {first}"
                help_ = "leave one of them out"
                self._note(Diagnostic("duplicate-key", message, where, found=key, help=help_))
                continue
            self.keys[(*path, key)] = where
            result[key] = self.value(value_node, (*path, key), depth + 1)
        return result

    def _fit(self, text: str, where: Position) -> str:
        text = text.translate(_BREAKS)
        unfit = _UNFIT.search(text)
        if unfit:
            message = f"the character U+{ord(unfit[0]):04X} is not allowed, also not as an escape"
            self._note(Diagnostic("yaml-syntax", message, where, help="remove it from the text"))
        return text

    def _note(self, problem: Diagnostic) -> None:
        """Keep a mistake that does not end the reading; of a hundred nobody reads the next."""
        self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            raise ProjectError(self.problems)

    def _place(self, node: Node) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _tag_problem(self, node: Node, position: Position) -> ProjectError:
        tag = str(node.tag).replace("tag:yaml.org,2002:", "!!")
        message = f"the tag '{tag}' is not allowed"
        return ProjectError([Diagnostic("yaml-tag", message, position, help="write a plain value")])

    def _scalar(self, node: ScalarNode, position: Position) -> object:
        kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
        text = self._fit(str(node.value), position)
        try:
            match kind:
                case "null":
                    return None
                case "bool":
                    # A file that says %YAML 1.1 would have `no` and `on` as well; they stay text.
                    return {"true": True, "false": False}.get(text.lower(), text)
                case "int":
                    # Python refuses to write out a number of thousands of digits, wherever an error quotes it.
                    if len(text) > LONGEST_NUMBER:
                        return text
                    return int(text.replace("_", ""), 0) if text[:2] in {"0x", "0o"} else int(text)
                case "float":
                    return float(text.replace("_", ""))
                case "str" | "timestamp" | "value" | "merge":
                    return text
                case _:
                    raise self._tag_problem(node, position)
        except ValueError:
            return text
