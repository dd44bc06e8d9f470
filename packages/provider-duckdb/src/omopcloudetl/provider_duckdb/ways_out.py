"""Says what to do about what the engine says of disks, of permissions and of its own file."""

from __future__ import annotations

import re

from omopcloudetl.core.errors import StatementError

FULL = re.compile(r"No space left on device|Disk quota exceeded")
NO_ROOM = re.compile(r"max_temp_directory_size")
MEMORY = re.compile(r"^Out of Memory Error")
FORBIDDEN = re.compile(r"Permission denied|Read-only file system|Operation not permitted|in read-only mode")
GAVE_UP = re.compile(r"database has been invalidated because of a previous fatal error")
OTHER_LOG = re.compile(r"Failure while replaying WAL|WAL does not match")
NEWER = re.compile(r"database file with version number")
DAMAGED = re.compile(r"not a valid DuckDB database file|Corrupt database file|Could not read enough bytes|[Cc]hecksum")
ADVICE = re.compile(r"\n+(?:This limit was set by|Possible solutions:)")

ABOUT_STATEMENTS = (
    (FULL, "the disk is full: free space on it; what was not committed is rolled back, and `run --resume` goes on"),
    (
        NO_ROOM,
        "name a folder on a bigger disk in `temp_directory` of the target's connection, or raise its `memory_limit`",
    ),
    (MEMORY, "raise `memory_limit` of the target's connection, or lower its `threads`"),
    (GAVE_UP, "the file is as it was after the last commit, and `run --resume` goes on"),
)
ABOUT_FILES = (
    (FORBIDDEN, "who runs must be able to write the file and its folder, where the engine keeps its log"),
    (NEWER, "a newer DuckDB wrote it: update duckdb"),
)


class SurroundingsError(StatementError):
    """A statement failed for what the engine stands on: its disks, its memory, its own file."""

    def __init__(self, told: str, sql: str = "") -> None:
        self.told = told
        """What happened, and what to do."""
        super().__init__(told, sql)

    def __str__(self) -> str:
        return "\n  in: ".join(filter(None, self.args))


def told_with_way_out(words: str, file: str) -> str | None:
    """The engine's words and what to do, if they are about a disk, memory, or its own file; else None.

    Args:
        words: What it said.
        file: Its database file; what it says of other files has its way out elsewhere.
    """
    told = ADVICE.split(words)[0]
    way_out = _way_out(told, words, file)
    return None if way_out is None else f"{told}\n  {way_out}"


def is_damage(words: str, file: str) -> bool:
    """Whether the engine says that its database file is damaged."""
    return file in words and DAMAGED.search(words) is not None


def _way_out(told: str, words: str, file: str) -> str | None:
    for pattern, way_out in ABOUT_STATEMENTS:
        if pattern.search(words):
            return way_out
    if file not in told:
        return None
    for pattern, way_out in ABOUT_FILES:
        if pattern.search(told):
            return way_out
    if OTHER_LOG.search(told):
        return (
            f"the log {file}.wal is damaged, or belongs to another file: if the database was replaced by a copy, "
            "move the log away; what only it held is done again by `run --resume`"
        )
    return way_out_of_damage(file) if DAMAGED.search(told) else None


def way_out_of_damage(file: str) -> str:
    """What to do about a file that is no whole database."""
    return (
        f"the file is damaged, or no database of DuckDB: put a copy in its place, without {file}.wal, or move both "
        "away; `run --resume` does what is missing"
    )
