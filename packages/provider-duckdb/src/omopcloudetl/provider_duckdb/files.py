"""Finds the files of a load and reads which columns they have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from omopcloudetl.core.connection import Row
from omopcloudetl.core.errors import LoadError, StatementError
from omopcloudetl.provider_duckdb import sql, textfile
from omopcloudetl.provider_duckdb.problems import explained
from omopcloudetl.provider_duckdb.sql import FileColumn, FileFormat

REMOTE = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
GLOB_CHARACTERS = re.compile(r"([\[*?])")


class Session(Protocol):
    """The part of a connection that reading needs."""

    def fetch(self, sql: str, *, limit: int = 10_000) -> list[Row]:
        """Run a query and return its first rows."""


@dataclass(frozen=True)
class DataFile:
    """One file of a load."""

    path: str
    """As the engine names it."""
    pattern: str
    """As the engine is asked for it: a pattern that only this file matches."""
    label: str
    """As the user knows it: relative to the project where it lies below it."""
    size: int | None
    """Bytes as stored; None for a remote file."""

    @property
    def is_plain(self) -> bool:
        """Whether it lies on this machine and is not packed in a way only the engine knows."""
        return self.size is not None and textfile.is_plain(self.path)


@dataclass(frozen=True)
class FileGroup:
    """Files that have the same columns in the same order."""

    files: tuple[DataFile, ...]
    columns: tuple[FileColumn, ...]

    @property
    def patterns(self) -> list[str]:
        """What the engine is asked for."""
        return [file.pattern for file in self.files]


def find_files(session: Session, uri: str, base: Path) -> list[DataFile]:
    """The files that a path, a glob or a URI names, in alphabetical order; raises `LoadError`."""
    if REMOTE.match(uri) and not uri.lower().startswith("file://"):
        return _find_remote(session, uri)
    path = Path(unquote(urlsplit(uri).path) if uri.lower().startswith("file://") else uri)
    full = base / path
    try:
        if full.is_file():
            return [_local(full, base)]
        if full.is_dir():
            raise LoadError(f"{uri} is a folder; name its files, as in {uri.rstrip('/')}/*.csv")
    except OSError as error:
        raise LoadError(f"cannot read {uri}: {error.strerror}") from error
    pattern = str(path) if path.is_absolute() else f"{_escaped(str(base))}/{path}"
    found = [Path(name) for name in _glob(session, pattern)]
    if not found:
        raise LoadError(f"no file matches {uri}{_nearest(full, base)}")
    return [_local(name, base) for name in found]


def group_by_columns(session: Session, files: Sequence[DataFile], format_: FileFormat) -> list[FileGroup]:
    """The files by the columns they have; raises `LoadError` where columns have no clear names."""
    groups: dict[tuple[FileColumn, ...], list[DataFile]] = {}
    for file in files:
        columns = _parquet(session, file) if format_ == "parquet" else _text(session, file, format_)
        _refuse_duplicates(file, columns)
        groups.setdefault(columns, []).append(file)
    return [FileGroup(tuple(members), columns) for columns, members in groups.items()]


def _find_remote(session: Session, uri: str) -> list[DataFile]:
    names = _glob(session, uri) if GLOB_CHARACTERS.search(uri) else [uri]
    if not names:
        raise LoadError(f"no file matches {uri}")
    return [DataFile(name, name, name, None) for name in names]


def _glob(session: Session, pattern: str) -> list[str]:
    query = f"SELECT file FROM glob({sql.literal(pattern)}) ORDER BY file"
    try:
        return [str(row[0]) for row in session.fetch(query, limit=1_000_000)]
    except StatementError as error:
        raise LoadError(f"cannot look for {pattern}: {explained(error, {})}") from error


def _local(path: Path, base: Path) -> DataFile:
    label = path.relative_to(base) if path.is_relative_to(base) else path
    try:
        size = path.stat().st_size
    except OSError as error:
        raise LoadError(f"cannot read {label}: {error.strerror}") from error
    return DataFile(str(path), _escaped(str(path)), str(label), size)


def _escaped(path: str) -> str:
    return GLOB_CHARACTERS.sub(r"[\1]", path)


def _nearest(path: Path, base: Path) -> str:
    """Say which folder is missing, when it is the folder that is missing."""
    folder = next((parent for parent in path.parents if parent.exists()), base)
    if folder == path.parent or GLOB_CHARACTERS.search(str(path.parent)):
        return ""
    missing = path.relative_to(folder).parts[0]
    return f"; there is no folder '{missing}' in {folder}"


def _text(session: Session, file: DataFile, format_: FileFormat) -> tuple[FileColumn, ...]:
    if file.is_plain:
        cells = textfile.read_header(file.path, file.label, format_)
    else:
        cells = _ask_for_header(session, file, format_)
    return tuple(
        # R and pandas leave the name of the row numbers empty.
        FileColumn(cell, cell.strip().lower() or f"column_{number}", sql.TEXT)
        for number, cell in enumerate(cells, start=1)
    )


def _ask_for_header(session: Session, file: DataFile, format_: FileFormat) -> list[str]:
    try:
        rows = session.fetch(sql.header_query(file.pattern), limit=100)
    except StatementError as error:
        raise LoadError(explained(error, {file.path: file.label})) from error
    lines = [f"{row[0] or ''}\n" for row in rows]
    cells = textfile.split_header(iter(lines), format_)
    if not cells:
        raise LoadError(f"{file.label}: the first line must name the columns")
    return [cells[0].removeprefix("\ufeff"), *cells[1:]]


def _parquet(session: Session, file: DataFile) -> tuple[FileColumn, ...]:
    try:
        described = session.fetch(sql.parquet_columns_query(file.pattern))
        written = {str(row[0]) for row in session.fetch(sql.parquet_names_query(file.pattern))}
    except StatementError as error:
        raise LoadError(explained(error, {file.path: file.label})) from error
    names = [str(row[0]) for row in described]
    renamed = [name for name in names if name not in written]
    if renamed:  # the engine gives the second of two equal names a suffix
        first = renamed[0].rpartition("_")[0].lower()
        raise LoadError(f"{file.label} has more than one column '{first}'")
    return tuple(FileColumn(str(row[0]), str(row[0]).lower(), str(row[1])) for row in described)


def _refuse_duplicates(file: DataFile, columns: Sequence[FileColumn]) -> None:
    names = [column.name for column in columns]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        listed = ", ".join(f"'{name}'" for name in double)
        raise LoadError(f"{file.label} has more than one column {listed} (case does not matter)")
