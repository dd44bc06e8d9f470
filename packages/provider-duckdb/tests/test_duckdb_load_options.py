"""Promises of the options of a load: how text is spelled, files that differ, and types that must be readable."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import LoadColumn
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Write = Callable[[str, str | bytes], Path]
Load = Callable[..., LoadMetrics]

# LibreOffice, SAS and older systems: semicolons, single quotes, other encodings, words for nothing.
EXPORT = "id;name\n1;Müller\n2;'a;b'\nNA;''\n'NA';.\n"
ROWS = [("1", "Müller"), ("2", "a;b"), (None, ""), ("NA", None)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_are_spelled_as_the_options_say(
    db: DuckDBConnection, write: Write, load: Load, encoding: str, packed: bool
) -> None:
    """Delimiter, quote, encoding and texts for NULL are those of the options, packed or not."""
    content = EXPORT.encode(encoding)
    name = "x.csv.gz" if packed else "x.csv"
    write(name, gzip.compress(content) if packed else content)

    load(name, "csv", delimiter=";", quote="'", encoding=encoding, null=("NA", "."))

    assert db.columns(("main", "t")) == [("id", "VARCHAR"), ("name", "VARCHAR")]
    assert db.fetch("SELECT * FROM t") == ROWS


def test_zstandard_is_unpacked_by_the_engine(db: DuckDBConnection, tmp_path: Path, load: Load) -> None:
    """A name that ends in .zst is unpacked, its header too; values may span lines."""
    rows = "SELECT 'a;1' AS \"Größe\", E'x\\ny' AS b FROM range(3)"
    db.execute(f"COPY ({rows}) TO '{tmp_path}/x.csv.zst' (DELIMITER ';', QUOTE '''', ESCAPE '''', COMPRESSION zstd)")

    load("x.csv.zst", "csv", delimiter=";", quote="'")
    assert db.fetch('SELECT DISTINCT "größe", b FROM t') == [("a;1", "x\ny")]


@pytest.mark.parametrize("format", ["csv", "tsv"])
def test_files_without_header_have_the_declared_columns(
    db: DuckDBConnection, write: Write, load: Load, format: str
) -> None:
    """The first line is data, and a line of another length is malformed."""
    tab = "," if format == "csv" else "\t"
    write("x.txt", f"1{tab}x\n2{tab}y\n")
    load("x.txt", format, names=("id", "name"))
    assert db.fetch("SELECT id, name FROM t") == [("1", "x"), ("2", "y")]

    write("x.txt", f"1{tab}x\n2\n")
    with pytest.raises(LoadError, match=r"x\.txt, line 2 .*: 1 values where 2 columns are declared"):
        load("x.txt", format, names=("id", "name"))


@pytest.mark.parametrize(
    ("content", "encoding", "problem"),
    [
        pytest.param("a,b\n1,ü\n".encode("utf-16-be"), "utf-16", "low byte first", id="no mark"),
        pytest.param(b"\xfe\xff" + "a,b\n1,2\n".encode("utf-16-be"), "utf-16", "low byte first", id="high byte first"),
        pytest.param("a,b\n1,€\n".encode("cp1252"), "latin-1", "it is not latin-1", id="Windows' own letters"),
    ],
)
def test_text_of_another_encoding_is_refused(
    db: DuckDBConnection, write: Write, load: Load, content: bytes, encoding: str, problem: str
) -> None:
    """What the engine cannot decode is an error, never an empty table or wrong letters."""
    write("x.csv", content)

    with pytest.raises(LoadError, match=rf"^x\.csv.*{problem}"):
        load("x.csv", encoding=encoding, columns=(LoadColumn(name="a", optional=False, needed_by="m.yaml:1"),))
    assert not db.table_exists(("main", "t"))


@pytest.mark.parametrize(
    ("first", "second", "type_", "values"),
    [
        pytest.param("1", "2::BIGINT", "BIGINT", [1, 2], id="widths"),
        pytest.param("1", "'x'", "VARCHAR", ["1", "x"], id="number and text"),
        pytest.param("1::BIGINT", "2.5::DOUBLE", "DOUBLE", [1.0, 2.5], id="pandas' numbers with gaps"),
        pytest.param("1.25::DECIMAL(4,2)", "2::UBIGINT", "DECIMAL(38,2)", None, id="decimal"),
        pytest.param("DATE '2020-01-01'", "TIMESTAMP '2020-01-02 03:04:05'", "TIMESTAMP", None, id="times"),
        pytest.param("1", "NULL", "INTEGER", [1, None], id="a file of NULLs"),
    ],
)
def test_parquet_files_of_a_glob_may_differ_in_types(
    db: DuckDBConnection, tmp_path: Path, load: Load, first: str, second: str, type_: str, values: list[object] | None
) -> None:
    """A column gets a type that has room for the values of every file."""
    db.execute(f"COPY (SELECT {first} AS v) TO '{tmp_path}/1.parquet'")
    db.execute(f"COPY (SELECT {second} AS v) TO '{tmp_path}/2.parquet'")

    load("*.parquet")

    assert db.columns(("main", "t")) == [("v", type_)]
    if values is not None:
        assert [row[0] for row in db.fetch("SELECT v FROM t ORDER BY v NULLS LAST")] == values


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        pytest.param("1", "DATE '2020-01-01'", r"'v' .*: as INTEGER in 1\.parquet, as DATE in 2\.parquet", id="date"),
        pytest.param("{'a': 1}", "'x'", r"'v' .*: as STRUCT.* in 1\.parquet, as VARCHAR in 2\.parquet", id="struct"),
        pytest.param("9007199254740993", "1.5::DOUBLE", "v: a whole number beyond 9007199254740992", id="rounded"),
    ],
)
def test_parquet_types_that_do_not_go_together_are_named(
    db: DuckDBConnection, tmp_path: Path, load: Load, first: str, second: str, problem: str
) -> None:
    """No value is bent: the error says which column is of which type in which file."""
    db.execute(f"COPY (SELECT {first} AS v) TO '{tmp_path}/1.parquet'")
    db.execute(f"COPY (SELECT {second} AS v) TO '{tmp_path}/2.parquet'")

    with pytest.raises(LoadError, match=problem):
        load("*.parquet")


@pytest.mark.parametrize(
    ("stored", "declared", "is_readable"),
    [
        ("{'a': 1}", "date", False),
        ("[1]", "integer", False),
        ("20200101", "date", False),
        ("DATE '2020-01-01'", "number", False),
        ("DATE '2020-01-01'", "timestamp", True),
        ("{'a': 1}", "text", True),
        ("'2020-01-01'", "date", True),
        ("1.5::DOUBLE", "integer", True),
    ],
)
def test_parquet_must_hold_what_is_declared(
    db: DuckDBConnection, tmp_path: Path, load: Load, stored: str, declared: str, is_readable: bool
) -> None:
    """A stored type that cannot be read as the declared one is said before any rule meets it."""
    db.execute(f"COPY (SELECT {stored} AS v) TO '{tmp_path}/x.parquet'")
    columns = (LoadColumn.model_validate({"name": "v", "type": declared, "needed_by": "m.yaml:3"}),)

    if is_readable:
        assert load("x.parquet", columns=columns).rows_loaded == 1
        return
    with pytest.raises(
        LoadError, match=rf"x\.parquet holds the column 'v' as .* the declared {declared}, which m\.yaml"
    ):
        load("x.parquet", columns=columns)
