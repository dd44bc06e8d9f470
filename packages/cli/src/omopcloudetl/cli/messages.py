"""Says things on stderr: as lines for people or, with `--log-format json`, as one JSON object a line."""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from types import TracebackType
from typing import TextIO

import click

from omopcloudetl.cli.options import State
from omopcloudetl.core.text import one_line

FIRST = ("time", "level", "event", "run_id", "step")
"""The keys that a line begins with, as far as it has them."""


def state_of_command() -> State:
    """What the command line said; the defaults where no command is running."""
    context = click.get_current_context(silent=True)
    return context.ensure_object(State) if context is not None else State()


def asks_for_json(words: Sequence[str]) -> bool:
    """Whether a command line has `--log-format json`: also one that is wrong is answered in JSON."""
    return "--log-format=json" in words or ("--log-format", "json") in pairwise(words)


def tell(text: str, event: str, *, level: str = "info", state: State | None = None, **details: object) -> None:
    """Say something on stderr, without secrets: the text to people, the event with its details to programs."""
    from omopcloudetl.core.known_secrets import without_secrets

    state = state or state_of_command()
    if not state.log_json:
        click.echo(without_secrets(text), err=True)
        return
    line: dict[str, object] = {"time": now(), "level": level, "event": event}
    if state.run_id is not None:
        line["run_id"] = state.run_id
    click.echo(without_secrets(json_line(line | details)), err=True)


def json_line(values: Mapping[str, object]) -> str:
    """One JSON object in ASCII, which every encoding has; what JSON does not know is its text."""
    first = {key: values[key] for key in FIRST if key in values}
    return json.dumps(first | dict(values), default=str)


def now() -> str:
    """The moment in UTC, as ISO 8601 has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def show_warnings_in_one_line(state: State) -> None:
    """Let a warning be one line on stderr, without the place in our code that it came from."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        from omopcloudetl.core.known_secrets import without_secrets

        text = one_line(without_secrets(str(message)))
        with suppress(OSError):
            if state.log_json:
                tell("", "warning", level="warning", state=state, message=text)
            else:
                print(f"warning: {text}", file=file or sys.stderr)

    warnings.showwarning = show


def show_crashes_in_one_line(state: State) -> None:
    """Let a traceback, which only a mistake of ours brings, be one JSON object, too."""

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        told = "".join(traceback.format_exception(kind, error, trace))
        tell("", "crashed", level="critical", state=state, message=repr(error), traceback=told)

    sys.excepthook = show
