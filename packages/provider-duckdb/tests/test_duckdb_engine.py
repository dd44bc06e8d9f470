import pickle
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from omopcloudetl.core.errors import DatabaseConnectionError, StatementError
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Open = Callable[..., DuckDBConnection]

HOLD_THE_LOCK = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(float(sys.argv[2]))
connection.close()
"""


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("INSERT INTO t SELECT range FROM range(7)", 7),
        ("UPDATE t SET i = i + 1 WHERE i < 2", 2),
        ("DELETE FROM t", 3),
        ("CREATE TABLE u AS SELECT * FROM t", 3),
        ("CREATE OR REPLACE TABLE t AS SELECT 1 AS i WHERE false", 0),
        ("MERGE INTO t USING (SELECT 9 AS i) s ON t.i = s.i WHEN NOT MATCHED THEN INSERT", 1),
        ("CREATE TABLE v (i INTEGER)", None),
        ("CREATE SCHEMA s", None),
        ("DROP TABLE t", None),
        ('SELECT 5 AS "Count"', None),
    ],
)
def test_execute_reports_what_the_engine_counted(db: DuckDBConnection, sql: str, rows: int | None) -> None:
    """Rows are counted by the engine, and only for statements that change rows."""
    db.execute("CREATE TABLE t AS SELECT range AS i FROM range(3)")

    metrics = db.execute(sql)

    assert metrics.rows_affected == rows
    assert metrics.seconds > 0


def test_fetch_stops_at_its_limit(db: DuckDBConnection) -> None:
    """No more rows than asked for come back, and the session goes on working."""
    assert db.fetch("SELECT range FROM range(1000000)", limit=2) == [(0,), (1,)]
    assert len(db.fetch("SELECT range FROM range(20000)")) == 10_000


def test_failed_statement_speaks_the_engines_words(db: DuckDBConnection) -> None:
    """A `StatementError` has the engine's message and the statement's first line, and pickles."""
    with pytest.raises(StatementError, match="nonexistent does not exist") as caught:
        db.execute("SELECT *\nFROM nonexistent")

    assert "\n  in: SELECT *" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(StatementError, match="Parser Error"):
        db.fetch("SELEC 1")


@pytest.mark.parametrize(("sql", "count"), [("SELECT 1; SELECT 2", 2), ("-- nothing", 0)])
def test_execute_takes_one_statement(db: DuckDBConnection, sql: str, count: int) -> None:
    """Text that is not exactly one statement is refused before anything runs."""
    with pytest.raises(StatementError, match=f"one statement was expected, {count} were found"):
        db.execute(sql)


def _insert(db: DuckDBConnection, *tables: str) -> None:
    with db.transaction():
        for table in tables:
            db.execute(f"INSERT INTO {table} VALUES (1)")


def test_transaction_commits_or_rolls_back(db: DuckDBConnection) -> None:
    """A block that raises leaves no trace; the next one commits."""
    db.execute("CREATE TABLE t (i INTEGER)")

    with pytest.raises(StatementError):
        _insert(db, "t", "nonexistent")
    assert db.fetch("SELECT * FROM t") == []

    _insert(db, "t", "t")
    assert db.fetch("SELECT * FROM t") == [(1,), (1,)]


def test_failed_commit_rolls_back_and_the_session_goes_on(open_database: Open) -> None:
    """What a commit refuses is a `StatementError`, and nothing of it stays."""
    first, second = open_database(), open_database()
    first.execute("CREATE TABLE t (i INTEGER PRIMARY KEY)")

    def collide() -> None:
        with first.transaction():
            first.execute("INSERT INTO t VALUES (1)")
            second.execute("INSERT INTO t VALUES (1)")

    with pytest.raises(StatementError, match=r"in: COMMIT") as caught:
        collide()

    assert isinstance(caught.value.__cause__, duckdb.Error)
    assert first.execute("INSERT INTO t VALUES (2)").rows_affected == 1
    assert first.fetch("SELECT count(*) FROM t") == [(2,)]


def test_conflict_of_two_transactions_is_transient(open_database: Open) -> None:
    """Two transactions that delete the same row conflict, and that is worth another try."""
    first, second = open_database(), open_database()
    first.execute("CREATE TABLE t AS SELECT 1 AS i")

    def collide() -> None:
        with first.transaction(), second.transaction():
            first.execute("DELETE FROM t")
            second.execute("DELETE FROM t")

    with pytest.raises(StatementError, match=r"[Cc]onflict") as caught:
        collide()

    assert first.is_transient(caught.value)
    assert not first.is_transient(StatementError("a typing error"))
    assert first.fetch("SELECT * FROM t") == [(1,)]


@pytest.mark.parametrize("name", ["person", "Select", "two words", 'say "hi"', "âge", "a.b", "x; DROP TABLE y --"])
def test_catalogue_knows_odd_names(db: DuckDBConnection, name: str) -> None:
    """Tables are found by names of one, two and three parts, whatever the letters."""
    quoted = '"' + name.replace('"', '""') + '"'
    db.execute(f"CREATE SCHEMA {quoted}")
    db.execute(f"CREATE TABLE {quoted}.{quoted} ({quoted} INTEGER, b VARCHAR(5) NOT NULL)")

    assert db.table_exists((name, name))
    other_case = name.encode().upper().decode()  # to the engine, Â is another letter than â
    assert db.table_exists(("omop cloud etl", name, other_case))
    assert not db.table_exists((name,))
    assert not db.table_exists(("other", name, name))
    assert db.columns((name, name)) == [(name, "INTEGER"), ("b", "VARCHAR")]
    assert db.columns((name, "nothing")) == []
    assert db.is_view((name, name)) is False
    db.execute(f"CREATE VIEW {quoted}.v AS FROM {quoted}.{quoted}")
    assert db.is_view((name, "V")) is True
    db.execute(f"DROP TABLE {quoted}.{quoted}")
    assert db.table_exists((name, "v")), "a view stays there, whatever it reads"
    assert db.is_view((name, name)) is None


def test_names_of_python_objects_are_no_tables(db: DuckDBConnection) -> None:
    """SQL can't reach into the program's variables."""
    rows = db.fetch("SELECT 1")

    with pytest.raises(StatementError, match="rows does not exist"):
        db.fetch("SELECT * FROM rows")
    assert rows == [(1,)]


def test_new_database_is_for_its_owner_only(db: DuckDBConnection, tmp_path: Path) -> None:
    """A database file that the provider makes can be read by nobody else."""
    assert stat.S_IMODE((tmp_path / "test.duckdb").stat().st_mode) == 0o600


def test_memory_database_is_shared_within_a_project(open_database: Open) -> None:
    """Two sessions on `:memory:` see the same tables, as two sessions on a file do."""
    first, second = open_database(":memory:"), open_database(":memory:")
    first.execute("CREATE TABLE t AS SELECT 1 AS i")

    assert second.table_exists(("main", "t"))


def test_missing_folder_is_named(open_database: Open, tmp_path: Path) -> None:
    """A database in a folder that is not there is refused with the folder's name."""
    with pytest.raises(DatabaseConnectionError, match=f"folder {tmp_path}/no does not exist"):
        open_database("no/x.duckdb")


def test_other_file_is_no_database(open_database: Open, tmp_path: Path) -> None:
    """A file of another kind is refused at once and left as it is."""
    (tmp_path / "x.duckdb").write_text("not a database\n" * 500)

    with pytest.raises(DatabaseConnectionError, match="not a valid DuckDB database"):
        open_database("x.duckdb")
    assert (tmp_path / "x.duckdb").read_text().startswith("not a database")


def test_closed_connection_says_so(db: DuckDBConnection) -> None:
    """Closing twice is no error; using a closed connection is ours, not the driver's."""
    db.close()
    db.close()

    with pytest.raises(DatabaseConnectionError, match="not open"):
        db.fetch("SELECT 1")


def test_lock_of_another_process_is_named(tmp_path: Path) -> None:
    """A file that another process keeps open gives a clear error after a few attempts."""
    path = tmp_path / "held.duckdb"
    with subprocess.Popen([sys.executable, "-c", HOLD_THE_LOCK, str(path), "60"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            connection = DuckDBConnection(DuckDBConfig(path="held.duckdb"), tmp_path)
            expected = rf"held\.duckdb: another process \(PID {holder.pid}\) has it open"
            with pytest.raises(DatabaseConnectionError, match=expected):
                connection.connect()
        finally:
            holder.kill()


def test_lock_that_is_let_go_is_waited_for(tmp_path: Path) -> None:
    """A process that is just ending does not fail a run."""
    path = tmp_path / "held.duckdb"
    with subprocess.Popen([sys.executable, "-c", HOLD_THE_LOCK, str(path), "0.3"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with DuckDBConnection(DuckDBConfig(path="held.duckdb"), tmp_path) as connection:
            assert connection.fetch("SELECT 1") == [(1,)]


def test_cancel_interrupts_a_running_statement(db: DuckDBConnection) -> None:
    """Another thread can stop a statement that would run for hours."""
    threading.Timer(0.2, db.cancel).start()
    start = time.monotonic()

    with pytest.raises(StatementError, match=r"(?i)interrupt"):
        db.execute("CREATE TABLE t AS SELECT sum(a.i * b.i) FROM range(9000000) a(i), range(9000000) b(i)")

    assert time.monotonic() - start < 30


def test_maintenance_does_not_mind_other_sessions(open_database: Open) -> None:
    """A checkpoint that has to wait for others is put off, not an error."""
    first, second = open_database(), open_database()
    first.execute("CREATE TABLE t (i INTEGER)")

    with second.transaction():
        second.execute("INSERT INTO t VALUES (1)")
        first.post_load_maintenance()
    first.post_load_maintenance()

    assert first.fetch("SELECT * FROM t") == [(1,)]


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_the_end_of_a_transaction_is_not_interrupted(db: DuckDBConnection, ending: str) -> None:
    """A commit that is told to stop commits and says so; DuckDB itself would commit, and say that it did not."""
    ended = threading.Event()

    def cancel() -> None:
        while not ended.wait(0.001):
            db.cancel()

    thread = threading.Thread(target=cancel)
    try:
        with suppress(ValueError), db.transaction():
            db.execute("CREATE TABLE t AS SELECT range AS i, 'text ' || range AS s FROM range(500_000)")
            thread.start()
            if ending == "rollback":
                raise ValueError
    finally:
        ended.set()
        thread.join()
    assert db.table_exists(["t"]) == (ending == "commit")
    with db.transaction():
        db.execute("CREATE TABLE u (i INTEGER)")


def test_cancel_ends_the_wait_for_a_lock(open_database: Open, tmp_path: Path) -> None:
    """A session that waits until another process lets go of the file gives up at once."""
    open_database().close()
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(tmp_path / "test.duckdb"), "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        waiting = DuckDBConnection(DuckDBConfig(path="test.duckdb"), tmp_path)
        threading.Timer(0.9, waiting.cancel).start()  # in the longest wait, from 0.7 s to 1.5 s
        start = time.monotonic()
        with pytest.raises(DatabaseConnectionError, match="has it open"):
            waiting.connect()
        assert time.monotonic() - start < 1.4
        holder.kill()


def test_a_table_is_found_without_a_list_of_all(db: DuckDBConnection) -> None:
    """Of a thousand tables each is looked up, which takes far less than to list them all each time."""
    with db.transaction():
        for number in range(1_000):
            db.execute(f"CREATE TABLE t{number} (i INT)")
    start = time.process_time()
    assert db.fetch("SELECT count(*) FROM information_schema.tables") == [(1_000,)]
    listed = time.process_time()
    assert all(db.table_exists(("main", f"t{number}")) for number in range(60))
    assert time.process_time() - listed < 20 * (listed - start)


def test_a_view_of_files_that_are_gone_exists(db: DuckDBConnection, tmp_path: Path) -> None:
    """What it would read does not matter, and neither does what is asked of other tables in a transaction."""
    db.execute(f"COPY (SELECT 1 AS a) TO '{tmp_path}/x.parquet'")
    db.execute(f"CREATE VIEW v AS SELECT * FROM read_parquet('{tmp_path}/x.parquet')")
    (tmp_path / "x.parquet").unlink()
    assert db.table_exists(("main", "v"))
    with db.transaction():
        assert not db.table_exists(("main", "nothing"))
        db.execute("CREATE TABLE t (i INT)")
    assert db.table_exists(("main", "t"))
