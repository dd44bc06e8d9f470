"""What loading files needs of a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from omopcloudetl.core.connection import ExecutionMetrics, Row
from omopcloudetl.provider_spark.config import SparkConfig


class LoadSession(Protocol):
    """A connection, as loads see it."""

    config: SparkConfig

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run one statement."""
        ...

    def fetch(self, sql: str, *, limit: int = 10_000) -> list[Row]:
        """The first rows of a query."""
        ...

    def columns(self, table: Sequence[str]) -> list[tuple[str, str]]:
        """Name and type of each column of a table."""
        ...

    def file_columns(self, path: str, format_: str, options: Mapping[str, str]) -> list[tuple[str, str]]:
        """Names and types of the columns that Spark finds in files."""
        ...
