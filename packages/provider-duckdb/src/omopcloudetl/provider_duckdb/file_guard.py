"""Notices that the database file is no longer the one that was opened: removed, replaced or emptied by somebody.

The engine does not: it goes on in the file that it has open, which nobody sees any more, and says that all is well.
Only the file's name, size and place are looked at. It must not be opened: closing it would take away the engine's lock.
"""

from __future__ import annotations

from pathlib import Path

from omopcloudetl.core.errors import DatabaseConnectionError

# The engine's three headers; no database is smaller.
SMALLEST = 3 * 4096
AGAIN = "what was written since is lost with it, and `run --resume` does it again"


class DatabaseLostError(DatabaseConnectionError):
    """The database file is not the one that was opened."""


class FileGuard:
    """What a database file was when it was opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._identity = self._look()

    def refuse_change(self) -> None:
        """Raise `DatabaseLostError` if it was emptied, or if another file, or none, is there; takes microseconds."""
        if self._look() != self._identity:
            raise self._lost("was replaced by another file", "to keep the new one, see that nobody replaces it again")

    def _look(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            raise self._lost("was removed", "put it back, or let the next run make a new one") from None
        except PermissionError:
            if self._identity is not None:  # it was opened, so that somebody took the right to look at it
                return self._identity
            raise
        except OSError as error:
            raise self._lost(f"cannot be reached: {error.strerror}", "see to its disk") from error
        if found.st_size < SMALLEST:
            raise self._emptied()
        return found.st_dev, found.st_ino

    def _emptied(self) -> DatabaseLostError:
        return self._lost("was emptied or overwritten", "put a copy in its place, or move it away")

    def _lost(self, what: str, way_out: str) -> DatabaseLostError:
        return DatabaseLostError(f"the database file {self._path} {what} while it was in use: {way_out}; {AGAIN}")
