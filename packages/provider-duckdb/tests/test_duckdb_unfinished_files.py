"""Promises about files that are not whole yet: refused by what lies beside them or by their end."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Write = Callable[[str, str | bytes], Path]
Load = Callable[..., LoadMetrics]
WAY_OUT = "wait until the delivery is complete, or remove what is left of one that was given up"


@pytest.mark.parametrize(
    "beside",
    ["x.csv.part", "x.csv.tmp", "x.csv.crdownload", "x.csv.filepart", "x.csv.aria2", ".x.csv.Xy12zZ"],
)
@pytest.mark.parametrize("uri", ["x.csv", "*.csv"])
def test_what_lies_beside_a_file_says_that_it_is_not_whole(write: Write, load: Load, beside: str, uri: str) -> None:
    """The file of a program that still copies refuses the load, whether or not the file itself is there."""
    write(beside, "a\n1\n")
    with pytest.raises(LoadError) as error:
        load(uri, "csv")
    assert str(error.value) == f"{beside} shows that a file is still being written: {WAY_OUT}"
    write("x.csv", "a\n1\n")
    with pytest.raises(LoadError, match="still being written"):
        load(uri, "csv")


def test_other_files_beside_do_no_harm(write: Write, load: Load) -> None:
    """Unfinished files of another name, and files with other endings, are none of this load's business."""
    for name in ("x.csv", "x.csv.gz.part", "x.csv.md5", "x.csv.bak", "y.csv.part", ".x.csv.swp", "x.part"):
        write(name, "a\n1\n")
    assert load("x.csv").rows_loaded == 1


def test_an_unfinished_file_that_a_pattern_finds_is_refused(write: Write, load: Load) -> None:
    """A pattern may find a file that is still being written; one that is named so on purpose is loaded."""
    write("x1.csv", "a\n1\n")
    write("x2.part", "a\n1\n")
    with pytest.raises(LoadError, match=r"x2\.part shows that"):
        load("x*", "csv")
    assert load("x2.part", "csv").rows_loaded == 1


def test_an_archive_that_is_still_copied_is_refused(tmp_path: Path, write: Write, load: Load) -> None:
    """What counts for a zip is what lies beside the zip."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened:
        opened.writestr("x.csv", "a\n1\n")
    write("x.zip.filepart", b"PK")
    with pytest.raises(LoadError, match=r"x\.zip\.filepart shows"):
        load("x.zip/x.csv", "csv")


def test_an_optional_file_that_is_still_copied_is_not_taken_for_a_missing_one(
    db: DuckDBConnection, write: Write, load: Load
) -> None:
    """A load that may do without its file does not do so while the file arrives."""
    db.execute("CREATE TABLE t(a TEXT)")
    write("x.csv.part", "a\n1\n")
    with pytest.raises(LoadError, match=r"x\.csv\.part shows"):
        load("x.csv", mode="replace_rows", places={"optional": True})


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"a,b\n1,2\n3", "utf-8"),
        (b"a,b\r\n1,2\r\nM\xc3\xbcll", "utf-8"),
        (b"a,b\n1,2\nM\xfcll", "latin-1"),
        ("\ufeffa,b\n1,2\n3".encode("utf-16-le"), "utf-16"),
    ],
    ids=["lf", "crlf", "latin-1", "utf-16"],
)
@pytest.mark.parametrize("max_rejected", [0, 10])
def test_a_last_line_with_too_few_values_and_no_end_is_cut_off(
    db: DuckDBConnection, write: Write, load: Load, content: bytes, encoding: str, max_rejected: int
) -> None:
    """Nobody knows what is missing behind it, so the load fails, also where records may be rejected."""
    db.execute(
        "CREATE TABLE rejected_rows(load_step TEXT, table_name TEXT, file TEXT, line BIGINT, reason TEXT, text TEXT)"
    )
    write("x.csv", content)
    with pytest.raises(LoadError, match="the file ends in the middle of it: it is cut off; deliver it again"):
        load("x.csv", max_rejected=max_rejected, encoding=encoding)


@pytest.mark.parametrize(
    "content",
    ["a,b\n1,2\n3\n", "a,b\n3\n1,2", "a,b\n1,2\n1,2,3", 'a,b\n1,"2\n3\n'],
    ids=["line-ends", "last-line-whole", "too-many", "quote"],
)
def test_malformed_lines_that_are_whole_are_rejected_as_before(
    db: DuckDBConnection, write: Write, load: Load, content: str
) -> None:
    """A line with an end, or with too many values, is malformed and not cut off."""
    db.execute(
        "CREATE TABLE rejected_rows(load_step TEXT, table_name TEXT, file TEXT, line BIGINT, reason TEXT, text TEXT)"
    )
    write("x.csv", content)
    assert load("x.csv", max_rejected=1).rows_rejected == 1
    with pytest.raises(LoadError) as error:
        load("x.csv")
    assert "cut off" not in str(error.value)


@pytest.mark.parametrize("max_rejected", [0, 10])
def test_an_object_that_does_not_end_is_cut_off(
    db: DuckDBConnection, write: Write, load: Load, max_rejected: int
) -> None:
    """The last line of ndjson counts like that of a table; one in the middle is malformed."""
    db.execute(
        "CREATE TABLE rejected_rows(load_step TEXT, table_name TEXT, file TEXT, line BIGINT, reason TEXT, text TEXT)"
    )
    write("x.ndjson", '{"a": 1}\n{"a": 2')
    with pytest.raises(LoadError, match="it is cut off; deliver it again"):
        load("x.ndjson", max_rejected=max_rejected)
    write("x.ndjson", '{"a": 1}\n{"a": 2\n')
    if max_rejected:
        assert load("x.ndjson", max_rejected=max_rejected).rows_rejected == 1


@pytest.mark.parametrize("keep", [0, 3, -1, -4, -8])
def test_a_parquet_file_without_its_end_is_cut_off(db: DuckDBConnection, tmp_path: Path, load: Load, keep: int) -> None:
    """Parquet is described at its end; a file without it is refused in words that say so."""
    path = tmp_path / "x.parquet"
    db.execute(f"COPY (SELECT range AS a FROM range(1000)) TO '{path}'")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(LoadError, match=r"x\.parquet: it is no Parquet file, or cut off: its end is missing"):
        load("x.parquet")
