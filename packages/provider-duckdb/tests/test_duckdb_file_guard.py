"""Promises of the database file: made whole, noticed when it is lost, and told with a way out when it is damaged."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from omopcloudetl.core.errors import StatementError
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.engine import DuckDBConnection
from omopcloudetl.provider_duckdb.file_guard import DatabaseLostError
from omopcloudetl.provider_duckdb.ways_out import told_with_way_out

FILE = "/data/omop.duckdb"


def connection(folder: Path) -> DuckDBConnection:
    """A session with a file in this folder, not open yet."""
    return DuckDBConnection(DuckDBConfig(path="omop.duckdb"), folder)


def replace(file: Path) -> None:
    """By a copy of it, which is another file."""
    other = file.with_name("copy")
    other.write_bytes(file.read_bytes())
    other.replace(file)


@pytest.mark.parametrize(
    ("disturb", "words"),
    [(Path.unlink, "was removed"), (replace, "was replaced"), (lambda file: os.truncate(file, 0), "was emptied")],
    ids=["removed", "replaced", "emptied"],
)
def test_a_lost_file_fails_the_next_statement(tmp_path: Path, disturb: Callable[[Path], object], words: str) -> None:
    """Each statement, question and commit says what happened to which file; closing still works."""
    file = tmp_path / "omop.duckdb"
    with connection(tmp_path) as opened:
        opened.execute("CREATE TABLE t (i INTEGER)")
        with pytest.raises(DatabaseLostError, match=f"{file} {words}"), opened.transaction():
            disturb(file)
        for ask in (lambda: opened.execute("SELECT 1"), lambda: opened.fetch("SELECT 1"), opened.post_load_maintenance):
            with pytest.raises(DatabaseLostError, match=words):
                ask()


def test_a_new_file_is_its_owners_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """The file has its mode from the first moment, and what it was made of is gone."""
    with connection(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["omop.duckdb"]
        assert (tmp_path / "omop.duckdb").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "way_out"),
    [
        (f'IO Error: Could not write file "{FILE}": No space left on device', "free space"),
        ("Out of Memory Error: failed\nThis limit was set by the 'max_temp_directory_size' setting.", "temp_directory"),
        (
            "Out of Memory Error: could not allocate block\n\nPossible solutions:\n* SET threads=X",
            "raise `memory_limit`",
        ),
        (f'IO Error: Cannot open file "{FILE}.wal": Permission denied', "must be able to write"),
        (f'IO Error: Failure while replaying WAL file "{FILE}.wal": it', "move the log away"),
        (f'IO Error: The file "{FILE}" exists, but it is not a valid DuckDB database file!', "put a copy in its place"),
    ],
)
def test_the_engines_words_get_a_way_out(words: str, way_out: str) -> None:
    """What the engine says of disks, memory and its own file is followed by what to do, not by its own advice."""
    told = told_with_way_out(words, FILE)
    assert told is not None
    assert way_out in told
    assert "SET threads" not in told


@pytest.mark.parametrize(
    "words", ['IO Error: Cannot open file "/data/patients.csv": Permission denied', "Parser Error: syntax error"]
)
def test_other_words_of_the_engine_are_left_as_they_are(words: str) -> None:
    """An error about anything else is not explained by the disk."""
    assert told_with_way_out(words, FILE) is None


def test_what_is_short_of_memory_says_what_to_set(tmp_path: Path) -> None:
    """A statement that needs more memory than it may have names the settings of the target."""
    config = DuckDBConfig(path="omop.duckdb", memory_limit="2MB")
    with (
        DuckDBConnection(config, tmp_path) as opened,
        pytest.raises(StatementError, match="raise `memory_limit`") as told,
    ):
        opened.execute("CREATE TABLE t AS SELECT list(range) AS l FROM range(3000000)")
    assert "Possible solutions" not in str(told.value)
