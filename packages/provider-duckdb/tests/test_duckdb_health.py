"""Promises of what the connection says of its file before it is opened."""

from pathlib import Path

import pytest

from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.engine import DuckDBConnection


def diagnose(base: Path, path: str = "omop.duckdb") -> tuple[str, str, bool]:
    """Outcome and text of the one finding, and whether opening would make the file."""
    found = DuckDBConnection(DuckDBConfig(path=path), base).diagnose()
    (finding,) = found.findings
    assert finding.outcome in {"ok", "problem"} or finding.help or path == ":memory:"
    return finding.outcome, finding.found, found.would_create


def test_a_file_that_is_not_there_will_be_made(tmp_path: Path) -> None:
    """Looking does not make it."""
    assert diagnose(tmp_path) == ("ok", "omop.duckdb will be made by the first run", True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_ours_is_for_its_owner(tmp_path: Path) -> None:
    """A file that a connection made is all right; one that others may read is a warning."""
    with DuckDBConnection(DuckDBConfig(path="omop.duckdb"), tmp_path):
        pass
    assert diagnose(tmp_path) == ("ok", "omop.duckdb, for its owner only", False)
    (tmp_path / "omop.duckdb").chmod(0o644)
    assert diagnose(tmp_path) == ("warning", "other people may read omop.duckdb", False)


def test_a_folder_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """The engine makes no folders."""
    assert diagnose(tmp_path, "a/b.duckdb")[:2] == ("problem", "the folder of a/b.duckdb does not exist")


def test_a_folder_in_place_of_the_file_is_a_problem(tmp_path: Path) -> None:
    """Nothing can be opened there."""
    assert diagnose(tmp_path, ".")[:2] == ("problem", ". is no file")


def test_a_database_in_memory_is_a_warning(tmp_path: Path) -> None:
    """It can be run in, and is gone afterwards."""
    assert diagnose(tmp_path, ":memory:") == ("warning", "in memory: nothing is kept after a run", False)


def test_the_version_is_the_engines(tmp_path: Path) -> None:
    """As it is told to people."""
    with DuckDBConnection(DuckDBConfig(path=":memory:"), tmp_path) as connection:
        assert connection.engine_version().startswith("DuckDB 1.")
        (version,) = connection.fetch("SELECT version()")[0]
    assert connection.engine_version() == f"DuckDB {str(version).removeprefix('v')}"


@pytest.mark.parametrize("path", ["omop.duckdb", ":memory:"])
def test_the_folder_of_the_data_is_told_where_there_is_one(tmp_path: Path, path: str) -> None:
    """So that the room on its disk can be measured."""
    found = DuckDBConnection(DuckDBConfig(path=path), tmp_path).diagnose()
    assert found.folder == (None if path == ":memory:" else tmp_path.resolve())
