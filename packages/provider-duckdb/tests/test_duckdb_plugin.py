import subprocess
import sys
from pathlib import Path

import pytest

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.errors import DatabaseConnectionError
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.provider_duckdb.config import check
from omopcloudetl.provider_duckdb.dialect import DuckDBGenerator


def test_provider_is_found_by_name_and_makes_its_parts(tmp_path: Path) -> None:
    """A project that names `duckdb` gets its dialect and a connection that works."""
    provider = load_plugins().provider("duckdb")

    assert isinstance(provider.generator(), DuckDBGenerator)
    with provider.connection({"path": "a.duckdb"}, tmp_path) as connection:
        assert connection.fetch("SELECT 1") == [(1,)]


def test_plugin_and_dialect_import_no_driver() -> None:
    """Registering and compiling work without importing duckdb."""
    program = (
        "import sys; from omopcloudetl.provider_duckdb import plugin;"
        "heavy = {'duckdb', 'sqlglot', 'tenacity'} & set(sys.modules); assert not heavy, heavy;"
        "plugin.make_generator(); plugin.check_settings({'path': 'x'});"
        "assert 'duckdb' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_capability_is_declared() -> None:
    """No capability is left open; what is missing has a reason."""
    declared = DuckDBGenerator.capabilities

    assert set(declared) == set(Capability)
    assert all(support.level == "full" or support.reason for support in declared.values())


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("integer", "INT"),
        ("bigint", "BIGINT"),
        ("float", "DOUBLE"),
        ("number", "DOUBLE"),
        ("date", "DATE"),
        ("datetime", "TIMESTAMP"),
        ("timestamp", "TIMESTAMP"),
        ("varchar(50)", "TEXT"),
        ("varchar(max)", "TEXT"),
        ("text", "TEXT"),
        ("boolean", "BOOLEAN"),
    ],
)
def test_specification_types_have_an_engine_type(type_: str, expected: str) -> None:
    """Each type of the CDM specification, and each of ours, is one of DuckDB's."""
    assert DuckDBGenerator().data_type(type_).sql("duckdb") == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"path": "a.duckdb"}, []),
        ({"path": ":memory:", "threads": 2, "memory_limit": "1.5 GB"}, []),
        ({"path": "a", "memory_limit": "${secret:LIMIT}"}, []),
        ({}, [("path", "write the database file")]),
        ({"path": ""}, [("path", "write the database file")]),
        ({"path": "a", "threads": 0}, [("threads", "at least 1")]),
        ({"path": "a", "threads": "2"}, [("threads", "a whole number")]),
        ({"path": "a", "memory_limit": "lots"}, [("memory_limit", "such as '4GB'")]),
        ({"path": "a", "thread": 2}, [("thread", "did you mean 'threads'?")]),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, str | int], expected: list[tuple[str, str]]) -> None:
    """A check names the key and says what to write."""
    found = check(settings)

    assert [key for key, _ in found] == [key for key, _ in expected]
    assert all(part in text for (_, text), (_, part) in zip(found, expected, strict=True))


def test_connection_with_wrong_settings_lists_all_problems(tmp_path: Path) -> None:
    """Settings that were never checked fail with every problem in one error."""
    provider = load_plugins().provider("duckdb")

    with pytest.raises(DatabaseConnectionError, match=r"path: write.*threads: "):
        provider.connection({"threads": 0}, tmp_path)
