import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import DatabaseConnectionError, LoadError
from omopcloudetl.core.plan import BulkLoadStep, Origin
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Write = Callable[[str, str | bytes], Path]
Load = Callable[..., LoadMetrics]

NOBODY = 65534


@pytest.mark.parametrize(
    "name",
    [
        "we[i]rd.csv",
        "st*r.csv",
        "wh?t.csv",
        "o'ne.csv",
        "x'); DROP TABLE keep; --.csv",
        "$$.csv",
        "{1,2}.csv",
        'say "hi".csv',
        "two words.csv",
        "größe.csv",
        "back\\slash.csv",
        "%41.csv",
        "year=2020.csv",
    ],
)
def test_file_is_found_by_its_exact_name(db: DuckDBConnection, write: Write, load: Load, name: str) -> None:
    """Whatever letters a name has, that file is loaded, no other, and none of it runs as SQL."""
    db.execute("CREATE TABLE keep (i INTEGER)")
    for other in ("weird.csv", "wei.csv", "star.csv", "what.csv", "1.csv", "A.csv"):
        write(other, "a\nwrong\n")
    write(name, "a\nright\n")

    assert load(name, "csv").files == 1
    assert db.fetch("SELECT * FROM t") == [("right",)]
    assert db.table_exists(("main", "keep"))


def test_glob_below_a_folder_of_odd_name(db: DuckDBConnection, write: Write, load: Load) -> None:
    """Only the user's own pattern is a pattern, not the letters of the project's folder."""
    base = write("pro[j]*ect's/a.csv", "x\n1\n").parent
    write("pro[j]*ect's/b.csv", "x\n2\n")
    write("proj1ect's/c.csv", "x\n3\n")
    step = BulkLoadStep(
        name="s",
        summary="s",
        origin=Origin(file="w.yaml", line=1),
        uri="*.csv",
        format="csv",
        table=("main", "t"),
        mode="create",
    )

    assert db.bulk_load(step, base=base).files == 2
    assert db.fetch("SELECT x FROM t ORDER BY 1") == [("1",), ("2",)]


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("x.csv", r"^no file matches x\.csv$"),
        ("folder/y.dat", r"^no file matches folder/y\.dat; did you mean x\.dat\?$"),
        ("folder/x*.data", r"^no file matches folder/x\*\.data; did you mean x\.dat\?$"),
        ("*.txt", r"^no file matches \*\.txt$"),
        ("data/x.csv", r"^no file matches data/x\.csv; there is no folder 'data' in /"),
        ("folder", r"^folder is a folder; name its files, as in folder/\*\.csv$"),
        ("a\x00b.csv", "."),
        ("x" * 5000, "File name too long"),
    ],
)
def test_file_that_is_not_there(write: Write, load: Load, uri: str, problem: str) -> None:
    """The error repeats what was asked for and says what is wrong with it."""
    write("folder/x.dat", "a\n")

    with pytest.raises(LoadError, match=problem):
        load(uri, "csv")


def test_absolute_paths_and_file_uris(db: DuckDBConnection, write: Write, load: Load) -> None:
    """A path may be absolute, and may be written as a file URI."""
    path = write("two words.csv", "a\n1\n")

    assert load(str(path)).rows_loaded == 1
    assert load(path.as_uri(), "csv").rows_loaded == 1
    assert load(f"{path.parent}/two*.csv").files == 1


def test_recursive_glob(write: Write, load: Load) -> None:
    """`**` stands for any folders."""
    for name in ("a.csv", "b/c.csv", "b/d/e.csv"):
        write(name, "a\n1\n")

    assert load("**/*.csv").rows_loaded == 3


@contextmanager
def _without_privileges() -> Iterator[Path]:
    """A folder of one's own, and no right to anything else: tests may run as root."""
    folder = Path(tempfile.mkdtemp())
    privileged = os.geteuid() == 0
    try:
        if privileged:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        yield folder
    finally:
        if privileged:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


def test_file_without_permission_is_named(db: DuckDBConnection) -> None:
    """A file that may not be read is a load error that says so."""
    step = BulkLoadStep(
        name="s",
        summary="s",
        origin=Origin(file="w.yaml", line=1),
        uri="secret.csv",
        format="csv",
        table=("main", "t"),
        mode="create",
    )
    with _without_privileges() as folder:
        (folder / "secret.csv").write_text("a\n1\n")
        (folder / "secret.csv").chmod(0)
        with pytest.raises(LoadError, match=r"secret\.csv.*Permission denied"):
            db.bulk_load(step, base=folder)


def test_database_without_permission_is_named() -> None:
    """A folder in which no database may be made is a connection error that says so."""
    with _without_privileges() as folder:
        folder.chmod(0o500)
        connection = DuckDBConnection(DuckDBConfig(path="x.duckdb"), folder)
        with pytest.raises(DatabaseConnectionError, match=r"x\.duckdb.*Permission denied"):
            connection.connect()
