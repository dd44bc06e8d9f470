"""Registers the provider `spark`; the driver and the compiler's libraries are imported on use."""

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
    """Spark 3.5 and 4 with tables of Delta or Iceberg."""
    return [
        Provider(
            name="spark",
            summary="Spark 3.5 and 4 with tables of Delta or Iceberg, through Spark Connect",
            generator=make_generator,
            connection=make_connection,
            check=check_settings,
            target_generator=make_target_generator,
        )
    ]


def make_generator() -> BaseSQLGenerator:
    """The dialect for tables of Delta; imports no driver."""
    from omopcloudetl.provider_spark.dialect import SparkGenerator

    return SparkGenerator()


def make_target_generator(settings: Settings) -> BaseSQLGenerator:
    """The dialect for tables of the target's format."""
    from omopcloudetl.provider_spark.dialect import SparkGenerator

    location = settings.get("location")
    return SparkGenerator(
        "iceberg" if settings.get("format") == "iceberg" else "delta",
        None if location is None else str(location),
        not_null=settings.get("not_null") is not False,
    )


def make_connection(settings: Settings, base: Path) -> BaseConnection:
    """A connection that is not open yet; raises `DatabaseConnectionError` for wrong settings."""
    from omopcloudetl.provider_spark.config import read_settings
    from omopcloudetl.provider_spark.engine import SparkConnection

    return SparkConnection(read_settings(settings), base)


def check_settings(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with a target's settings, as (key, problem)."""
    from omopcloudetl.provider_spark.config import check

    return check(settings)
