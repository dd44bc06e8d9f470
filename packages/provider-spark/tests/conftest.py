"""A real engine, sessions and files for the tests of the Spark provider."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from spark_server import Settings, empty_catalog

from omopcloudetl.provider_spark.config import read_settings
from omopcloudetl.provider_spark.engine import SparkConnection


@pytest.fixture(params=["delta", "iceberg"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty catalog, for tables of each format."""
    return empty_catalog(tmp_path, request.param)


@pytest.fixture
def db(settings: Settings, tmp_path: Path) -> Iterator[SparkConnection]:
    """An open connection to an empty catalog with the schema `s`."""
    with SparkConnection(read_settings(settings), tmp_path) as connection:
        connection.execute(f"CREATE SCHEMA s LOCATION '{tmp_path}/warehouse/s'")
        yield connection


@pytest.fixture(params=[True, False], ids=["ansi", "no-ansi"])
def calculator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SparkConnection]:
    """An open connection without tables, in each of Spark's modes."""
    with SparkConnection(read_settings(empty_catalog(tmp_path) | {"ansi": request.param}), tmp_path) as connection:
        yield connection
