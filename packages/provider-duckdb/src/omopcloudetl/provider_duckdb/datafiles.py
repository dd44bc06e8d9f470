"""Describes the files of a load, and the part of a connection that reading them needs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from omopcloudetl.core.connection import ExecutionMetrics, Row
from omopcloudetl.provider_duckdb import textfile
from omopcloudetl.provider_duckdb.sql import FileColumn, TableColumn


class Session(Protocol):
    """The part of a connection that reading needs."""

    def fetch(self, sql: str, *, limit: int = 10_000) -> list[Row]:
        """Run a query and return its first rows."""

    def allow_remote(self, uri: str) -> None:
        """Get ready to read a remote file; raises `LoadError` for one that may not be read."""


class LoadSession(Session, Protocol):
    """The part of a connection that loading needs."""

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run one statement."""

    def temp_folder(self) -> Path | None:
        """Where there is room for what is unpacked; None for the system's own folder."""

    def refuse_if_cancelled(self) -> None:
        """Raise `StatementError` if the load was told to stop; for what goes on without the engine."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit at the end of the block, roll back if it raises."""

    def is_view(self, table: Sequence[str]) -> bool | None:
        """Whether a name is that of a view; None if there is no such table or view."""

    def table_columns(self, table: Sequence[str]) -> list[TableColumn]:
        """The columns of a table, in order; empty when there is no such table."""


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
    layout: str = ""
    """Of JSON: the engine's word for how objects follow each other."""

    @property
    def patterns(self) -> list[str]:
        """What the engine is asked for."""
        return [file.pattern for file in self.files]
