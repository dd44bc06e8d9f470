"""The options that commands share, as decorators; each group of options arrives as one object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

P = ParamSpec("P")
R = TypeVar("R")
Decorator = Callable[[Callable[..., R]], Callable[..., R]]


@dataclass
class State:
    """What error handling must know of the command line."""

    as_json: bool = False
    project: Path = field(default_factory=Path)
    interrupted: Callable[[], str] = lambda: "interrupted"
    """What Ctrl-C says; a run says how far it came."""
    log_json: bool = False
    """Whether every line on stderr is a JSON object."""
    run_id: str | None = None
    """The run that has begun."""


@dataclass(frozen=True)
class ProjectOptions:
    """Which project, for which target, with which variables."""

    project: Path
    target: str | None
    variables: dict[str, str]


@dataclass(frozen=True)
class RunOptions:
    """How a run is watched."""

    quiet: bool = False
    verbose: int = 0
    log_format: str = "text"


def _remember_format(context: click.Context, _: click.Parameter, value: str) -> bool:
    as_json = value == "json"
    context.ensure_object(State).as_json = as_json
    return as_json


def remember_form(context: click.Context, _: click.Parameter, value: str) -> str:
    """Note whether errors are JSON, where the format may be others than text and JSON."""
    context.ensure_object(State).as_json = value == "json"
    return value


def _remember_project(context: click.Context, _: click.Parameter, value: Path) -> Path:
    context.ensure_object(State).project = value
    return value


def _read_variables(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"'{text}' is not NAME=VALUE", param=parameter)
        pairs[name.strip()] = value
    return pairs


def _state() -> State:
    return click.get_current_context().ensure_object(State)


# What was said to a group of commands (`runs --project DIR show ID`) holds for its commands.
format_option = click.option(
    "--format",
    "as_json",
    type=click.Choice(["text", "json"]),
    default=lambda: "json" if _state().as_json else "text",
    show_default="text",
    callback=_remember_format,
    is_eager=True,
    help="Text for people, or one JSON document on stdout.",
)
project_option = click.option(
    "--project",
    type=click.Path(path_type=Path),
    default=lambda: _state().project,
    show_default="the current folder",
    metavar="DIR",
    callback=_remember_project,
    is_eager=True,
    help="The folder that holds project.yaml.",
)
target_option = click.option("--target", metavar="NAME", help="One of the project's targets; its default without this.")
variables_option = click.option(
    "--var",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_read_variables,
    help="Set a variable of the workflow; may be given several times.",
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Only the result, no progress.")
verbose_option = click.option("-v", "--verbose", count=True, help="A log in place of the progress; -vv logs more.")
log_format_option = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What stderr has: lines for people, or one JSON object a line and no progress.",
)


def bundle(name: str, kind: type[Any], *options: Callable[[Any], Any]) -> Decorator[Any]:
    """A decorator that adds options and hands them over as one object named `name`."""

    def decorate(function: Callable[P, R]) -> Callable[..., R]:
        @wraps(function)
        def call(*arguments: Any, **values: Any) -> R:
            values[name] = kind(**{item.name: values.pop(item.name) for item in fields(kind)})
            return function(*arguments, **values)

        for option in reversed(options):
            option(call)
        return call

    return decorate


project_options = bundle("options", ProjectOptions, project_option, target_option, variables_option)
run_options = bundle("watch", RunOptions, quiet_option, verbose_option, log_format_option)
