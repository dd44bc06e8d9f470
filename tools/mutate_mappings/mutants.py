"""Makes the mutants of a mapping: its file with one rule removed or changed."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from omopcloudetl.core.models.mapping import DMLDefinition
from tools.mutate_mappings.expressions import broken, broken_query, without_table

Path = tuple[str | int, ...]
NO_RULES = frozenset({"name", "description", "kind", "builder", "target", "from", "tests", "table", "strategy"})
"""Keys that say what a mapping is, not what it makes of rows."""
WORDS = frozenset(
    {"vocabulary", "domain", "default_table", "routes", "map", "else", "reference", "event", "constant", "policy"}
)
"""Keys below which a text is a word, not SQL."""
KEYS = frozenset({"key", "id"})
TABLES = frozenset({"default_table", "routes"})
OTHER_TABLES = ("observation", "condition_occurrence")

_ADAPTER: TypeAdapter[Any] = TypeAdapter(DMLDefinition)


@dataclass(frozen=True)
class Mutant:
    """A mapping that is broken in one place."""

    mapping: str
    label: str
    """What was changed: it names the mutant, and stays the same as long as the rule does."""
    data: dict[str, Any]
    """The mapping's file."""
    sql: tuple[str, str] | None = None
    """A SQL file that is broken in place of the mapping, and its text."""


def mutants_of(data: dict[str, Any]) -> Iterator[Mutant]:
    """Every mutant of a mapping, some of which are no mappings any more."""
    labels: Counter[str] = Counter()
    for label, changed in _changes(data):
        if changed != data:
            labels[label] += 1
            again = f" ({labels[label]})" if labels[label] > 1 else ""
            yield Mutant(str(data["name"]), label + again, changed)


def mutants_of_sql(data: dict[str, Any], file: str, text: str) -> Iterator[Mutant]:
    """Every mutant of a SQL file that a mapping reads the table of."""
    labels: Counter[str] = Counter()
    for what, sql in broken_query(text):
        labels[what] += 1
        again = f" ({labels[what]})" if labels[what] > 1 else ""
        yield Mutant(str(data["name"]), f"{file}: {what}{again}", data, (file, sql))


def _changes(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if "start" in data and "end" in data:
        swapped = {**data, "start": data["end"], "end": data["start"]}
        yield "start and end: swapped", swapped
    for alias in data.get("joins", {}):
        yield f"joins.{alias}: dropped", _without_join(data, alias)
    for key, value in data.items():
        if key not in NO_RULES | {"joins"}:
            yield f"{key}: dropped", {name: other for name, other in data.items() if name != key}
            for label, path, new in _below(data, (key,), value):
                yield label, _put(data, path, new)
    for alias, join in data.get("joins", {}).items():
        for label, path, new in _below(data, ("joins", alias), join):
            yield label, _put(data, path, new)


def _below(data: dict[str, Any], path: Path, value: Any) -> Iterator[tuple[str, Path, Any]]:
    """What is changed at or below a path: its label, where, and what stands there instead."""
    match value:
        case dict():
            for key, each in value.items():
                if key in NO_RULES:
                    continue
                if len(value) > 1:
                    yield _label((*path, key), "dropped"), path, {k: v for k, v in value.items() if k != key}
                yield from _below(data, (*path, key), each)
        case list():
            yield from _of_list(data, path, value)
        case bool():
            yield _label(path, f"{str(value).lower()} → {str(not value).lower()}"), path, not value
        case int():
            for other in (value + 1, value - 1)[: 2 if "policy" in path else 1]:
                yield _label(path, f"{value} → {other}"), path, other
        case str():
            yield from _of_text(data, path, value)
        case _:
            pass  # nothing stands there, or a number with a fraction


def _of_list(data: dict[str, Any], path: Path, value: list[Any]) -> Iterator[tuple[str, Path, Any]]:
    """Each entry is left out; a part of a key becomes NULL, so that the key keeps its number of parts."""
    is_key = path[-1] in KEYS
    for i, each in enumerate(value):
        if is_key and each != "null":
            yield _label((*path, i), f"{each} → null"), (*path, i), "null"
        elif not is_key and len(value) > 1:
            yield _label((*path, i), f"{each} dropped"), path, value[:i] + value[i + 1 :]
        yield from _below(data, (*path, i), each)
    if not is_key and len(value) > 1:
        yield _label(path, "the other way round"), path, value[::-1]


def _of_text(data: dict[str, Any], path: Path, value: str) -> Iterator[tuple[str, Path, Any]]:
    words = _words_instead(data, path)
    if words:
        for word in words:
            if word != value:
                yield _label(path, f"{value} → {word}"), path, word
    elif WORDS.isdisjoint(path):
        for what, sql in broken(value):
            if sql == "NULL" and path[-2:-1] and path[-2] in KEYS:
                continue  # as every part of a key is tried
            yield _label(path, what), path, sql
    elif not TABLES.isdisjoint(path):
        other = next(table for table in OTHER_TABLES if table != value)
        yield _label(path, f"{value} → {other}"), path, other
    else:
        yield _label(path, f"{value} → {value}X"), path, f"{value}X"


def _words_instead(data: dict[str, Any], path: Path) -> tuple[str, ...]:
    """The words that may stand at a path, where only some may."""
    try:
        _ADAPTER.validate_python(_put(data, path, "\N{INTERROBANG}"), by_alias=True, by_name=False)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["type"] == "literal_error" and detail["loc"][-1] == path[-1]:
                return tuple(re.findall(r"'([^']*)'", str(detail["ctx"]["expected"])))
    return ()


def _without_join(data: dict[str, Any], alias: str) -> dict[str, Any]:
    """The mapping without a join; its columns are NULL wherever a rule reads them."""
    used = re.compile(rf"\b{alias}\.")

    def forget(value: Any, path: Path) -> Any:
        match value:
            case dict():
                return {k: v if k in NO_RULES else forget(v, (*path, k)) for k, v in value.items()}
            case list():
                return [forget(each, path) for each in value]
            case str() if WORDS.isdisjoint(path) and used.search(value):
                return without_table(value, alias)
        return value

    rest = {**data, "joins": {name: join for name, join in data["joins"].items() if name != alias}}
    forgotten = forget(rest, ())
    assert isinstance(forgotten, dict)
    return forgotten


def _put(data: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """A copy of the file with another value at a path."""
    changed = copy.deepcopy({key: part for key, part in data.items() if key != "tests"})
    here: Any = changed
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    return {**changed, "tests": data.get("tests", [])}


def _label(path: Sequence[str | int], what: str) -> str:
    return f"{'.'.join(str(part + 1) if isinstance(part, int) else part for part in path)}: {what}"
