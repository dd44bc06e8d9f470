"""Registers the provider `duckdb`; the driver and the compiler's libraries are imported on use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.registrations import Provider, Settings

if TYPE_CHECKING:
    from omopcloudetl.core.connection import BaseConnection
    from omopcloudetl.core.generator import BaseSQLGenerator


@hookimpl
def omopcloudetl_register_providers() -> Sequence[Provider]:
    """The embedded default engine."""
    return [
        Provider(
            name="duckdb",
            summary="DuckDB: one file, in this process, nothing to start",
            generator=make_generator,
            connection=make_connection,
            check=check_settings,
        )
    ]


def make_generator() -> BaseSQLGenerator:
    """The dialect; imports no driver."""
    from omopcloudetl.provider_duckdb.dialect import DuckDBGenerator

    return DuckDBGenerator()


def make_connection(settings: Settings, base: Path) -> BaseConnection:
    """A connection that is not open yet; raises `DatabaseConnectionError` for wrong settings."""
    from omopcloudetl.provider_duckdb.config import read_settings
    from omopcloudetl.provider_duckdb.engine import DuckDBConnection

    return DuckDBConnection(read_settings(settings), base)


def check_settings(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with a target's settings, as (key, problem)."""
    from omopcloudetl.provider_duckdb.config import check

    return check(settings)
