"""Promises about files that change while a load reads them: nothing is kept, and the error names them."""

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from interleaved import FILLING, Interleaved

from omopcloudetl.core.connection import ExecutionMetrics, LoadMetrics, Row
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep, Origin, RejectOptions
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Interleaved]:
    """A connection with a table `t` that has one row from an earlier load."""
    connection = Interleaved(DuckDBConfig(path="test.duckdb", threads=2), tmp_path)
    connection.connect()
    connection.execute("CREATE TABLE t AS SELECT 'before' AS a")
    yield connection
    connection.close()


def load(db: DuckDBConnection, base: Path, uri: str, **more: object) -> LoadMetrics:
    """Load files into `main.t`."""
    step = {"name": "s", "summary": "s", "origin": Origin(file="w.yaml", line=1), "uri": uri, "format": "csv"}
    table = {"table": ("main", "t"), "mode": "create"}
    return db.bulk_load(BulkLoadStep.model_validate(step | table | more), base=base)


def _appended(path: Path) -> None:
    with path.open("a") as handle:
        handle.write("2\n")


def _written_again(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"1", b"7"))
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))  # a coarse clock may not have moved


@pytest.mark.parametrize(
    ("name", "happens", "said"),
    [
        ("x.csv", lambda folder: _appended(folder / "x.csv"), "x.csv: it has 6 bytes, and had 4 bytes when"),
        ("x.csv", lambda folder: _written_again(folder / "x.csv"), "x.csv: it was written again, at "),
        ("x.csv", lambda folder: (folder / "x.csv").unlink(), "x.csv: it is gone"),
        ("x*.csv", lambda folder: (folder / "x2.csv").write_text("a\n3\n"), "x2.csv: it is new"),
        ("x*.csv", lambda folder: (folder / "x1.csv").unlink(), "x1.csv: it is gone"),
    ],
    ids=["grows", "same-size", "goes", "one-comes", "one-of-several-goes"],
)
@pytest.mark.parametrize("max_rejected", [0, 1])
def test_a_change_during_the_load_rolls_it_back(
    db: Interleaved,
    tmp_path: Path,
    write: Write,
    name: str,
    happens: Callable[[Path], object],
    said: str,
    max_rejected: int,
) -> None:
    """Files that grow, are written again, come or go fail the load; the table keeps what it had."""
    for file in ("x.csv", "x1.csv"):
        write(file, "a\n1\n")
    db.execute("CREATE TABLE r(load_step TEXT, table_name TEXT, file TEXT, line BIGINT, reason TEXT, text TEXT)")
    if max_rejected:
        write("x.csv" if name == "x.csv" else "x3.csv", "a\n1,1\n1\n")
        said = said.replace("6 bytes", "10 bytes").replace("4 bytes", "8 bytes")
    db.happens = lambda: happens(tmp_path)
    rejects = RejectOptions(max_rejected=1, table=("main", "r")) if max_rejected else None
    with pytest.raises(LoadError) as error:
        load(db, tmp_path, name, rejects=rejects)
    assert db.happens is None
    assert f"1 file changed while the load read {name}" in str(error.value)
    assert said in str(error.value)
    assert "nothing of them was kept; load them again when the delivery is complete" in str(error.value)
    assert db.fetch("SELECT * FROM t") == [("before",)]
    assert db.fetch("SELECT * FROM r") == []


def test_an_archive_that_is_replaced_rolls_the_load_back(db: Interleaved, tmp_path: Path) -> None:
    """A zip that changes while its members are loaded counts, although they were unpacked before."""
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("x.csv", "a\n1\n")

    def replace() -> None:
        with zipfile.ZipFile(archive, "a") as opened:
            opened.writestr("y.csv", "a\n2\n")

    db.happens = replace
    with pytest.raises(LoadError, match=r"x\.zip: it has [\d,]+ bytes, and had"):
        load(db, tmp_path, "x.zip/*.csv")
    assert db.fetch("SELECT * FROM t") == [("before",)]


def test_files_in_place_are_held_against_each_other_too(db: Interleaved, tmp_path: Path) -> None:
    """A view of Parquet files is not made if one of them changes meanwhile."""
    for name in ("x", "y"):
        db.execute(f"COPY (SELECT 1 AS a) TO '{tmp_path}/{name}.parquet'")
    db.happens = (tmp_path / "y.parquet").unlink
    with pytest.raises(LoadError, match=r"y\.parquet: it is gone"):
        load(db, tmp_path, "*.parquet", format="parquet", mode="view")
    assert db.fetch("SELECT * FROM t") == [("before",)]


def test_what_fails_because_files_change_says_so(db: Interleaved, tmp_path: Path, write: Write) -> None:
    """An error that a changing file brought about is told as the change, with the error as its cause."""
    path = write("x.csv", "a\n1\n1,1\n")

    class Growing(Interleaved):
        def execute(self, sql: str) -> ExecutionMetrics:
            if sql.startswith(FILLING):
                _appended(path)
            return super().execute(sql)

    connection = Growing(DuckDBConfig(path="other.duckdb"), tmp_path)
    connection.connect()
    with pytest.raises(LoadError, match=r"x\.csv: it has 10 bytes, and had 8 bytes") as error:
        load(connection, tmp_path, "x.csv")
    connection.close()
    assert "line 3" in str(error.value.__cause__)


class _Losing(DuckDBConnection):
    """A connection that loses a file behind one of its statements."""

    path: Path
    left = 0
    """Statements until then."""

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.path.unlink()

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run a statement, and count it."""
        try:
            return super().execute(sql)
        finally:
            self._count()

    def fetch(self, sql: str, *, limit: int = 10_000) -> list[Row]:
        """Run a query, and count it."""
        try:
            return super().fetch(sql, limit=limit)
        finally:
            self._count()


@pytest.mark.parametrize(("max_rejected", "statements"), [(0, 4), (5, 20)])
def test_a_file_that_goes_is_told_whenever_it_goes(tmp_path: Path, max_rejected: int, statements: int) -> None:
    """Whatever statement of a load of a malformed file it goes behind, the step fails; the run is not torn down."""
    connection = _Losing(DuckDBConfig(path="other.duckdb"), tmp_path)
    connection.path = tmp_path / "x.csv"
    connection.connect()
    columns = "load_step TEXT, table_name TEXT, file TEXT, line BIGINT, reason TEXT, text TEXT"
    connection.execute(f"CREATE TABLE rejects ({columns})")
    rejects = RejectOptions(max_rejected=max_rejected, table=("main", "rejects")) if max_rejected else None
    for left in range(1, statements + 1):
        connection.path.write_text("a,b\n1,2\n1\n", "utf-8")
        connection.left = left
        with pytest.raises(LoadError):
            load(connection, tmp_path, "x.csv", rejects=rejects)
        assert not connection.path.exists()
    connection.close()


def test_many_changes_are_counted_and_some_shown(db: Interleaved, tmp_path: Path, write: Write) -> None:
    """The first five are named, the others counted."""
    paths = [write(f"x{number}.csv", "a\n1\n") for number in range(8)]
    db.happens = lambda: [path.unlink() for path in paths]
    with pytest.raises(LoadError) as error:
        load(db, tmp_path, "x*.csv")
    assert str(error.value).startswith("8 files changed while")
    assert str(error.value).count("it is gone") == 5
    assert "and 3 more" in str(error.value)


def test_the_digest_of_files_follows_names_sizes_and_times(db: Interleaved, tmp_path: Path, write: Write) -> None:
    """Equal deliveries have equal digests; another name, size or time makes another one."""
    first, second = write("x.csv", "a\n1\n"), write("y.csv", "a\n1\n")
    digests = [load(db, tmp_path, "*.csv").files_digest, load(db, tmp_path, "*.csv").files_digest]
    assert digests[0] == digests[1] is not None
    _written_again(first)
    digests.append(load(db, tmp_path, "*.csv").files_digest)
    _appended(first)
    digests.append(load(db, tmp_path, "*.csv").files_digest)
    second.rename(tmp_path / "z.csv")
    digests.append(load(db, tmp_path, "*.csv").files_digest)
    assert len(set(digests)) == 4
