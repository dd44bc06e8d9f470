"""Reads small CSV files of metadata strictly: each record with its place, and what is no CSV as a diagnostic."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from omopcloudetl.core.errors import Diagnostic, Position, ProjectError

DELIMITERS = ",;\t"
"""What may stand between values where a program that saved the file may have changed it."""


@dataclass(frozen=True)
class CsvFile:
    """A file: the name that messages use, and its content."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class CsvRow:
    """One record and the place it came from."""

    where: Position
    cells: Mapping[str, str]


def csv_rows(file: CsvFile, columns: Sequence[str], *, help: str, delimiter: str = ",") -> Iterator[CsvRow]:
    """The records of a file with a header.

    Args:
        file: What is read: UTF-8, with or without a mark of byte order.
        columns: The columns that it must have; it may have others.
        help: What to do about a file that is not so.
        delimiter: What stands between values.

    Raises:
        ProjectError: It is no such file: the first thing that is wrong, with its line.
    """
    reader = csv.reader(io.StringIO(_decoded(file, help), newline=""), strict=True, delimiter=delimiter)
    try:
        header = [name.strip() for name in next(reader, [])]
        missing = [name for name in columns if name not in header]
        if missing:
            found = ", ".join(header)[:200] or "an empty file"
            message = f"missing column {', '.join(missing)}"
            raise ProjectError([Diagnostic("missing-column", message, Position(file.name), found=found, help=help)])
        line = reader.line_num + 1
        for cells in reader:
            where, line = Position(file.name, line), reader.line_num + 1
            if len(cells) not in (0, len(header)):
                message = f"the row has {len(cells)} cells, the header {len(header)}"
                raise ProjectError([Diagnostic("ragged-row", message, where, help=help)])
            if cells:
                yield CsvRow(where, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        where = Position(file.name, max(reader.line_num, 1))
        message = f"this is not a CSV file in UTF-8: {error}"
        raise ProjectError([Diagnostic("not-csv", message, where, help=help)]) from None


def _decoded(file: CsvFile, help: str) -> str:
    try:
        return file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = Position(file.name, file.content.count(b"\n", 0, error.start) + 1)
        message = f"this is not a CSV file in UTF-8: {error.reason}"
        raise ProjectError([Diagnostic("not-csv", message, where, help=help)]) from None


def header_of(file: CsvFile) -> tuple[list[str], str]:
    """The names in a file's first line and what stands between them: of `DELIMITERS` the one that it has most."""
    line = file.content.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace").rstrip("\r")
    delimiter = max(DELIMITERS, key=line.count)
    try:
        return next(csv.reader([line], delimiter=delimiter), []), delimiter
    except csv.Error:
        return [line], delimiter
