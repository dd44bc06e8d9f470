"""What the server's errors mean: which pass by themselves, and how they are told."""

from __future__ import annotations

from typing import Protocol


class EngineError(Protocol):
    """An error of the driver."""

    def getCondition(self) -> str | None:  # noqa: N802  # the driver's name
        """The class of the error, such as `TABLE_OR_VIEW_NOT_FOUND`."""
        ...


NOT_FOUND = ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "Table not found", "Database not found", "NO_SUCH")
# What Sail leaves of a table whose statement failed.
NOT_MADE = ("No commit files found", "No metadata files found")
TRANSIENT = (
    "UNAVAILABLE",
    "failed to connect",
    "connection refused",
    "ConcurrentAppend",
    "ConcurrentModification",
    "ConcurrentWrite",
    "ConcurrentTransaction",
    "ConcurrentDelete",
    "CommitFailedException",
    "concurrent",
    "DELTA_CONCURRENT",
)
"""Parts of messages: neither of the formats has a class of its own for what another commit did."""
LONGEST = 2000


def told(error: Exception) -> str:
    """The server's words, without its stack."""
    text = str(error).split("\n\nJVM stacktrace:", 1)[0].strip()
    return text[:LONGEST]


def kind(error: EngineError) -> str:
    """The class of an error, which holds no value."""
    return error.getCondition() or type(error).__name__


def is_not_found(error: Exception) -> bool:
    """Whether a table, or the schema it would be in, is not there."""
    return any(word in str(error) for word in (*NOT_FOUND, *NOT_MADE))


def is_transient(error: Exception) -> bool:
    """Whether trying again, with nothing changed, could succeed."""
    return any(word.lower() in str(error).lower() for word in TRANSIENT)
