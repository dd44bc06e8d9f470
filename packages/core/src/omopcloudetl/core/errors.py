"""The error tree: everything this project raises on purpose derives from `OmopCloudEtlError`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal

from omopcloudetl.core.diagnostic_codes import CODES

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Position:
    """A place in a user's file; `line` and `column` count from 1, `file` is relative to the project."""

    file: str
    line: int = 1
    column: int = 1

    @classmethod
    def behind(cls, file: str, text: str) -> Position:
        """The place behind a text with which the file begins, whatever its lines end with."""
        lines = re.split(r"\r\n|\r|\n", text)
        return cls(file, len(lines), len(lines[-1]) + 1)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Diagnostic:
    """One mistake in a user's file: where it is, what was found, what is allowed, what to do."""

    code: str
    message: str
    position: Position
    severity: Severity = "error"
    found: str | None = None
    allowed: tuple[str, ...] = field(default=())
    suggestion: str | None = None
    help: str | None = None
    end: Position | None = None
    """Where the offending text ends: the place behind its last character; None where that is not known."""
    piece: tuple[str, int] | None = None
    """Which part of a longer text at `position` is meant, and which of its occurrences, from 0."""

    def __post_init__(self) -> None:
        # There is always a way out: the general one of the code where there is no nearer one.
        if not (self.help or self.allowed or self.suggestion) and self.code in CODES:
            object.__setattr__(self, "help", CODES[self.code].way_out)
        # What a file holds must neither change a terminal nor be a text that no output can encode.
        for name in ("message", "found", "suggestion", "help"):
            text = getattr(self, name)
            if text is not None:
                object.__setattr__(self, name, printable(text))

    def __str__(self) -> str:
        lines = [f"{self.position}: {self.severity}[{self.code}]: {self.message}"]
        if self.found is not None:
            lines.append(f"    found: {self.found}")
        if self.suggestion is not None:
            lines.append(f"    did you mean: {self.suggestion}")
        if self.allowed:
            lines.append(f"    allowed: {abbreviated(self.allowed)}")
        if self.help is not None:
            lines.append(f"    help: {self.help}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        """The diagnostic as plain JSON values, for editors and other programs."""
        content = asdict(self)
        del content["piece"]
        return content


def printable(text: str) -> str:
    """The text with characters that cannot be shown by their numbers; line breaks and tabs stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def abbreviated(allowed: tuple[str, ...], limit: int = 12) -> str:
    """The first words of a long list, and how many more there are."""
    shown = ", ".join(allowed[:limit])
    rest = len(allowed) - limit
    return f"{shown}, … and {rest} more" if rest > 0 else shown


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Each diagnostic once, by file, line and column."""
    return sorted(dict.fromkeys(diagnostics), key=lambda d: (d.position.file, d.position.line, d.position.column))


class OmopCloudEtlError(Exception):
    """The root of every error this project raises on purpose; its text is meant for users."""


class ProjectError(OmopCloudEtlError):
    """The user's files are wrong; carries every `Diagnostic` that was found, not just the first."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return "\n".join(str(diagnostic) for diagnostic in self.diagnostics)


class SpecificationError(OmopCloudEtlError):
    """A CDM specification could not be found or read."""


class PluginError(OmopCloudEtlError):
    """A plugin that was asked for could not be loaded, or a name that a plugin should provide is unknown."""


class SecretError(OmopCloudEtlError):
    """A `${secret:NAME}` could not be resolved; the text names the secret, never its value."""


class PlanError(OmopCloudEtlError):
    """A compiled plan could not be read: another version, or its content does not match its hash."""


class DatabaseError(OmopCloudEtlError):
    """The database refused a connection or a statement."""


class DatabaseConnectionError(DatabaseError):
    """No connection could be opened."""


class StatementError(DatabaseError):
    """A statement failed; the text holds the engine's own words."""


class LoadError(DatabaseError):
    """A bulk load failed: no such file, a missing column, or a line that cannot be read."""


class CheckError(DatabaseError):
    """A check that belongs to a step found rows that contradict what the mapping declares, or could not look."""


class RunError(OmopCloudEtlError):
    """A run could not be started, or its record could not be read."""


class UnknownRunError(RunError):
    """No run has this id, or several have one that begins so."""


class UnknownNameError(OmopCloudEtlError):
    """Nothing in a project has the name that was asked for; `near` are names that are like it."""

    def __init__(self, name: str, message: str, near: Iterable[str] = ()) -> None:
        self.name = name
        self.message = message
        self.near: tuple[str, ...] = tuple(dict.fromkeys(near))
        super().__init__(name, message, self.near)

    def __str__(self) -> str:
        return f"{self.message}; did you mean {' or '.join(self.near)}?" if self.near else self.message
