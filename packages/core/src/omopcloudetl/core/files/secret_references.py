"""Finds secrets that are misspelt, or that stand where they would become part of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omopcloudetl.core.errors import Diagnostic, Position
from omopcloudetl.core.files.yaml_document import Path, YamlDocument
from omopcloudetl.core.models.project import ProjectConfig
from omopcloudetl.core.secrets import Misspelling, misspelling

_MARK = "${secret"
_FREE_TEXT = "description"


def check_secrets(
    config: ProjectConfig,
    document: YamlDocument,
    workflow: YamlDocument,
    given: Mapping[str, str],
    problems: list[Diagnostic],
) -> None:
    """Every `${…}` in a connection is a secret's name, and no secret stands anywhere else.

    All that is not a connection is written into the plan: the project's other keys, the workflow, and the
    values of variables that are `given` from outside.
    """
    for name, target in config.targets.items():
        for key, value in target.connection.items():
            if (wrong := misspelling(value)) is not None:
                problems.append(_misspelt(key, wrong, document.at("targets", name, "connection", key)))
    for file in (document, workflow):
        for path, text in _texts(file.data, ()):
            is_setting = len(path) == 4 and path[0] == "targets" and path[2] == "connection"
            if _MARK in text and not is_setting and path[-1:] != (_FREE_TEXT,):
                problems.append(_misplaced(file, path))
    problems += [_misplaced(workflow, ("variables", name)) for name, text in given.items() if _MARK in text]


def _misspelt(key: str, wrong: Misspelling, where: Position) -> Diagnostic:
    return Diagnostic(
        "secret-syntax",
        f"connection.{key} holds a '${{' that is no secret",
        where,
        found=wrong.found,
        allowed=("${secret:NAME}",),
        suggestion=wrong.suggestion,
        help="write `$${` for the two characters `${` themselves",
    )


def _misplaced(document: YamlDocument, path: Path) -> Diagnostic:
    return Diagnostic(
        "secret-outside-connection",
        f"{'.'.join(str(part) for part in path)} may hold no secret: it would be written into the plan",
        document.at(*path),
        help="secrets stand in the `connection` of a target; they are looked up when it opens",
    )


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    match value:
        case str():
            yield path, value
        case dict():
            for key, item in value.items():
                yield from _texts(item, (*path, key))
        case list():
            for index, item in enumerate(value):
                yield from _texts(item, (*path, index))
        case _:
            return
