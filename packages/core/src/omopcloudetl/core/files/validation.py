"""Turns Pydantic's complaints about a YAML document into diagnostics with places."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from omopcloudetl.core.errors import Diagnostic, Position, ProjectError
from omopcloudetl.core.files.yaml_document import YamlDocument

T = TypeVar("T")


def validate_document(document: YamlDocument, adapter: TypeAdapter[T]) -> T:
    """The document as a model; every mistake in it is one diagnostic of the `ProjectError` that is raised."""
    if not isinstance(document.data, dict):
        found = "nothing" if document.data is None else type(document.data).__name__
        message = "the file must hold a mapping of keys to values"
        raise ProjectError([Diagnostic("not-a-mapping", message, Position(document.file), found=found)])
    allowed_keys: dict[int, tuple[str, ...]] = {}  # by identity of the mapping; filled by StrictModel
    try:
        return adapter.validate_python(document.data, context=allowed_keys)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ProjectError([_diagnostic(document, detail, allowed_keys) for detail in details]) from None


def close_match(found: str, allowed: tuple[str, ...]) -> str | None:
    """The allowed word nearest to what was found, if any is near."""
    return next(iter(get_close_matches(found.lower(), allowed, n=1, cutoff=0.6)), None)


def _diagnostic(document: YamlDocument, detail: ErrorDetails, allowed_keys: dict[int, tuple[str, ...]]) -> Diagnostic:
    path = _path_in(document.data, detail["loc"])
    kind = detail["type"]
    where = document.at(*path)
    field = str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "extra_forbidden":
        allowed = allowed_keys.get(id(_value_at(document.data, path[:-1])), ())
        message = f"unknown key '{field}'"
        return Diagnostic(
            "unknown-key", message, where, found=field, allowed=allowed, suggestion=close_match(field, allowed)
        )
    if kind == "missing":
        owner = ".".join(map(str, path)) or "the file"
        return Diagnostic("missing-key", f"{owner} needs the key '{field}'", where)
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return _tag_diagnostic(document, path, detail, where)
    message = detail["msg"].removeprefix("Value error, ")
    label = ".".join(map(str, path))
    message = f"{label}: {message[0].lower()}{message[1:]}" if label else message
    return Diagnostic("invalid-value", message, where, found=_shown(_value_at(document.data, path)))


def _tag_diagnostic(
    document: YamlDocument, path: tuple[str | int, ...], detail: ErrorDetails, where: Position
) -> Diagnostic:
    context = detail.get("ctx", {})
    key = str(context.get("discriminator", "kind")).strip("'")
    allowed = tuple(part.strip(" '") for part in str(context.get("expected_tags", "")).split(",") if part.strip())
    found = str(context["tag"]) if "tag" in context else None
    label = ".".join(map(str, (*path, key)))
    message = f"{label} is not one of the kinds there are" if found else f"{label} is missing"
    return Diagnostic(
        "unknown-kind",
        message,
        document.at(*path, key),
        found=found,
        allowed=allowed,
        suggestion=close_match(found, allowed) if found else None,
    )


def _path_in(data: Any, loc: tuple[int | str, ...]) -> tuple[str | int, ...]:
    """The part of a Pydantic location that exists in the document; tags of unions are left out."""
    path: list[str | int] = []
    current = data
    for part in loc:
        if isinstance(current, dict) and part in current or (
            isinstance(current, list) and isinstance(part, int) and part < len(current)
        ):
            current = current[part]
            path.append(part)
    return tuple(path)


def _value_at(data: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        data = data[part]
    return data


def _shown(value: Any, limit: int = 60) -> str:
    text = str(value) if not isinstance(value, dict) else "{" + ", ".join(map(str, value)) + "}"
    return text if len(text) <= limit else text[: limit - 1] + "…"
