"""Promises of packed files: what does not reach its own end is refused, not taken for a shorter file."""

import gzip
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.provider_duckdb.engine import DuckDBConnection
from omopcloudetl.provider_duckdb.packed import refuse_damaged

Write = Callable[[str, str | bytes], Path]
Load = Callable[..., LoadMetrics]

ROWS = 30_000
CUT_OFF = "x.csv.{}: it is cut off"
DAMAGED = "x.csv.{}: it is not packed as its name says, or damaged"


@pytest.fixture(scope="module", params=["gz", "zst"])
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """The ending of a packed file, and its content."""
    path = tmp_path_factory.mktemp("packed") / f"x.csv.{request.param}"
    kind = {"gz": "gzip", "zst": "zstd"}[request.param]
    with duckdb.connect() as connection:
        query = f"SELECT range AS id, md5(CAST(range AS VARCHAR)) AS name FROM range({ROWS})"
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT csv, COMPRESSION {kind})")
    return request.param, path.read_bytes()


@pytest.mark.parametrize("max_rejected", [0, 5])
@pytest.mark.parametrize("missing", [1, 4, 1_000, 200_000])
def test_a_file_that_is_cut_off_is_refused(
    db: DuckDBConnection, write: Write, load: Load, packed: tuple[str, bytes], missing: int, max_rejected: int
) -> None:
    """However little is missing: the engine would load the rows before it without a word."""
    ending, content = packed
    write(f"x.csv.{ending}", content[:-missing])

    with pytest.raises(LoadError, match=CUT_OFF.format(ending)):
        load(f"x.csv.{ending}", "csv", max_rejected=max_rejected)


def test_a_file_with_something_behind_it_is_refused(write: Write, load: Load, packed: tuple[str, bytes]) -> None:
    """What follows the end is told, with the file's name; so is what is not packed at all."""
    ending, content = packed
    for odd in (content + b"garbage", b"id,name\n1,x\n"):
        write(f"x.csv.{ending}", odd)
        with pytest.raises(LoadError, match=DAMAGED.format(ending)):
            load(f"x.csv.{ending}", "csv")


def test_whole_files_are_loaded(db: DuckDBConnection, write: Write, load: Load, packed: tuple[str, bytes]) -> None:
    """Also several that were put together."""
    ending, content = packed
    write(f"x.csv.{ending}", content)
    assert load(f"x.csv.{ending}", "csv").rows_loaded == ROWS

    write("x.csv.gz", gzip.compress(b"id,name\n1,") + gzip.compress(b"x\n"))
    assert load("x.csv.gz", "csv").rows_loaded == 1


def test_a_wrong_checksum_is_refused(write: Write, load: Load) -> None:
    """A file in gzip tells whether its letters changed on the way."""
    content = gzip.compress(b"id,name\n1,x\n")
    write("x.csv.gz", content[:-8] + bytes(4) + content[-4:])

    with pytest.raises(LoadError, match=DAMAGED.format("gz")):
        load("x.csv.gz", "csv")


@pytest.mark.parametrize(
    ("frame", "is_whole"),
    [
        pytest.param(b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc", True, id="skipped"),
        pytest.param(b"\x50\x2a\x4d\x18\x04\x00\x00\x00abc", False, id="skipped, cut off"),
        pytest.param(b"\x28\xb5\x2f\xfd\x20\x03\x19\x00\x00a,b", True, id="raw"),
        pytest.param(b"\x28\xb5\x2f\xfd\x20\x03\x1b\x00\x00a", True, id="run"),
        pytest.param(b"\x28\xb5\x2f\xfd\x24\x03\x19\x00\x00a,b", False, id="no checksum"),
        pytest.param(b"\x28\xb5\x2f\xfd\x20\x03\x18\x00\x00a,b", False, id="no last block"),
    ],
)
def test_frames_of_zstandard(write: Write, frame: bytes, is_whole: bool) -> None:
    """Each kind of block is walked over, as RFC 8878 says."""
    path = write("x.zst", frame)
    if is_whole:
        refuse_damaged(str(path), "x.zst", lambda: None)
    else:
        with pytest.raises(LoadError, match=r"x\.zst: it is cut off"):
            refuse_damaged(str(path), "x.zst", lambda: None)
