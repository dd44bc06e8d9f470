"""A connection in whose loads something else happens."""

from __future__ import annotations

from collections.abc import Callable

from omopcloudetl.core.connection import ExecutionMetrics
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

FILLING = ("CREATE OR REPLACE TABLE", "CREATE OR REPLACE VIEW", "INSERT INTO")


class Interleaved(DuckDBConnection):
    """A connection that lets something happen behind the first statement that fills a table or makes a view."""

    happens: Callable[[], object] | None = None

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run the statement, and then what shall happen once."""
        done = super().execute(sql)
        if sql.startswith(FILLING) and self.happens is not None:
            happens, self.happens = self.happens, None
            happens()
        return done
