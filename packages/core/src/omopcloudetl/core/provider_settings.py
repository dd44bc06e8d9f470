"""Reads a target's settings into the model of its provider, and tells in words what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from omopcloudetl.core.errors import DatabaseConnectionError
from omopcloudetl.core.registrations import Settings

Model = TypeVar("Model", bound=BaseModel)
PAIR = "pair"
"""Type of the error of a validator that misses a setting beside another; its context names the `key`."""
_UNRESOLVED = "${secret:"
"""A value that is only known when the connection opens."""


def read_settings(model: type[Model], settings: Settings, problems: Mapping[str, str]) -> Model:
    """The settings as a model; raises `DatabaseConnectionError` that lists every problem.

    Args:
        model: Forbids what it has no field for.
        settings: Of a target's `connection:`, with the values of secrets.
        problems: Setting → what to write, in place of pydantic's words.
    """
    try:
        return model.model_validate(dict(settings))
    except ValidationError:
        found = "; ".join(f"{key}: {problem}" for key, problem in check_settings(model, settings, problems))
        raise DatabaseConnectionError(f"the connection settings are wrong: {found}") from None


def check_settings(model: type[BaseModel], settings: Settings, problems: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is wrong with the settings, as (key, problem); a secret's value is not known yet, and no value is told."""
    try:
        model.model_validate(dict(settings))
    except ValidationError as error:
        found = [(_key(detail), detail) for detail in error.errors(include_input=False)]
    else:
        return []
    return [
        (key, _problem(model, key, detail, problems))
        for key, detail in found
        if detail["type"] == PAIR or _UNRESOLVED not in str(settings.get(key, ""))
    ]


def _key(detail: ErrorDetails) -> str:
    """The setting that a complaint is about; one about two of them says which."""
    return str(detail["loc"][0]) if detail["loc"] else str(detail.get("ctx", {})["key"])


def _problem(model: type[BaseModel], key: str, detail: ErrorDetails, problems: Mapping[str, str]) -> str:
    if detail["type"] != "extra_forbidden":
        return problems.get(key, detail["msg"])
    names = list(model.model_fields)
    close = get_close_matches(key, names, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else "."
    return f"unknown setting{hint} There are: {', '.join(names)}"
