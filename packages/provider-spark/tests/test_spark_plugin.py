import subprocess
import sys
from pathlib import Path

import pytest

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.errors import DatabaseConnectionError
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.provider_spark.config import address, check, read_settings
from omopcloudetl.provider_spark.dialect import SparkGenerator
from omopcloudetl.provider_spark.properties import read_properties

GOOD = {"remote": "sc://spark:15002"}


def test_the_format_of_a_target_is_that_of_its_dialect() -> None:
    """A project that names `spark` gets a dialect for the tables that its target asks for."""
    provider = load_plugins().provider("spark")
    for format_ in ("delta", "iceberg"):
        found = provider.generator_for(GOOD | {"format": format_})
        assert isinstance(found, SparkGenerator)
        assert found.table_format == format_


def test_plugin_and_dialect_import_no_driver() -> None:
    """Registering and compiling work without importing pyspark or what it brings."""
    program = (
        "import sys; from omopcloudetl.provider_spark import plugin;"
        "heavy = {'pyspark', 'pandas', 'sqlglot', 'tenacity'} & set(sys.modules); assert not heavy, heavy;"
        "plugin.make_target_generator({'format': 'iceberg'}); plugin.check_settings({'remote': 'x'});"
        "assert not {'pyspark', 'pandas', 'grpc'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_program_without_a_file_can_connect() -> None:
    """The driver is imported by `python -c`, too, which its own check would end, and nothing is left behind."""
    program = "import omopcloudetl.provider_spark.remote, __main__; assert not hasattr(__main__, '__file__'); print(7)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "7\n"


def test_every_capability_is_declared() -> None:
    """No capability is left open; what is missing has a reason."""
    declared = SparkGenerator.capabilities

    assert set(declared) == set(Capability)
    assert all(support.level == "full" or support.reason for support in declared.values())


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("integer", "INT"),
        ("bigint", "BIGINT"),
        ("float", "DOUBLE"),
        ("date", "DATE"),
        ("datetime", "TIMESTAMP_NTZ"),
        ("varchar(50)", "STRING"),
        ("varchar(max)", "STRING"),
        ("text", "STRING"),
        ("boolean", "BOOLEAN"),
    ],
)
def test_specification_types_have_an_engine_type(type_: str, expected: str) -> None:
    """Each type of the CDM specification, and each of ours, is one of Spark's; times have no zone."""
    assert SparkGenerator().data_type(type_).sql("spark") == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (GOOD, []),
        (GOOD | {"token": "${secret:SPARK}", "format": "iceberg", "catalog": "lake", "multiline": False}, []),
        ({}, [("remote", "sc://")]),
        ({"remote": "spark:15002"}, [("remote", "sc://")]),
        (GOOD | {"format": "parquet"}, [("format", "delta or iceberg")]),
        (GOOD | {"catalogue": "x"}, [("catalogue", "did you mean 'catalog'?")]),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, str | bool], expected: list[tuple[str, str]]) -> None:
    """A check names the key and says what to write."""
    found = check(settings)

    assert [key for key, _ in found] == [key for key, _ in expected]
    assert all(part in text for (_, text), (_, part) in zip(found, expected, strict=True))


@pytest.mark.parametrize("remote", ["sc://spark:15002", "sc://spark:15002/", "sc://spark:15002/;use_ssl=true"])
def test_a_token_is_added_to_the_address(remote: str) -> None:
    """A token goes to the server as an option of its address, whatever stands there already."""
    found = address(read_settings({"remote": remote, "token": "planted"}))

    assert found.startswith("sc://spark:15002/;")
    assert found.endswith(";token=planted")


def test_wrong_settings_are_one_error_without_the_token(tmp_path: Path) -> None:
    """Settings that were never checked fail with every problem in one error, which does not show a token."""
    provider = load_plugins().provider("spark")

    with pytest.raises(DatabaseConnectionError, match=r"remote: .*format: ") as told:
        provider.connection({"remote": "x", "format": "orc", "token": "planted"}, tmp_path)
    assert "planted" not in f"{told.value!r} {told.value.__context__!r}"


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({}, "remote"),
        (GOOD | {"master": "local[2]"}, "remote"),
        (GOOD | {"properties": "spark.conf"}, "properties"),
        ({"master": "local[2]", "token": "t"}, "token"),
    ],
)
def test_a_target_is_a_server_or_this_process(settings: dict[str, str], key: str) -> None:
    """One of `remote` and `master` says where, and a setting of the other is refused."""
    assert [found for found, _ in check(settings)] == [key]
    assert check({"master": "local[2]", "properties": "spark.conf"}) == []


def test_properties_are_read_as_spark_reads_them() -> None:
    """A key ends at a blank, a tab, `=` or `:`; its value may have any of them; comments and empty lines are none."""
    text = "# a comment\n\nspark.a  b = c\nspark.b=-Dx=y -Dz=1\n\tspark.c:d\t\n! another\nspark.e\n"
    found = [("spark.a", "b = c"), ("spark.b", "-Dx=y -Dz=1"), ("spark.c", "d"), ("spark.e", "")]
    assert list(read_properties(text)) == found


def test_a_driver_that_is_not_installed_is_named(tmp_path: Path) -> None:
    """The error of a target whose driver is missing says what to install."""
    connection = load_plugins().provider("spark").connection
    with pytest.raises(DatabaseConnectionError, match=r"install omopcloudetl-provider-spark\[local\]"):
        connection({"master": "local[2]"}, tmp_path)
