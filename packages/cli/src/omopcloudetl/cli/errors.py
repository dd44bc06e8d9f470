"""What becomes of errors: a text for people, a document for programs, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from omopcloudetl.cli.messages import state_of_command, tell
from omopcloudetl.cli.options import State
from omopcloudetl.cli.output import one_line, printable, write_json
from omopcloudetl.core.errors import Diagnostic, OmopCloudEtlError, ProjectError

if TYPE_CHECKING:
    from omopcloudetl.core.files.rendering import Style

FAILED = 1
WRONG_FILES = 2
NARROWEST = 40
WITHOUT_TERMINAL = 120
_STYLES: Mapping[Style, dict[str, Any]] = {
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow", "bold": True},
    "place": {"fg": "cyan"},
    "gutter": {"fg": "blue"},
    "mark": {"fg": "red", "bold": True},
    "strong": {"bold": True},
    "plain": {},
}
BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE ended


def report_error(error: OmopCloudEtlError, state: State) -> int:
    """Tell the user about an error; returns the exit code."""
    if isinstance(error, ProjectError):
        _report_diagnostics(error.diagnostics, state)
        return WRONG_FILES
    from omopcloudetl.core.known_secrets import without_secrets

    message = without_secrets(str(error))
    _write_error(type(error).__name__, message, state)
    text = one_line(message)
    tell(f"error: {text}", "error", level="error", state=state, kind=type(error).__name__, message=text)
    return FAILED


def report_usage_error(error: click.ClickException, state: State) -> int:
    """Tell the user about a wrong argument; returns the exit code."""
    _write_error(type(error).__name__, error.format_message(), state)
    if state.log_json:
        text = one_line(error.format_message())
        tell("", "error", level="error", state=state, kind=type(error).__name__, message=text)
    else:
        error.show()
    return error.exit_code


def report_interrupt(state: State) -> None:
    """Tell the user what Ctrl-C ended."""
    message = state.interrupted()
    _write_error("Interrupted", message, state)
    tell(message, "interrupted", level="error", state=state, message=one_line(message))


def _write_error(kind: str, message: str, state: State) -> None:
    if state.as_json:
        write_json({"error": {"kind": kind, "message": printable(message)}})


def _report_diagnostics(diagnostics: tuple[Diagnostic, ...], state: State) -> None:
    if state.as_json:
        write_json({"valid": False, "diagnostics": [diagnostic.to_json() for diagnostic in diagnostics]})
    if state.log_json or not state.as_json:
        show_diagnostics(diagnostics, state.project, state)


def show_diagnostics(diagnostics: Sequence[Diagnostic], project: Path, state: State | None = None) -> None:
    """Every diagnostic and their number, to stderr; nothing where there is none."""
    if not diagnostics:
        return
    if (state or state_of_command()).log_json:
        for diagnostic in diagnostics:
            document = diagnostic.to_json()
            tell("", "diagnostic", level=diagnostic.severity, state=state, **document)
        return
    from omopcloudetl.core.files.rendering import diagnostic_lines

    way = project.as_posix()
    lines = diagnostic_lines(
        diagnostics,
        project,
        width=_width_of_stderr(),
        prefix="" if way == "." else f"{way.rstrip('/')}/",
    )
    colours = False if os.environ.get("NO_COLOR") else None  # None: where stderr is a terminal
    for line in lines:
        text = "".join(click.style(printable(piece.text), **_STYLES[piece.style]) for piece in line)
        click.echo(text, err=True, color=colours)


def _width_of_stderr() -> int:
    """The terminal's columns; a file or a pipe gets lines that a person can still read."""
    try:
        return max(os.get_terminal_size(sys.stderr.fileno()).columns, NARROWEST)
    except (OSError, ValueError, AttributeError):
        return WITHOUT_TERMINAL


def flush_stdout(code: int | None) -> int | None:
    """Write what is left to stdout; returns the exit code, another one if nobody reads any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # What is in the buffer must go somewhere, or Python complains about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code
