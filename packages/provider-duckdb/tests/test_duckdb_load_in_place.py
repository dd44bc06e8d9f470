from collections.abc import Callable
from pathlib import Path

import pytest

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import LoadColumn
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Write = Callable[[str, str | bytes], Path]
Load = Callable[..., LoadMetrics]


def _parquet(db: DuckDBConnection, file: Path, query: str) -> None:
    db.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")


def test_a_table_read_in_place_is_a_view_of_its_files(db: DuckDBConnection, tmp_path: Path, load: Load) -> None:
    """It has the same columns as a copy, NULL for what a file may lack, and the rows that the files say they have."""
    _parquet(db, tmp_path / "x1.parquet", "SELECT 1 AS \"Id\", 'a' AS code UNION ALL SELECT 2, 'b'")
    _parquet(db, tmp_path / "x2.parquet", "SELECT 'c' AS code, CAST(3.5 AS DOUBLE) AS id")
    columns = (LoadColumn(name="unit"),)

    copied = load("x*.parquet", columns=columns, table=("main", "copied"))
    viewed = load("x*.parquet", columns=columns, mode="view")

    assert (db.is_view(("main", "copied")), db.is_view(("main", "t"))) == (False, True)
    assert db.columns(("main", "t")) == db.columns(("main", "copied"))
    assert db.fetch("FROM t ORDER BY id") == db.fetch("FROM copied ORDER BY id") != []
    assert viewed.rows_loaded == copied.rows_loaded == 3
    assert viewed.bytes_read == copied.bytes_read


def test_files_that_come_later_are_not_seen(db: DuckDBConnection, tmp_path: Path, load: Load) -> None:
    """The view is of the files that the load found; also a name that is a pattern means one file."""
    _parquet(db, tmp_path / "x[1].parquet", "SELECT 1 AS id")
    load("*.parquet", mode="view")
    _parquet(db, tmp_path / "x1.parquet", "SELECT 2 AS id")

    assert db.fetch("FROM t") == [(1,)]


def test_a_copy_becomes_a_view_and_a_view_a_copy(db: DuckDBConnection, tmp_path: Path, load: Load) -> None:
    """Whatever the table was made as by an earlier load, it is made as this one says."""
    _parquet(db, tmp_path / "x.parquet", "SELECT 1 AS id")
    for mode, is_view in (("create", False), ("view", True), ("view", True), ("create", False)):
        load("x.parquet", mode=mode)
        assert (db.is_view(("main", "t")), db.fetch("FROM t")) == (is_view, [(1,)])


def test_a_load_with_rejects_replaces_a_view(db: DuckDBConnection, tmp_path: Path, write: Write, load: Load) -> None:
    """A table that was a view of Parquet files is loaded from text with malformed records."""
    _parquet(db, tmp_path / "x.parquet", "SELECT 1 AS id")
    load("x.parquet", mode="view")
    write("x.csv", "id,code\n1,a\n2\n")
    db.execute(
        "CREATE TABLE rejected_rows (load_step VARCHAR, table_name VARCHAR, file VARCHAR, line BIGINT,"
        " reason VARCHAR, text VARCHAR)"
    )

    assert load("x.csv", max_rejected=1).rows_rejected == 1
    assert (db.is_view(("main", "t")), db.fetch("FROM t")) == (False, [("1", "a")])


def test_a_broken_contract_makes_no_view(db: DuckDBConnection, tmp_path: Path, load: Load) -> None:
    """What a copy would be refused for is told when the view is made, not when it is read."""
    _parquet(db, tmp_path / "x.parquet", "SELECT 1 AS id")
    needed = LoadColumn(name="code", optional=False, needed_by="mappings/a.yaml:3")

    with pytest.raises(LoadError, match=r"has no column 'code', which mappings/a\.yaml:3 needs"):
        load("x.parquet", mode="view", columns=(needed,))
    assert not db.table_exists(("main", "t"))
