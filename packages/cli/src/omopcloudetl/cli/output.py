"""Writes to stdout: one JSON document, or text that is safe on any terminal."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from omopcloudetl.core.text import one_line, plural, printable

__all__ = [
    "emit",
    "one_line",
    "plural",
    "printable",
    "shown",
    "this_command",
    "tolerate_any_encoding",
    "typed",
    "warn",
    "write_json",
]


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
    from omopcloudetl.cli.messages import tell

    for message in messages:
        tell(f"warning: {one_line(message)}", "warning", level="warning", message=one_line(message))


def shown(path: Path) -> str:
    """A path for people to read."""
    return path.as_posix() if not path.is_absolute() else str(path)


def this_command() -> str:
    """How the command is called by who called it: what `uv run` finds is not on the path of the shell."""
    return "uv run omopcloudetl" if "UV_RUN_RECURSION_DEPTH" in os.environ else "omopcloudetl"


def typed(path: Path) -> str:
    """A path inside a command that a user may copy."""
    return shlex.quote(shown(path))


def tolerate_any_encoding() -> None:
    """Let a character that the terminal's encoding lacks become `?` rather than an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a stream in a test has none
        if reconfigure is not None:
            reconfigure(errors="replace")
