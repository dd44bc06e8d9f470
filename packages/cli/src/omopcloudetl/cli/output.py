"""Writes to stdout: one JSON document, or text that is safe on any terminal."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click

# What could move the cursor or change the terminal; a tab and a line break may stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text without control characters, which names and error texts may bring from data."""
    return _CONTROL.sub("?", text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The text on one line."""
    return " ".join(printable(text).split())


def write_json(document: object) -> None:
    """One JSON document to stdout."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    as_is = encoding.replace("-", "") == "utf8"
    click.echo(json.dumps(document, indent=2, ensure_ascii=not as_is))


def emit(as_json: bool, document: Callable[[], object], text: Callable[[], None]) -> None:
    """Show a result in the format that was asked for."""
    if as_json:
        write_json(document())
    else:
        text()


def warn(messages: Iterable[str]) -> None:
    """Warnings to stderr, one line each."""
    for message in messages:
        click.echo(f"warning: {one_line(message)}", err=True)


def shown(path: Path) -> str:
    """A path for people to read."""
    return path.as_posix() if not path.is_absolute() else str(path)


def typed(path: Path) -> str:
    """A path inside a command that a user may copy."""
    return shlex.quote(shown(path))


def plural(count: int, noun: str) -> str:
    """`1 step`, `2 steps`, `1,000 steps`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def tolerate_any_encoding() -> None:
    """Let a character that the terminal's encoding lacks become `?` rather than an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a stream in a test has none
        if reconfigure is not None:
            reconfigure(errors="replace")
