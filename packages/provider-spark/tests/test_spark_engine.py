from datetime import datetime
from pathlib import Path

import pytest

from omopcloudetl.core.errors import DatabaseConnectionError, StatementError
from omopcloudetl.provider_spark.config import read_settings
from omopcloudetl.provider_spark.engine import SparkConnection

AT = datetime(2020, 1, 2, 3, 4, 5, 678)  # noqa: DTZ001  # times are in UTC and without a zone
COLUMNS = ("run", "step", "rows", "at")


def test_statements_and_queries(db: SparkConnection) -> None:
    """Rows that a statement wrote are counted, a query's rows are plain tuples, columns have names and types."""
    db.execute(f"CREATE TABLE s.t (id BIGINT, name STRING, at TIMESTAMP_NTZ) USING {db.config.format}")
    written = db.execute(f"INSERT INTO s.t (id, name, at) VALUES (1, 'a', TIMESTAMP_NTZ '{AT}'), (2, 'b', NULL)")
    assert written.rows_affected == 2
    assert db.fetch("SELECT id, at FROM s.t ORDER BY id", limit=1) == [(1, AT)]
    assert db.columns(("s", "t")) == [("id", "bigint"), ("name", "string"), ("at", "timestamp_ntz")]
    assert db.table_exists(("s", "t"))
    assert not db.table_exists(("s", "nothing"))
    assert not db.table_exists(("nowhere", "t"))


def test_errors_have_the_servers_words(db: SparkConnection) -> None:
    """What the server refuses is told in its words, with the beginning of the statement."""
    with pytest.raises(StatementError, match="nothing") as told:
        db.execute("SELECT *\nFROM s.nothing")
    assert "in: SELECT *" in str(told.value)
    assert not db.is_transient(told.value)


def test_records_are_added_and_replaced(db: SparkConnection) -> None:
    """Rows of metadata are inserted as they are, and those of the same key replaced; no error quotes a value."""
    db.execute(f"CREATE TABLE s.r (run STRING, step STRING, rows BIGINT, at TIMESTAMP_NTZ) USING {db.config.format}")
    db.record(("s", "r"), COLUMNS, [("1", 'it\'s \\ "a"\n`b`', 1, AT), ("1", "b", None, None)])
    db.record(("s", "r"), COLUMNS, [("1", "b", 7, None), ("1", "c", 8, AT)], replacing=("run", "step"))
    assert sorted(db.fetch("SELECT * FROM s.r")) == [
        ("1", "b", 7, None),
        ("1", "c", 8, AT),
        ("1", 'it\'s \\ "a"\n`b`', 1, AT),
    ]
    with pytest.raises(StatementError, match="cannot record into") as told:
        db.record(("s", "nothing"), COLUMNS, [("planted", "b", 7, None)])
    assert "planted" not in f"{told.value!r} {told.value.__cause__!r}"


def test_a_server_that_is_away(tmp_path: Path) -> None:
    """Where nobody listens the error names the address, and trying again could help."""
    connection = SparkConnection(read_settings({"remote": "sc://127.0.0.1:1/;token=planted"}), tmp_path)
    with pytest.raises(DatabaseConnectionError, match=r"sc://127\.0\.0\.1:1") as told:
        connection.connect()
    assert connection.is_transient(told.value)
    assert "planted" not in str(told.value)
    with pytest.raises(DatabaseConnectionError, match="not open"):
        connection.fetch("SELECT 1")
