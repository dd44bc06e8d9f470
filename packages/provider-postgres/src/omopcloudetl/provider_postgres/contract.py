"""Reads the header of each file, and holds its columns against what the workflow, its rules and the table demand."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep, LoadColumn, TextOptions
from omopcloudetl.provider_postgres.datafiles import BYTE_ORDER_MARK, DataFile, FileColumns, Files
from omopcloudetl.provider_postgres.sql import TableColumn

HEAD = 1 << 16
LONGEST_HEAD = 1 << 24
LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
"""What `COPY` takes for a line; Python's own `splitlines` knows more ends of lines."""
LONGEST_NAME = 63
"""What the server keeps of a name, in bytes."""


def read_columns(files: Files, file: DataFile, load: BulkLoadStep) -> FileColumns:
    """A file's columns, named as rules know them; raises `LoadError` where they have no clear names."""
    if load.text.names:
        cells = list(load.text.names)
        if files.head(file, len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK and not file.member:
            _refuse_mark(file)
    else:
        cells = _header(files, file, load.text)
    names = [cell.strip().lower() or f"column_{number}" for number, cell in enumerate(cells, start=1)]
    _refuse_names(file, names)
    return FileColumns(file, _renamed(names, load.columns))


def refuse_broken_contract(load: BulkLoadStep, found: Sequence[FileColumns], table: Sequence[TableColumn]) -> None:
    """Raise one error for every column that is missing in any file."""
    if load.mode == "replace_rows":
        _refuse_other_table(load, found, table)
    problems = [f"{one.file.label} {problem}" for one in found for problem in _missing(one, load, table)]
    if problems:
        raise LoadError("\n".join(problems))


def _header(files: Files, file: DataFile, text: TextOptions) -> list[str]:
    """The cells of the first record, which may span lines."""
    count = HEAD
    while True:
        head = files.head(file, count)
        cells = _cells(file, head, text, whole=len(head) < count)
        if cells is not None:
            return cells
        if count >= LONGEST_HEAD:
            raise LoadError(f"{file.label}: its first record is longer than {LONGEST_HEAD:,} bytes: it is no header")
        count *= 16


def _cells(file: DataFile, head: bytes, text: TextOptions, *, whole: bool) -> list[str] | None:
    """The cells of the first record; None if it may go on behind what was read."""
    if not head.removeprefix(BYTE_ORDER_MARK):
        raise LoadError(f"{file.label} is empty; its first line must name the columns")
    letters = head.removeprefix(BYTE_ORDER_MARK).decode(text.encoding, "surrogateescape")
    lines: list[str] = LINE.findall(letters)
    if not text.quote:
        cells, used = lines[0].rstrip("\r\n").split(text.delimiter), 1
    else:
        reader = csv.reader(iter(lines), delimiter=text.delimiter, quotechar=text.quote)
        try:
            cells, used = next(reader), reader.line_num
        except csv.Error as error:
            raise LoadError(f"{file.label}: the header cannot be read: {error}") from error
    if not whole and used >= len(lines):
        return None
    if any("\udc80" <= letter <= "\udcff" for letter in "".join(cells)):
        raise LoadError(f"{file.label}: the header is not UTF-8; if it is Latin-1, say `encoding: latin-1`")
    if cells in ([], [""]):
        raise LoadError(f"{file.label}: the first line is blank; it must name the columns")
    return cells


def _refuse_mark(file: DataFile) -> None:
    message = "it begins with a byte order mark, which would be part of its first value"
    raise LoadError(f"{file.label}: {message}; write it without one")


def _refuse_names(file: DataFile, names: Sequence[str]) -> None:
    if any("\0" in name for name in names):
        raise LoadError(f"{file.label}: the name of a column holds NUL, as files do that are not text")
    long = next((name for name in names if len(name.encode()) > LONGEST_NAME), None)
    if long is not None:
        raise LoadError(f"{file.label}: the column '{long}' has a name of more than {LONGEST_NAME} bytes")
    double = sorted(name for name, count in Counter(names).items() if count > 1)
    if double:
        listed = ", ".join(f"'{name}'" for name in double)
        raise LoadError(f"{file.label} has more than one column {listed} (case does not matter)")


def _renamed(names: Sequence[str], wanted: Sequence[LoadColumn]) -> tuple[str, ...]:
    """The names, where the file has another of a column's names instead of its own."""
    others: dict[str, str] = {}
    for column in wanted:
        own = column.name.lower()
        found = next((other for other in (o.strip().lower() for o in column.other_names) if other in names), None)
        if found is not None and own not in names:
            others[found] = own
    return tuple(others.get(name, name) for name in names)


def _refuse_other_table(load: BulkLoadStep, found: Sequence[FileColumns], table: Sequence[TableColumn]) -> None:
    name, label = ".".join(load.table), found[0].file.label
    if not table:
        raise LoadError(f"the table {name} does not exist; {label} cannot be loaded")
    names = {column.name.lower() for column in table}
    if not any(column in names for one in found for column in one.names):
        raise LoadError(f"{label} has no column of the table {name}, which has {', '.join(sorted(names))}")


def _missing(one: FileColumns, load: BulkLoadStep, table: Sequence[TableColumn]) -> Iterator[str]:
    readers = {column.name.lower(): f"the table {'.'.join(load.table)}" for column in table if column.required}
    for column in load.columns:
        if column.needed_by and not column.optional:
            readers[column.name.lower()] = column.needed_by
    others = {column.name.lower(): column.other_names for column in load.columns}
    for name, reader in readers.items():
        if name not in one.names:
            near = get_close_matches(name, set(one.names) - readers.keys(), n=1)
            hint = f"; it has '{near[0]}'" if near else ""
            instead = f" ({' or '.join(map(repr, others[name]))} would do)" if others.get(name) else ""
            yield f"has no column '{name}'{instead}, which {reader} needs{hint}"
