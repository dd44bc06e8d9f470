"""Finds the files of a load: those of a folder that the workers see, too, or those that Spark lists by a URI."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from omopcloudetl.core.errors import LoadError, StatementError
from omopcloudetl.provider_spark.sessions import LoadSession
from omopcloudetl.provider_spark.sql import literal
from omopcloudetl.provider_spark.views import view_of

HERE = re.compile(r"[*?\[]")
PATTERN = re.compile(r"[*?\[{]")
"""Spark knows alternatives in braces, too."""
MISREAD = re.compile(r"[*?\[\]{}\\]")
"""Characters for which Spark takes the path of a file for a pattern; Sail knows no way to say that it is none."""
MOST = 100_000
"""Files of one load."""


@dataclass(frozen=True)
class DataFile:
    """A file, or a URI that Spark was not asked to list."""

    path: str
    """For Spark."""
    label: str
    """For people."""
    size: int = -1
    modified: str = ""


@dataclass(frozen=True)
class FileColumns:
    """A file, and what its columns are called."""

    file: DataFile
    view: str
    names: Mapping[str, str]
    """Name in the table → name in the file, in the file's order."""


def find(session: LoadSession, uri: str, base: Path) -> list[DataFile]:
    """The files of a path or a pattern of this machine's, or those that Spark finds elsewhere.

    Columns of each file go by their names, so a pattern elsewhere is listed. A single file there is listed where
    a Spark session is certain to: Sail reads the whole of a file to tell its size.

    Raises:
        LoadError: Spark may not look there, or would take a file's name for a pattern.
    """
    if not is_elsewhere(uri):
        return _find_here(uri, base)
    if session.config.master is None and not PATTERN.search(uri):
        return [DataFile(uri, uri)]
    return listed(session, uri)


def is_elsewhere(uri: str) -> bool:
    """Whether Spark alone can look there."""
    scheme, separator, _ = uri.partition("://")
    return bool(separator) and scheme.lower() != "file"


def is_listed(file: DataFile) -> bool:
    """Whether its size is known."""
    return file.size >= 0


def is_missing(error: StatementError) -> bool:
    """Whether Spark found no file of a URI; Sail then finds files without columns."""
    return "PATH_NOT_FOUND" in str(error)


def listed(session: LoadSession, uri: str) -> list[DataFile]:
    """The files that Spark finds, with their sizes and times; raises `LoadError` if it may not look."""
    told = "SELECT DISTINCT path, length, CAST(modificationTime AS STRING)"  # Sail tells a large file several times
    try:
        with view_of(session, f" USING BINARYFILE OPTIONS (path {literal(uri)})") as view:
            rows = session.fetch(f"{told} FROM {view} ORDER BY path", limit=MOST + 1)
    except StatementError as error:
        if is_missing(error):
            return []
        raise LoadError(f"{uri}: {error}") from error
    if len(rows) > MOST:
        raise LoadError(f"{uri} means more than {MOST:,} files; load them in parts")
    return [_elsewhere(uri, str(path), int(str(length)), str(modified)) for path, length, modified in rows]


def _elsewhere(uri: str, path: str, size: int, modified: str) -> DataFile:
    """A file that was listed; Sail tells its path within the bucket."""
    if "://" not in path:
        scheme, _, rest = uri.partition("://")
        path = f"{scheme}://{rest.partition('/')[0]}/{path.lstrip('/')}"
    return _plain(DataFile(path, path, size, modified))


def _find_here(uri: str, base: Path) -> list[DataFile]:
    _, separator, rest = uri.partition("://")
    path = unquote(rest) if separator else uri
    paths = sorted(_matching(path, base)) if HERE.search(path) and not (base / path).is_file() else [base / path]
    return [_file(one, base) for one in paths if one.is_file()]


def _matching(pattern: str, base: Path) -> list[Path]:
    anchor = Path(pattern).anchor
    return list((Path(anchor) if anchor else base).glob(pattern.removeprefix(anchor)))


def _file(path: Path, base: Path) -> DataFile:
    found = path.stat()
    label = path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)
    return _plain(DataFile(path.absolute().as_posix(), label, found.st_size, str(found.st_mtime_ns)))


def _plain(file: DataFile) -> DataFile:
    """The file; raises `LoadError` if Spark would look for others by its path."""
    if MISREAD.search(file.path):
        raise LoadError(
            f"{file.path}: Spark takes *, ?, [, ], {{, }} and \\ in a file's path for a pattern; give it another name"
        )
    return file
