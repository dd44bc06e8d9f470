"""Finds the files of a load and reads which columns they have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import unquote, urlsplit

from omopcloudetl.core.errors import LoadError, StatementError
from omopcloudetl.core.models.loads import Encoding
from omopcloudetl.core.plan import BulkLoadStep, LoadColumn
from omopcloudetl.provider_duckdb import documents, readers, sql, textfile
from omopcloudetl.provider_duckdb.archives import archive_of, unpack
from omopcloudetl.provider_duckdb.datafiles import DataFile, FileGroup, LoadSession, Session
from omopcloudetl.provider_duckdb.problems import explained
from omopcloudetl.provider_duckdb.remote import public
from omopcloudetl.provider_duckdb.sql import FileColumn
from omopcloudetl.provider_duckdb.unfinished import patterns_beside

REMOTE = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
LAST_OF_LATIN_1 = "\u00ff"
PACKED = re.compile(r"\.zip(/|$)", re.IGNORECASE)
GLOB_CHARACTERS = re.compile(r"([\[*?])")


def is_remote(uri: str) -> bool:
    """Whether files lie on another machine."""
    return REMOTE.match(uri) is not None and not uri.lower().startswith("file://")


def local_path(uri: str) -> Path:
    """The path that a URI of this machine means, relative or not."""
    return Path(unquote(urlsplit(uri).path) if uri.lower().startswith("file://") else uri)


def find_files(session: LoadSession, uri: str, base: Path, stack: ExitStack) -> list[DataFile]:
    """The files that a path, a glob or a URI names, in alphabetical order; raises `LoadError`.

    Members of a zip archive are unpacked, and removed when the stack is closed.
    """
    if is_remote(uri):
        return find_remote(session, uri)
    path = local_path(uri)
    full = base / path
    archive = archive_of(full)
    if archive is not None:
        return _find_packed(session, *archive, base, stack)
    try:
        if full.is_file() and PACKED.search(uri):
            raise LoadError(f"{uri} is an archive; name what is in it, as in {uri}/*.csv")
        if full.is_file():
            return [_local(full, base)]
        if full.is_dir():
            raise LoadError(f"{uri} is a folder; name its files, as in {uri.rstrip('/')}/*.csv")
    except OSError as error:
        raise LoadError(f"cannot read {uri}: {error.strerror}") from error
    found = local_files(session, uri, base)
    if not found:
        raise LoadError(f"no file matches {uri}{_nearest(full, base)}")
    return [_local(name, base) for name in found]


def local_files(session: Session, uri: str, base: Path) -> list[Path]:
    """The files of this machine that a path or a glob names now; what is in an archive is none."""
    full = base / local_path(uri)
    try:
        if full.is_file():
            return [full]
    except OSError as error:
        raise LoadError(f"cannot read {uri}: {error.strerror}") from error
    return [Path(name) for name in _glob(session, [local_pattern(uri, base)])]


def local_pattern(uri: str, base: Path) -> str:
    """A path or a glob of this machine as the engine is asked for it."""
    path = local_path(uri)
    full = base / path
    archive = archive_of(full)
    if archive is not None:
        return _escaped(str(archive[0]))
    if full.is_file():
        return _escaped(str(full))
    return str(path) if path.is_absolute() else f"{_escaped(str(base))}/{path}"


def files_beside(session: Session, uri: str, base: Path) -> list[str]:
    """What shows that files of this machine are still being written, as the user knows it."""
    try:
        pattern = local_pattern(uri, base)
    except OSError:  # no name of a file, which whoever looks for the file itself tells
        return []
    found = _glob(session, patterns_beside(pattern))
    return [str(label_of(Path(name), base)) for name in found]


def group_by_columns(session: Session, files: Sequence[DataFile], load: BulkLoadStep) -> list[FileGroup]:
    """The files by the columns they have; raises `LoadError` where columns have no clear names."""
    groups: dict[tuple[tuple[FileColumn, ...], str], list[DataFile]] = {}
    for file in files:
        layout = documents.layout_of(session, file, load)
        columns = _columns(session, file, load, layout)
        _refuse_names(file, columns)
        columns = _renamed(columns, load.columns)
        groups.setdefault((columns, layout), []).append(file)
    return [FileGroup(tuple(members), columns, layout) for (columns, layout), members in groups.items()]


def _renamed(columns: tuple[FileColumn, ...], wanted: Sequence[LoadColumn]) -> tuple[FileColumn, ...]:
    """The columns, named as rules know them where the file has one of their other names instead."""
    there = {column.name for column in columns}
    names: dict[str, str] = {}
    for column in wanted:
        others = [other.strip().lower() for other in column.other_names]
        found = next((other for other in others if other in there), None)
        if found is not None and column.name.lower() not in there:
            names[found] = column.name.lower()
    return tuple(replace(column, name=names.get(column.name, column.name)) for column in columns)


def _columns(session: Session, file: DataFile, load: BulkLoadStep, layout: str) -> tuple[FileColumn, ...]:
    match load.format:
        case "parquet":
            return _parquet(session, file)
        case "json" | "ndjson":
            return documents.columns_of(session, file, load, layout)
        case "csv" | "tsv" | "athena":
            return _text(session, file, load)


def _find_packed(session: LoadSession, archive: Path, wanted: str, base: Path, stack: ExitStack) -> list[DataFile]:
    label = str(label_of(archive, base))
    folder = session.temp_folder()
    found = [
        DataFile(str(path), _escaped(str(path)), f"{label}/{name}", path.stat().st_size)
        for path, name in unpack(archive, wanted, label, folder, stack, session.refuse_if_cancelled)
    ]
    if not found:
        raise LoadError(f"no file in {label} matches {wanted}")
    return found


def find_remote(session: Session, uri: str) -> list[DataFile]:
    """The files of another machine that a URI or a pattern names; raises `LoadError`."""
    if PACKED.search(uri):
        raise LoadError(
            f"cannot load {public(uri)}: a zip on another machine is not unpacked; bring it here, or unpack it there"
        )
    uri = remote_uri(session, uri)
    if not uri.startswith("s3:"):
        return [DataFile(uri, uri, public(uri), None)]
    names = _glob(session, [uri]) if GLOB_CHARACTERS.search(uri) else [uri]
    if not names:
        raise LoadError(f"no file matches {uri}")
    return [DataFile(name, _escaped(name), name, None) for name in names]


def remote_uri(session: Session, uri: str) -> str:
    """A URI as the engine knows it, which is made ready to read it; raises `LoadError` for one it may not read."""
    session.allow_remote(uri)
    scheme, _, place = uri.partition("://")
    return f"{scheme.lower()}://{place}"


def _glob(session: Session, patterns: Sequence[str]) -> list[str]:
    try:
        return [str(row[0]) for row in session.fetch(readers.glob_query(patterns), limit=1_000_000)]
    except StatementError as error:
        raise LoadError(f"cannot look for {public(patterns[0])}: {explained(error, {})}") from error


def _local(path: Path, base: Path) -> DataFile:
    label = label_of(path, base)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise LoadError(f"cannot read {label}: {error.strerror}") from error
    return DataFile(str(path), _escaped(str(path)), str(label), size)


def label_of(path: Path, base: Path) -> Path:
    """A path as the user knows it: relative to the project where it lies below it."""
    return path.relative_to(base) if path.is_relative_to(base) else path


def _escaped(path: str) -> str:
    return GLOB_CHARACTERS.sub(r"[\1]", path)


def _nearest(path: Path, base: Path) -> str:
    """Say which folder is missing, or which file there has a similar name."""
    folder = next((parent for parent in path.parents if parent.exists()), base)
    if folder == path.parent:
        return _similar(path)
    if GLOB_CHARACTERS.search(str(path.parent)):
        return ""
    missing = path.relative_to(folder).parts[0]
    return f"; there is no folder '{missing}' in {folder}"


def _similar(path: Path) -> str:
    try:
        names = {other.name.lower(): other.name for other in path.parent.iterdir() if other.is_file()}
    except OSError:
        return ""
    near = get_close_matches(path.name.lower(), names, n=1)
    return f"; did you mean {names[near[0]]}?" if near else ""


def _text(session: Session, file: DataFile, load: BulkLoadStep) -> tuple[FileColumn, ...]:
    if load.text.encoding == "utf-16":
        _refuse_big_endian(session, file)
    if load.text.names:
        cells = list(load.text.names)
    elif file.is_plain:
        cells = textfile.read_header(file.path, file.label, load.text)
    else:
        cells = _ask_for_header(session, file, load)
    return tuple(
        # R and pandas leave the name of the row numbers empty.
        FileColumn(cell, cell.strip().lower() or f"column_{number}", sql.TEXT)
        for number, cell in enumerate(cells, start=1)
    )


def _refuse_big_endian(session: Session, file: DataFile) -> None:
    """Raise for a file that the engine would take for an empty one, or for one of Chinese letters."""
    text = "".join(_first_lines(session, file, "utf-16")).replace("\n", "")
    if text and all(letter > LAST_OF_LATIN_1 for letter in text):
        raise LoadError(f"{file.label} is not UTF-16 with the low byte first, the only kind that the engine reads")


def _ask_for_header(session: Session, file: DataFile, load: BulkLoadStep) -> list[str]:
    lines = _first_lines(session, file, load.text.encoding)
    cells = textfile.split_header(iter(lines), load.text)
    if not cells:
        raise LoadError(f"{file.label}: the first line must name the columns")
    return [cells[0].removeprefix("\ufeff"), *cells[1:]]


def _first_lines(session: Session, file: DataFile, encoding: Encoding) -> list[str]:
    try:
        rows = session.fetch(readers.header_query(file.pattern, encoding), limit=100)
    except StatementError as error:
        raise LoadError(explained(error, {file.path: file.label})) from error
    return [f"{row[0] or ''}\n" for row in rows]


def _parquet(session: Session, file: DataFile) -> tuple[FileColumn, ...]:
    try:
        described = session.fetch(readers.parquet_columns_query(file.pattern))
        written = {str(row[0]) for row in session.fetch(readers.parquet_names_query(file.pattern))}
    except StatementError as error:
        raise LoadError(explained(error, {file.path: file.label})) from error
    names = [str(row[0]) for row in described]
    renamed = [name for name in names if name not in written]
    if renamed:  # the engine gives the second of two equal names a suffix
        first = renamed[0].rpartition("_")[0].lower()
        raise LoadError(f"{file.label} has more than one column '{first}'")
    return tuple(FileColumn(str(row[0]), str(row[0]).lower(), str(row[1])) for row in described)


def _refuse_names(file: DataFile, columns: Sequence[FileColumn]) -> None:
    counts = Counter(column.name for column in columns)
    if any("\0" in name for name in counts):
        raise LoadError(f"{file.label}: the name of a column holds NUL, as files do that are not text")
    double = sorted(name for name, count in counts.items() if count > 1)
    if double:
        listed = ", ".join(f"'{name}'" for name in double)
        raise LoadError(f"{file.label} has more than one column {listed} (case does not matter)")
