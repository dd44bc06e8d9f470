"""Finds the files of a load in the places where they may be, and tells at once all that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from omopcloudetl.core.errors import LoadError, StatementError
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_duckdb import files, readers
from omopcloudetl.provider_duckdb.archives import archive_of, members
from omopcloudetl.provider_duckdb.datafiles import LoadSession
from omopcloudetl.provider_duckdb.problems import explained
from omopcloudetl.provider_duckdb.remote import is_missing
from omopcloudetl.provider_duckdb.unfinished import refuse_unfinished


def choose_uri(session: LoadSession, load: BulkLoadStep, base: Path) -> str | None:
    """Which of its places a load reads; None if there is no file and it may have none. Raises `LoadError`."""
    for uri in (load.uri, *load.others):
        if not files.is_remote(uri):  # stores of objects show no object before it is whole
            refuse_unfinished(files.files_beside(session, uri, base))
    if not load.others and not load.optional and not load.beside:
        return load.uri
    own = _first(session, (load.uri, *load.others), base)
    missing = list(_missing(session, load, base, own=own))
    if missing:
        raise LoadError(_told(missing, load.uri, base))
    return own


def _missing(session: LoadSession, load: BulkLoadStep, base: Path, *, own: str | None) -> Iterator[str]:
    if own is None and not load.optional:
        yield _last(load.uri)
    for other in load.beside:
        if _first(session, other.uris, base) is None:
            reader = f", which {other.needed_by} reads" if other.needed_by else ""
            yield f"{_last(other.uris[0])}{reader}"


def _first(session: LoadSession, uris: Sequence[str], base: Path) -> str | None:
    """The first place that has a file."""
    return next((uri for uri in uris if _is_there(session, uri, base)), None)


def _is_there(session: LoadSession, uri: str, base: Path) -> bool:
    if files.is_remote(uri):
        return _is_there_remotely(session, uri)
    path = base / files.local_path(uri)
    archive = archive_of(path)
    return bool(members(*archive, str(archive[0]))) if archive else path.is_file()


def _is_there_remotely(session: LoadSession, uri: str) -> bool:
    """Whether a server has the file: it is asked for its first line."""
    (file,) = files.find_remote(session, uri)
    try:
        session.fetch(readers.header_query(file.pattern, "utf-8"), limit=1)
    except StatementError as error:
        if is_missing(str(error)):
            return False
        raise LoadError(explained(error, {file.path: file.label})) from error
    return True


def _told(missing: Sequence[str], uri: str, base: Path) -> str:
    """What is missing where, and what is there that could be meant."""
    folder = uri.rpartition("/")[0] or "."
    listed = "".join(f"\n  {one}" for one in missing)
    count = "a file is" if len(missing) == 1 else f"{len(missing)} files are"
    return f"{count} missing in {folder}:{listed}{_hint(folder, base)}"


def _hint(folder: str, base: Path) -> str:
    if files.is_remote(folder):
        return ""
    place = base / files.local_path(folder)
    if not place.exists():
        return "\nthere is no such folder"
    if place.is_file():
        return ""
    packed = sorted(path.name for path in place.iterdir() if path.suffix.lower() == ".zip")
    if len(packed) == 1:
        return f"\nthe folder has {packed[0]}: name that, as {folder}/{packed[0]}"
    below = sorted(path.parent.name for path in place.glob("*/CONCEPT.csv"))
    return f"\nthere are such files in the folder below, {folder}/{below[0]}" if len(below) == 1 else ""


def _last(uri: str) -> str:
    return uri.rpartition("/")[2]
