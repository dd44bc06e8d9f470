"""What the server's errors mean: which pass by themselves, and how they are told."""

from __future__ import annotations

import re

NOT_FOUND = ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "Table not found", "Database not found", "NO_SUCH")
# What Sail leaves of a table whose statement failed.
NOT_MADE = ("No commit files found", "No metadata files found")
MALFORMED = "[MALFORMED_RECORD_IN_PARSING"
"""Of a record that is not as its file's header; where Spark names a file, it is in the cause of what it tells."""
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
    # Iceberg: rows that a MERGE or a DELETE looked at have changed since.
    "Found conflicting files",
    "Found new conflicting delete files",
    # Sail, of what another commit did.
    "Failed to commit transaction",
    "Iceberg commit failed",
    # Workers that were lost more often than a task is tried again.
    "ExecutorLostFailure",
    "FetchFailed",
)
"""Parts of messages: neither of the formats has a class of its own for what another commit did."""
LOST = "Spark, which ran in this process, has ended; another process can go on, by run --resume"
LONGEST = 2000
_SILENT = re.compile(r"An error occurred while calling \S+\Z")
"""What the driver says when the JVM sent nothing back, also within errors that it makes of that."""
_RECORD = re.compile(r"(detected in record parsing:) .*?(?=\nParse Mode:|\Z)", re.DOTALL)
"""A record of a file that its reader does not understand."""
_JOB = re.compile(r"\AAn error occurred while calling .*?(?=\[[A-Z_]{3,}(?:\.[A-Z_]+)*\] )", re.DOTALL)
"""Which task of which job it was, and on which machine, before the words that say what it was."""


def told(error: Exception) -> str:
    """The server's words, without its stack, and without a record of the data."""
    if is_lost(error):
        return LOST
    text = str(error).split("\n\nJVM stacktrace:", 1)[0].split("\n\tat ", 1)[0].strip()
    return _JOB.sub("", _RECORD.sub(r"\1 (not shown)", text), count=1)[:LONGEST]


def kind(error: Exception) -> str:
    """The class of an error, such as `TABLE_OR_VIEW_NOT_FOUND`, which holds no value."""
    if is_lost(error):
        return LOST
    # Spark 3.5 calls it the error's class, Spark 4 its condition; an error of a job has none.
    asked = getattr(error, "getCondition", None) or getattr(error, "getErrorClass", None)
    return str(asked() or type(error).__name__) if asked is not None else type(error).__name__


def without_values(error: Exception) -> str:
    """The class of an error and what makes it transient, but none of its other words, which may quote values."""
    words = next((word for word in TRANSIENT if word.lower() in str(error).lower() and not is_lost(error)), "")
    return f"{kind(error)} {words}".strip()


def is_not_found(error: Exception) -> bool:
    """Whether a table, or the schema it would be in, is not there."""
    return any(word in str(error) for word in (*NOT_FOUND, *NOT_MADE))


def is_closed(error: Exception, session: str) -> bool:
    """Whether the session of this id was there, and is no more; the second is what Sail says."""
    return "SESSION_CLOSED" in str(error) or f"session {session} is not running" in str(error)


def is_malformed(error: Exception) -> bool:
    """Whether a record of a file does not fit, as the error or what it comes from says."""
    return MALFORMED in f"{error} {error.__cause__}"


def is_unknown_question(error: Exception) -> bool:
    """Whether the server is older than what it was asked."""
    return "UNIMPLEMENTED" in str(error)


def is_transient(error: Exception) -> bool:
    """Whether trying again, with nothing changed, could succeed."""
    return not is_lost(error) and any(word.lower() in str(error).lower() for word in TRANSIENT)


def is_lost(error: Exception) -> bool:
    """Whether the JVM of this process's session is gone, which no try in this process brings back."""
    gone = isinstance(error, ConnectionError) or type(error).__name__ == "Py4JNetworkError"
    return gone or _SILENT.search(str(error)) is not None
