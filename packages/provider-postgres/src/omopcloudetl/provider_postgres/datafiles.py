"""Describes the files of a load, who reads them, and the part of a connection that loading needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from omopcloudetl.core.connection import ExecutionMetrics, Row
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import TextOptions
from omopcloudetl.provider_postgres.config import PostgresConfig
from omopcloudetl.provider_postgres.sql import TableColumn


class LoadSession(Protocol):
    """The part of a connection that loading needs."""

    config: PostgresConfig

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run one statement."""

    def fetch(self, sql: str, *, limit: int = 10_000) -> list[Row]:
        """Run a query and return its first rows."""

    def copy_in(self, statement: str, chunks: Iterator[bytes]) -> int:
        """Send bytes to a `COPY … FROM STDIN`; returns how many rows the server made of them."""

    def refuse_if_cancelled(self) -> None:
        """Raise `StatementError` if the load was told to stop."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit at the end of the block, roll back if it raises."""

    def kind_of(self, table: Sequence[str]) -> str | None:
        """`r` for a table, `v` for a view; None if there is no such thing."""

    def table_columns(self, table: Sequence[str]) -> list[TableColumn]:
        """The columns of a table, in order; empty when there is no such table."""


@dataclass(frozen=True)
class DataFile:
    """One file of a load, as it was when the load began."""

    path: str
    """As who reads it names it."""
    label: str
    """As the user knows it: relative to the project where it lies below it."""
    size: int
    """Bytes as stored."""
    modified: str
    """When it was last written, as who reads it tells."""
    member: str = ""
    """Which member of the zip archive at `path` it is; empty for a file that is none."""


class Files(Protocol):
    """Who reads files: the server, or this program on its behalf."""

    def find(self, uri: str, base: Path) -> list[DataFile]:
        """The files that a path or a pattern names now, none if there are none; raises `LoadError`."""

    def head(self, file: DataFile, count: int) -> bytes:
        """The first bytes of a file, unpacked."""

    def copy(self, file: DataFile, statement: str, options: str) -> int:
        """Run `COPY … FROM` a file; returns how many rows came."""

    def missing(self, uri: str, base: Path) -> str:
        """Why a file may not be found there, and what to do, to put behind the error."""


@dataclass(frozen=True)
class FileColumns:
    """A file, and its columns by the names that rules know them by, in the file's order."""

    file: DataFile
    names: tuple[str, ...]


BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PATTERN = re.compile(r"[*?\[]")


def local_path(uri: str) -> str:
    """The path that a URI without a scheme, or of `file:`, means; raises `LoadError` for another machine's."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    if scheme.lower() != "file":
        way_out = "bring the files to where the server or, with `client_streaming: true`, this program can read them"
        raise LoadError(f"cannot load {scheme.lower()}://…: PostgreSQL reads no files of other machines; {way_out}")
    return rest.removeprefix("localhost")


def label_of(path: str, base: Path) -> str:
    """A path as the user knows it."""
    folder = f"{base}/"
    return path.removeprefix(folder)


def encoding_name(text: TextOptions) -> str:
    """An encoding as the server calls it."""
    return {"utf-8": "UTF8", "latin-1": "LATIN1"}[text.encoding]
