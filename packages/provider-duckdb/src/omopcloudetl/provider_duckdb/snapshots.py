"""Notices files that change, come or go while a load reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from omopcloudetl.core.errors import DatabaseError, LoadError, StatementError
from omopcloudetl.core.text import plural
from omopcloudetl.provider_duckdb import files, readers
from omopcloudetl.provider_duckdb.archives import archive_of
from omopcloudetl.provider_duckdb.datafiles import Session
from omopcloudetl.provider_duckdb.problems import engine_words, explained
from omopcloudetl.provider_duckdb.remote import is_missing, public

SHOWN = 5
INTERRUPTED = "interrupt"
WAY_OUT = (
    "nothing of them was kept; load them again when the delivery is complete. A file that is written under another"
    " name and then renamed is never seen half done"
)


class FilesChangedError(LoadError):
    """Files changed while a load read them."""


@dataclass(frozen=True)
class FileState:
    """What a file was like at one moment."""

    size: int | None
    """Bytes as stored; None where a server does not tell."""
    modified: int | None
    """When it was last written, in nanoseconds since 1970; None where a server does not tell."""


@dataclass(frozen=True)
class Snapshot:
    """The files that a URI named at one moment: those of a zip archive are the archive."""

    uri: str
    base: Path
    states: Mapping[str, FileState]
    """By the path as the engine names it, or the archive's."""

    @classmethod
    def take(cls, session: Session, uri: str, base: Path) -> Snapshot:
        """Look at the files now; raises `LoadError` if that cannot be done."""
        found = _remote(session, uri) if files.is_remote(uri) else _local(session, uri, base)
        return cls(uri, base, dict(sorted(found.items())))

    def digest(self) -> str:
        """The same as long as names, sizes and times are; it says nothing of what the files hold."""
        digest = hashlib.sha256()
        for path, state in self.states.items():
            digest.update(f"{self._label(path)}\0{state.size}\0{state.modified}\n".encode())
        return digest.hexdigest()

    def refuse_change(self, session: Session) -> None:
        """Raise `FilesChangedError` if a file changed, came or went since, `LoadError` if that cannot be seen."""
        changes = list(self._changes(session))
        if changes:
            listed = "".join(f"\n  {change}" for change in changes[:SHOWN])
            more = f"\n  and {len(changes) - SHOWN:,} more" if len(changes) > SHOWN else ""
            count = f"{plural(len(changes), 'file')} changed while the load read {public(self.uri)}"
            raise FilesChangedError(f"{count}:{listed}{more}\n{WAY_OUT}")

    def explain(self, session: Session, error: DatabaseError) -> None:
        """Raise `FilesChangedError` if a load failed and its files changed: what else is wrong may be due to that."""
        if isinstance(error, FilesChangedError) or INTERRUPTED in str(error).lower():
            return  # who stops a run does not wait for a server
        try:
            self.refuse_change(session)
        except FilesChangedError as change:
            raise change from error
        except DatabaseError:
            return

    def _changes(self, session: Session) -> Iterator[str]:
        now = Snapshot.take(session, self.uri, self.base).states
        for path in sorted(self.states.keys() | now.keys()):
            before, after = self.states.get(path), now.get(path)
            if before != after:
                yield f"{self._label(path)}: {_told(before, after)}"

    def _label(self, path: str) -> str:
        return path if files.is_remote(self.uri) else str(files.label_of(Path(path), self.base))


def _local(session: Session, uri: str, base: Path) -> dict[str, FileState]:
    archive = archive_of(base / files.local_path(uri))
    paths = [archive[0]] if archive else files.local_files(session, uri, base)
    states = {}
    for path in paths:
        try:
            found = path.stat()
        except OSError:  # it went this moment: as if it had not been found
            continue
        states[str(path)] = FileState(found.st_size, found.st_mtime_ns)
    return states


def _remote(session: Session, uri: str) -> dict[str, FileState]:
    """What the service says of the files, without reading them."""
    asked = files.remote_uri(session, uri)
    try:
        rows = session.fetch(readers.states_query(asked), limit=1_000_000)
    except StatementError as error:
        if is_missing(engine_words(error)):
            return {}
        raise LoadError(explained(error, {asked: _shown(asked)})) from error
    return {_shown(str(path)): _state(int(str(size)), int(str(micros))) for path, size, micros in rows}


def _shown(path: str) -> str:
    """A remote file as the user knows it."""
    return path if path.startswith("s3:") else public(path)


def _state(size: int, micros: int) -> FileState:
    """A server that does not tell the time says 1970, one that does not tell the size 0."""
    modified = micros * 1000 if micros > 0 else None
    return FileState(size if size or modified else None, modified)


def _told(before: FileState | None, after: FileState | None) -> str:
    if before is None:
        return "it is new"
    if after is None:
        return "it is gone"
    if before.size != after.size:
        return f"it has {_bytes(after.size)}, and had {_bytes(before.size)} when the load began"
    return f"it was written again, at {_time(after.modified)}; before, at {_time(before.modified)}"


def _bytes(size: int | None) -> str:
    return "an unknown size" if size is None else plural(size, "byte")


def _time(nanoseconds: int | None) -> str:
    if nanoseconds is None:
        return "an unknown time"
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09} UTC"
