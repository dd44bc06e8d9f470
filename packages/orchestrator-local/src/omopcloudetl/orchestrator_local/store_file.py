"""Opens the file of the run store: for its owner only, in WAL, its tables at the newest version."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from omopcloudetl.core.errors import RunError
from omopcloudetl.orchestrator_local.migrations import VERSION, migrate, version_of
from omopcloudetl.orchestrator_local.old_records import has_old_records, import_old_records

FILE = "runs.sqlite3"
# Errors and ledgers may quote values of patients.
FILE_MODE = 0o600
FOLDER_MODE = 0o700
LEAST_ROOM = 64 * 1024
BUSY_SECONDS = 10.0
FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
FREE_SPACE = "; the disk is full: free space on it"
# What is asked never changes, so a table or a column that is not there is damage, too.
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


@contextmanager
def errors_of(path: Path, doing: str) -> Iterator[None]:
    """Tell errors of the file and of the engine as `RunError`, with a way out of a damaged file."""
    try:
        yield
    except sqlite3.Error as error:
        if _code(error) in DAMAGED:
            raise _damaged(path, error) from error
        raise RunError(f"the run store {path} cannot be {doing}: {error}{_way_out(error, path.parent)}") from error
    except UnicodeDecodeError as error:
        raise _damaged(path, error) from error
    except OSError as error:
        raise RunError(
            f"the run store {path} cannot be {doing}: {error}{way_out_of_disk(error, path.parent)}"
        ) from error


def open_for_writing(state: Path) -> sqlite3.Connection:
    """The store of a state folder, which is made if it is not there; raises `RunError`.

    The connection commits each statement that stands in no transaction; threads may share it, one at a time.
    """
    path = state / FILE
    with errors_of(path, "kept"):
        make_private_folder(state)
        with suppress(FileExistsError):
            # SQLite gives the files beside it the mode of this one. A file that is there is not opened here:
            # closing it would drop the locks that another connection of this process has on it.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")  # a machine may lose its power
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection, path, lambda new: import_old_records(new, state))
        except BaseException:
            connection.close()
            raise
    return connection


def open_for_reading(state: Path) -> sqlite3.Connection | None:
    """The store of a state folder; None where there is none, and nothing is made then."""
    path = state / FILE
    with errors_of(path, "read"):
        if not path.exists() and not has_old_records(state):
            return None
        if os.access(state, os.W_OK) and (not path.exists() or os.access(path, os.W_OK)):
            return open_for_writing(state)  # a store of an older version is brought to this one
        return _open_read_only(path)


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for its owner only."""
    for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        missing.mkdir(mode=FOLDER_MODE, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder")


def _open_read_only(path: Path) -> sqlite3.Connection:
    """What cannot be written is read as it is; where nobody has it open, without the files of a WAL beside it."""
    alone = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    uri = f"{path.absolute().as_uri()}?mode=ro{alone}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        version = version_of(connection, path)
        if version != VERSION:
            raise RunError(
                f"{path} is a run store of version {version}, which must be changed to be read: make it writable"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Readers and the writer do not wait for each other in WAL; a file system without it works as well."""
    limit = time.monotonic() + BUSY_SECONDS
    while True:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode == "wal":
            return
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            # Another process does the same at this moment; SQLite does not wait for that.
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > limit:
                raise
            time.sleep(0.01)
        else:
            return


def _damaged(path: Path, error: Exception) -> RunError:
    return RunError(
        f"the run store {path} is damaged ({error}); it holds the history of runs, nothing of the database: "
        f"move {path.name}, {path.name}-wal and {path.name}-shm away, and the next run begins a new one"
    )


def way_out_of_disk(error: OSError, folder: Path) -> str:
    """What to do about an error of the operating system, as the end of a sentence; empty where nobody knows."""
    if error.errno in FULL:
        return FREE_SPACE
    return _may_write(folder) if error.errno in FORBIDDEN else ""


def _way_out(error: sqlite3.Error, folder: Path) -> str:
    code = _code(error)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and not _has_room(folder)):
        return FREE_SPACE
    forbidden = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
    return _may_write(folder) if code in forbidden else ""


def _has_room(folder: Path) -> bool:
    """Whether a disk has room for what SQLite adds at least; it calls a full one an I/O error here and there."""
    try:
        return shutil.disk_usage(folder).free >= LEAST_ROOM
    except OSError:
        return True


def _may_write(folder: Path) -> str:
    return f"; who runs must be able to write the folder {folder} and the files in it"


def _code(error: sqlite3.Error) -> int:
    """The primary code of an error; those of the Python module have none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
