"""Brings the tables of the run store to the newest version, step by step, each step whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from omopcloudetl.core.errors import RunError

APPLICATION_ID = 0x6F6D6F70  # "omop": the header of the file says whose it is

# What is here was released, and is never changed: a new version is a new entry.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # `record` is the JSON of the record without what has a column or a table of its own.
        """CREATE TABLE run (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            run_id TEXT NOT NULL UNIQUE,
            target TEXT NOT NULL,
            state TEXT NOT NULL,
            plan_hash TEXT NOT NULL,
            lock TEXT,
            record TEXT NOT NULL,
            ledger TEXT NOT NULL DEFAULT '[]'
        )""",
        "CREATE INDEX run_by_target ON run (target, state)",
        """CREATE TABLE step (
            run INTEGER NOT NULL REFERENCES run (number) ON DELETE CASCADE,
            place INTEGER NOT NULL,
            record TEXT NOT NULL,
            PRIMARY KEY (run, place)
        ) WITHOUT ROWID""",
        """CREATE TABLE event (
            run INTEGER NOT NULL REFERENCES run (number) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            entry TEXT NOT NULL,
            PRIMARY KEY (run, number)
        ) WITHOUT ROWID""",
        """CREATE TABLE plan (
            hash TEXT PRIMARY KEY,
            content BLOB NOT NULL
        )""",
    ),
)
VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the tables, 0 of an empty file; raises `RunError` for a file that is not ours to read."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if owner != APPLICATION_ID and (tables or version):
        raise RunError(f"{path} is a database of another program; move it away, and the next run makes a run store")
    if version > VERSION:
        raise RunError(
            f"{path} is a run store of version {version}, this program reads versions up to {VERSION}; "
            "update omopcloudetl, or move the file away to begin a new one"
        )
    return int(version)


def migrate(connection: sqlite3.Connection, path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make or change the tables, unless they are of this version; `fill` is called once, when they are made."""
    if version_of(connection, path) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = version_of(connection, path)  # another process may have been faster
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        if version == 0:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            fill(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        # After some errors, such as a full disk, SQLite has rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
