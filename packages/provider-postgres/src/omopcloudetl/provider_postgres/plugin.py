"""Registers the provider `postgres`; the driver and the compiler's libraries are imported on use."""

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
    """PostgreSQL 15 to 18."""
    return [
        Provider(
            name="postgres",
            summary="PostgreSQL 15 to 18: a server",
            generator=make_generator,
            connection=make_connection,
            check=check_settings,
        )
    ]


def make_generator() -> BaseSQLGenerator:
    """The dialect; imports no driver."""
    from omopcloudetl.provider_postgres.dialect import PostgresGenerator

    return PostgresGenerator()


def make_connection(settings: Settings, base: Path) -> BaseConnection:
    """A connection that is not open yet; raises `DatabaseConnectionError` for wrong settings."""
    from omopcloudetl.provider_postgres.config import read_settings
    from omopcloudetl.provider_postgres.engine import PostgresConnection

    return PostgresConnection(read_settings(settings), base)


def check_settings(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with a target's settings, as (key, problem)."""
    from omopcloudetl.provider_postgres.config import check

    return check(settings)
