from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Open = Callable[..., DuckDBConnection]

WORKERS = 4
ROUNDS = 8


def _fill(base: Path, worker: int) -> int:
    """Replace one table's rows again and again, each time in a transaction of its own."""
    table = f"t{worker}"
    with DuckDBConnection(DuckDBConfig(path="shared.duckdb", threads=2), base) as connection:
        connection.execute(f"CREATE TABLE {table} (i BIGINT, s VARCHAR)")
        for round_ in range(ROUNDS):
            with connection.transaction():
                connection.execute(f"DELETE FROM {table}")
                connection.execute(f"INSERT INTO {table} SELECT range, 'x' FROM range({1000 * (round_ + 1)})")
            connection.execute(f"CREATE OR REPLACE TABLE {table}_copy AS SELECT * FROM {table}")
        rows = connection.fetch(f"SELECT count(*) FROM {table}_copy")
        return int(str(rows[0][0]))


def test_threads_write_different_tables_of_one_file_at_once(tmp_path: Path) -> None:
    """Sessions of several threads create, delete and insert in one file without disturbing."""
    with ThreadPoolExecutor(WORKERS) as pool:
        counts = list(pool.map(lambda worker: _fill(tmp_path, worker), range(WORKERS)))

    assert counts == [1000 * ROUNDS] * WORKERS


def test_what_one_session_commits_the_others_see(open_database: Open) -> None:
    """Sessions share one engine: no reopening is needed to see new rows."""
    first, second = open_database(), open_database()
    with first.transaction():
        first.execute("CREATE TABLE t AS SELECT 1 AS i")
        assert not second.table_exists(("main", "t"))

    assert second.fetch("SELECT i FROM t") == [(1,)]


@pytest.mark.parametrize(("threads", "sessions", "own"), [(4, 2, 2), (2, 2, 2), (1, 2, 1), (2, 8, 2)])
def test_sessions_that_work_at_a_time_share_the_engine_s_threads(
    open_database: Open, threads: int, sessions: int, own: int
) -> None:
    """Their own threads are counted among the engine's, and statements still run."""
    db = open_database(threads=threads)
    db.share(sessions)
    assert db.fetch("SELECT current_setting('external_threads'), current_setting('threads')") == [(own, threads)]
    assert db.fetch("SELECT COUNT(*) FROM (SELECT DISTINCT range % 7 FROM range(300000))") == [(7,)]
