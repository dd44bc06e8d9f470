import subprocess
import sys
from pathlib import Path

import pytest

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.errors import DatabaseConnectionError
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.provider_postgres.config import check
from omopcloudetl.provider_postgres.dialect import PostgresGenerator

GOOD = {"host": "db", "dbname": "omop", "user": "etl"}


def test_provider_is_found_by_name() -> None:
    """A project that names `postgres` gets its dialect."""
    assert isinstance(load_plugins().provider("postgres").generator(), PostgresGenerator)


def test_plugin_and_dialect_import_no_driver() -> None:
    """Registering and compiling work without importing psycopg."""
    program = (
        "import sys; from omopcloudetl.provider_postgres import plugin;"
        "heavy = {'psycopg', 'sqlglot', 'tenacity'} & set(sys.modules); assert not heavy, heavy;"
        "plugin.make_generator(); plugin.check_settings({'host': 'x'});"
        "assert 'psycopg' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_capability_is_declared() -> None:
    """No capability is left open; what is missing has a reason."""
    declared = PostgresGenerator.capabilities

    assert set(declared) == set(Capability)
    assert all(support.level == "full" or support.reason for support in declared.values())


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("integer", "INT"),
        ("bigint", "BIGINT"),
        ("float", "DOUBLE PRECISION"),
        ("number", "DOUBLE PRECISION"),
        ("date", "DATE"),
        ("datetime", "TIMESTAMP"),
        ("timestamp", "TIMESTAMP"),
        ("varchar(50)", "VARCHAR(50)"),
        ("varchar(max)", "TEXT"),
        ("text", "TEXT"),
        ("boolean", "BOOLEAN"),
    ],
)
def test_specification_types_have_an_engine_type(type_: str, expected: str) -> None:
    """Each type of the CDM specification, and each of ours, is one of PostgreSQL's."""
    assert PostgresGenerator().data_type(type_).sql("postgres") == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (GOOD, []),
        (GOOD | {"password": "${secret:PG}", "port": 5433, "client_streaming": True}, []),
        (GOOD | {"port": "${secret:PORT}"}, []),
        ({"host": "db"}, [("dbname", "the name of the database"), ("user", "the name of the role")]),
        (GOOD | {"port": 0}, [("port", "from 1 to 65535")]),
        (GOOD | {"sslmode": "yes"}, [("sslmode", "verify-full")]),
        (GOOD | {"statement_timeout": "5min"}, [("statement_timeout", "seconds")]),
        (GOOD | {"database": "x"}, [("database", "There are: host")]),
        (GOOD | {"hots": "x"}, [("hots", "did you mean 'host'?")]),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, str | int | bool], expected: list[tuple[str, str]]) -> None:
    """A check names the key and says what to write."""
    found = check(settings)

    assert [key for key, _ in found] == [key for key, _ in expected]
    assert all(part in text for (_, text), (_, part) in zip(found, expected, strict=True))


def test_wrong_settings_are_one_error_without_the_password(tmp_path: Path) -> None:
    """Settings that were never checked fail with every problem in one error, which does not show a password."""
    provider = load_plugins().provider("postgres")

    with pytest.raises(DatabaseConnectionError, match=r"port: .*dbname: ") as told:
        provider.connection({"host": "db", "user": "etl", "port": 0, "password": "planted"}, tmp_path)
    assert "planted" not in f"{told.value!r} {told.value.__context__!r}"
