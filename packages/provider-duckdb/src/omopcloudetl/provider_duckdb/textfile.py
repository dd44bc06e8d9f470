"""Looks into local text files: their first record, and how many lines they have.

Rows are read by the database alone. This is what the database can't be asked: it has no way to
read a header without guessing, and none to say that it reached the end of a file.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.models.loads import Encoding
from omopcloudetl.core.plan import TextOptions

PACKED = (".zst", ".bz2", ".xz")
LINE = re.compile(rb"[^\r\n]+")
NEWLINES = b"\r\n"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
CHUNK = 1 << 20


def is_plain(path: str) -> bool:
    """Whether this module can read the file: anything but what only the engine unpacks."""
    return not path.lower().endswith(PACKED)


def read_header(path: str, label: str, text: TextOptions) -> list[str]:
    """The cells of the first record; raises `LoadError` if there is none."""
    try:
        with _open_text(path, text.encoding) as lines:
            first = split_header(lines, text)
    except OSError as error:
        raise LoadError(f"cannot read {label}: {error.strerror or error}") from error
    except (csv.Error, EOFError, UnicodeError) as error:
        raise LoadError(f"{label}: the header cannot be read: {error}") from error
    if first is None:
        raise LoadError(f"{label} is empty; its first line must name the columns")
    if not first or first == [""]:
        raise LoadError(f"{label}: the first line is blank; it must name the columns")
    if any("\udc80" <= letter <= "\udcff" for letter in "".join(first)):
        raise LoadError(f"{label}: the header is not UTF-8; if it is Latin-1, say `encoding: latin-1`")
    return first


def split_header(lines: Iterator[str], text: TextOptions) -> list[str] | None:
    """The cells of the first record of some lines; None if there is no line."""
    if not text.quote:
        line = next(lines, None)
        return None if line is None else line.rstrip("\r\n").split(text.delimiter)
    return next(csv.reader(lines, delimiter=text.delimiter, quotechar=text.quote), None)


def read_ends(path: str, label: str) -> tuple[str, str]:
    """The first and the last letter of a file that is not white; raises `LoadError` if it cannot be read."""
    first, last = b"", b""
    try:
        with _open(path) as handle:
            while chunk := handle.read(CHUNK):
                text = chunk.removeprefix(BYTE_ORDER_MARK).strip()
                first, last = first or text[:1], text[-1:] or last
                if not is_gzip(path):
                    handle.seek(max(handle.tell(), Path(path).stat().st_size - CHUNK))
    except (OSError, EOFError) as error:
        raise LoadError(f"cannot read {label}: {getattr(error, 'strerror', None) or error}") from error
    return first.decode("latin-1"), last.decode("latin-1")


def count_lines(path: str, label: str) -> int:
    """How many lines hold anything; a line ends at any run of carriage returns and newlines.

    Raises `LoadError` for a file that cannot be read.
    """
    try:
        with _open(path) as handle:
            return _count(handle)
    except (OSError, EOFError) as error:
        raise LoadError(f"cannot read {label}: {getattr(error, 'strerror', None) or error}") from error


def _count(handle: IO[bytes] | gzip.GzipFile) -> int:
    lines = 0
    within_line = False
    while chunk := handle.read(CHUNK):
        lines += sum(1 for _ in LINE.finditer(chunk))
        if within_line and chunk[0] not in NEWLINES:
            lines -= 1  # the line began in the chunk before
        within_line = chunk[-1] not in NEWLINES
    return lines


def _open(path: str) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path, "rb") if is_gzip(path) else Path(path).open("rb")


def _open_text(path: str, encoding: Encoding) -> IO[str]:
    """The file as text, its line ends as they are; bytes that are not UTF-8 become surrogates."""
    codec, errors = ("utf-8-sig", "surrogateescape") if encoding == "utf-8" else (encoding, "strict")
    if is_gzip(path):
        return gzip.open(path, "rt", encoding=codec, errors=errors, newline="")
    return Path(path).open(encoding=codec, errors=errors, newline="")


def is_gzip(path: str) -> bool:
    """Whether a file is in gzip, by its name."""
    return path.lower().endswith(".gz")
