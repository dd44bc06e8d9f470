"""Turns Pydantic's complaints about a YAML document into diagnostics with places, in the user's words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from omopcloudetl.core.errors import Diagnostic, Position, ProjectError
from omopcloudetl.core.files.yaml_document import Path, YamlDocument
from omopcloudetl.core.models.base import ALLOWED, AT, HELP, NAME_PATTERN
from omopcloudetl.core.models.layout import PARTITION_PATTERN
from omopcloudetl.core.models.loads import DELIMITER_PATTERN, QUOTE_PATTERN
from omopcloudetl.core.models.project import SCHEMA_PATTERN
from omopcloudetl.core.models.values import COLUMN_PATTERN

T = TypeVar("T")

_QUOTES = "put it in quotes"
_MESSAGES: Mapping[str, str] = {
    "string_type": "must be text",
    "dict_type": "must hold keys and values",
    "model_type": "must hold keys and values",
    "model_attributes_type": "must hold keys and values",
    "tuple_type": "must be a list",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_unicode": "must be text",
    "list_type": "must be a list",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_too_long": "may have at most {max_length} characters",
    "too_long": "may have at most {max_length} entries",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "is none of the words it may be",
}
_KEYS, _LIST, _BOOLEAN = (
    "write `key: value` in it",
    "write [a, b], or lines of `- a`",
    "write true or false, without quotes",
)
_HELP: Mapping[str, str] = {
    "string_type": "write one text",
    "dict_type": _KEYS,
    "model_type": _KEYS,
    "model_attributes_type": _KEYS,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "int_type": "write digits, without quotes",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "string_too_short": "write something in it",
    "too_short": "write at least one entry",
    "string_too_long": "shorten it",
    "too_long": "take some entries out",
    "string_pattern_mismatch": "write it in that form",
    "greater_than_equal": "write a larger number",
    "less_than_equal": "write a smaller number",
}
_OTHERWISE = "write what is said here; the reference of the file has every key"
_PATTERNS: Mapping[str, str] = {
    NAME_PATTERN: "must be a name of lower case letters, digits and underscores that begins with a letter",
    COLUMN_PATTERN: "must be one column, such as p.id; write anything else as an expression",
    DELIMITER_PATTERN: "must be one character, no quote and no line break",
    QUOTE_PATTERN: "must be one ASCII character that is no letter or digit, or an empty text",
    PARTITION_PATTERN: "must be a column, or year(COLUMN), month(COLUMN), day(COLUMN) or bucket(NUMBER, COLUMN)",
    SCHEMA_PATTERN: "must be SCHEMA or CATALOG.SCHEMA, without spaces and quotes",
}
_PATTERN_HELP: Mapping[str, str] = {DELIMITER_PATTERN: r'a tab is written "\t"'}
_KEY_HELP: Mapping[str, str] = {
    "encoding": "convert other files, for example by iconv -f windows-1252 -t utf-8",
    "format": "`json` is one array, or objects one after the other; `ndjson` one object a line",
}
"""Help for keys that take one of some words, where the words alone are not enough."""
_COLLECTIONS = {"steps", "variables", "targets", "sources", "schemas", "plugins", "overlays", "tests"}
"""Keys whose entries stand for themselves: one that is wrong can be left out."""
_CONNECTION = "connection"
_KINDS = {"union_tag_invalid", "union_tag_not_found", "column_value_kind", "vocabulary_kind"}


def validate_document(document: YamlDocument, adapter: TypeAdapter[T]) -> T:
    """The document as a model; every mistake in it is one diagnostic of the `ProjectError` that is raised."""
    salvaged = salvage_document(document, adapter)
    if salvaged.diagnostics or salvaged.model is None:
        raise ProjectError(salvaged.diagnostics)
    return salvaged.model


@dataclass(frozen=True)
class Salvaged(Generic[T]):
    """What could be read of a document."""

    model: T | None
    """The document without its mistakes; None where what is wrong cannot be left out."""
    document: YamlDocument
    """What the model was read from."""
    diagnostics: tuple[Diagnostic, ...] = ()


def salvage_document(document: YamlDocument, adapter: TypeAdapter[T]) -> Salvaged[T]:
    """Read a document and leave out what is wrong, so that the rest can be checked, too."""
    if not isinstance(document.data, dict):
        message = "the file must hold keys and values"
        found = Diagnostic(
            "not-a-mapping", message, Position(document.file), found=_shown(document.data), help="write `key: value`"
        )
        return Salvaged(None, document, (found,))
    diagnostics: list[Diagnostic] = []
    left_out: set[str] = set()
    while True:
        allowed_keys: dict[int, tuple[str, ...]] = {}  # by identity of the mapping; filled by StrictModel
        try:
            model = adapter.validate_python(document.data, context=allowed_keys, by_alias=True, by_name=False)
        except ValidationError as error:
            details = _without_echoes(error.errors(include_url=False))
        else:
            return Salvaged(model, document, tuple(diagnostics))
        told = details if not left_out else [d for d in details if _is_news(document.data, d, left_out)]
        told = _without_misspelt(document.data, told, allowed_keys)
        diagnostics += [_diagnostic(document, detail, allowed_keys) for detail in told]
        wrong = {_left_out(document.data, _path_of(document.data, detail), detail) for detail in details}
        if () in wrong:
            return Salvaged(None, document, tuple(diagnostics))
        left_out |= {name for path in wrong for name in _names_of(document.data, path)}
        document = document.without(wrong)


def _path_of(data: Any, detail: ErrorDetails) -> Path:
    return _path_in(data, (*detail["loc"], *detail.get("ctx", {}).get(AT, ())))


def _left_out(data: Any, path: Path, detail: ErrorDetails) -> Path:
    """The smallest part of a file that can be left out with a mistake; () where there is none."""
    if detail["type"] == "extra_forbidden" or "depends_on" in path:
        return path
    if path[:1] == ("steps",) and "columns" in path:
        return path[: path.index("columns") + 1]  # the table is there, its columns are not known
    if path[:1] == ("targets",):
        return path[:3]
    if path[:1] == ("columns",):
        return path[:3] if data.get("kind") == "event" else path[:2]  # of an event by table
    return path[:2] if path and path[0] in _COLLECTIONS else path[:1]


def _names_of(data: Any, path: Path) -> set[str]:
    """By what names other parts of a file refer to a part of it."""
    value = _value_at(data, path)
    name = value.get("name") if isinstance(value, dict) else None
    return {str(path[-1]), str(name)}


def _is_news(data: Any, detail: ErrorDetails, left_out: Set[str]) -> bool:
    """Whether a mistake that shows once others are left out is no consequence of that.

    Models compare their parts only when each is right by itself, and tell the first difference.
    """
    if AT not in detail.get("ctx", {}):
        return False
    path = _path_of(data, detail)
    return path[-1:] == ("name",) or str(_value_at(data, path)) not in left_out


def close_match(found: str, allowed: Sequence[str]) -> str | None:
    """The allowed word nearest to what was found, if any is near."""
    by_lower = {word.lower().strip('"'): word for word in allowed}
    near = get_close_matches(found.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def _without_echoes(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out 'too short' for a list whose entries are wrong: Pydantic counts only the right ones."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if detail["type"] != "too_short" or not any(_is_below(place, detail["loc"]) for place in places)
    ]


def _without_misspelt(
    data: Any, details: Sequence[ErrorDetails], allowed_keys: Mapping[int, tuple[str, ...]]
) -> list[ErrorDetails]:
    """Leave out that a key is missing where it is there with a mistake in its name: that is told once."""
    misspelt: set[tuple[Path, str]] = set()
    for path in (_path_of(data, detail) for detail in details if detail["type"] == "extra_forbidden"):
        allowed = allowed_keys.get(id(_value_at(data, path[:-1])), ())
        misspelt |= {(path[:-1], near) for near in get_close_matches(str(path[-1]), allowed, n=1, cutoff=0.8)}
    return [
        detail
        for detail in details
        if detail["type"] != "missing" or (_path_of(data, detail), str(detail["loc"][-1])) not in misspelt
    ]


def _is_below(place: tuple[int | str, ...], parent: tuple[int | str, ...]) -> bool:
    return len(place) > len(parent) and place[: len(parent)] == parent


def _diagnostic(
    document: YamlDocument, detail: ErrorDetails, allowed_keys: Mapping[int, tuple[str, ...]]
) -> Diagnostic:
    path = _path_of(document.data, detail)
    last = str(detail["loc"][-1]) if detail["loc"] else ""
    if detail["type"] == "extra_forbidden":
        allowed = allowed_keys.get(id(_value_at(document.data, path[:-1])), ())
        return Diagnostic(
            "unknown-key",
            f"unknown key '{last}'",
            document.at_key(*path),
            found=last,
            allowed=allowed,
            suggestion=close_match(last, allowed),
        )
    if detail["type"] == "missing":
        owner = _label(document, path) or "the file"
        message = f"{owner} needs the key '{last}'"
        return Diagnostic("missing-key", message, document.at(*path), help=f"add `{last}:`")
    if detail["type"] in _KINDS:
        return _kind_diagnostic(document, path, detail)
    return _value_diagnostic(document, path, detail, about_key=last == "[key]")


def _kind_diagnostic(document: YamlDocument, path: Path, detail: ErrorDetails) -> Diagnostic:
    """What says its kind by `kind:`, or by the one key among several that it holds."""
    context, value = detail.get("ctx", {}), _value_at(document.data, path)
    if "discriminator" not in context:
        allowed = tuple(str(context.get("allowed", "")).split(", "))
        words = list(map(str, value)) if isinstance(value, dict) else []
        near = next(filter(None, (close_match(word, allowed) for word in words if word not in allowed)), None)
        message = f"{_label(document, path)} {detail['msg']}"
        where = document.at(*path)
        return Diagnostic("unknown-kind", message, where, found=_shown(value), allowed=allowed, suggestion=near)
    allowed = tuple(part.strip(" '") for part in str(context.get("expected_tags", "")).split(","))
    found, key = str(context.get("tag") or "") or None, str(context["discriminator"]).strip("'")
    owner = _label(document, path) or "the file"
    if found is None:
        message = f"{owner} needs the key '{key}'"
        return Diagnostic("unknown-kind", message, document.at(*path), allowed=allowed, help=f"add `{key}:`")
    what = "is of a kind that does not exist" if key == "kind" else f"has a {key} that does not exist"
    return Diagnostic(
        "unknown-kind",
        f"{owner} {what}",
        document.at(*path, key),
        found=found,
        allowed=allowed,
        suggestion=close_match(found, allowed),
    )


def _value_diagnostic(document: YamlDocument, path: Path, detail: ErrorDetails, *, about_key: bool) -> Diagnostic:
    kind, context, value = detail["type"], detail.get("ctx", {}), _value_at(document.data, path)
    message = detail["msg"].removeprefix("Value error, ")
    message = _PATTERNS.get(str(context.get("pattern")), message)
    message = _MESSAGES.get(kind, message).format_map(context)
    allowed = tuple(context.get(ALLOWED, ()))
    found = str(path[-1]) if about_key else _shown(value)
    if kind in {"int_type", "bool_type"} and isinstance(value, str):
        found = f"the text '{found}'"
    if kind == "literal_error":
        expected = str(context["expected"]).replace(" or ", ", ")
        allowed = tuple(word.strip(" '") for word in expected.split(","))
    near = close_match(found, _instances(allowed, found)) if allowed else None
    label = _label(document, path)
    subject = f"the key '{found}'" if about_key else label
    hint: str | None = _PATTERN_HELP.get(str(context.get("pattern"))) or _HELP.get(kind, _OTHERWISE)
    if allowed:
        hint = _KEY_HELP.get(str(path[-1])) if kind == "literal_error" and path else None
    as_text = kind == "string_type" and isinstance(value, bool | int | float)
    return Diagnostic(
        "invalid-value",
        f"{subject} {message}" if subject else message,
        document.at_key(*path) if about_key else document.at(*path),
        found=None if _CONNECTION in path else found,  # it may be a password
        allowed=allowed,
        suggestion=_as_name(found) if context.get("pattern") == NAME_PATTERN else near,
        help=context.get(HELP) or (_QUOTES if as_text else hint),
    )


def _instances(allowed: Sequence[str], found: str) -> tuple[str, ...]:
    """What is allowed, with the table's name that was found for the NAME of `schema.NAME`."""
    return tuple(word.replace(".NAME", "." + found.rpartition(".")[2]) for word in allowed)


def _as_name(text: str) -> str | None:
    """The name that is nearest to a text, if any is near."""
    name = re.sub(r"\W+", "_", text.lower().removeprefix("cdm."), flags=re.ASCII).strip("_0123456789")[:50]
    return name if re.match(NAME_PATTERN, name) else None


def _path_in(data: Any, loc: tuple[int | str, ...]) -> Path:
    """The part of a Pydantic location that exists in the document; tags of unions are left out."""
    path: list[str | int] = []
    current, tags = data, _tags_of(data)
    for part in loc:
        if tags and part == tags[0]:
            del tags[0]  # a key of the same name comes after it
            continue
        if isinstance(current, dict):
            exists = part in current
        else:
            exists = isinstance(current, list) and isinstance(part, int) and part < len(current)
        if exists:
            current = current[part]
            tags = _tags_of(current)
            path.append(part)
    return tuple(path)


def _tags_of(value: Any) -> list[Any]:
    """`kind: table` makes 'table' a part of every location below, though it is no key; a builder likewise."""
    return [value[key] for key in ("kind", "builder") if key in value] if isinstance(value, dict) else []


def _value_at(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data


def _label(document: YamlDocument, path: Path) -> str:
    """The path in the user's words; an entry of a list is called by its name, or by its number from 1."""
    words, current = [], document.data
    for part in path:
        current = current[part]
        if isinstance(part, str):
            words.append(part)
        else:
            name = current.get("name") if isinstance(current, dict) else None
            words.append(name if isinstance(name, str) else f"#{part + 1}")
    return ".".join(words)


def _shown(value: Any, limit: int = 60) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case "":
            return "an empty text"
        case dict():
            text = "{" + ", ".join(map(str, value)) + "}"
        case list():
            text = "[" + ", ".join(map(_shown, value)) + "]"
        case _:
            text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
