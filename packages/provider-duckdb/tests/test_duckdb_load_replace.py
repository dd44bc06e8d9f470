from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Write = Callable[[str, str | bytes], Path]
Load = Callable[..., LoadMetrics]

CONCEPT = """
CREATE TABLE t (
    concept_id INTEGER NOT NULL, concept_name VARCHAR(255) NOT NULL, standard_concept VARCHAR(1),
    valid_start_date DATE NOT NULL, score DOUBLE, "Loaded at" TIMESTAMP
)
"""


@pytest.fixture
def concept(db: DuckDBConnection) -> DuckDBConnection:
    """A database with an empty table of typed columns."""
    db.execute(CONCEPT)
    return db


def test_athena_file_fills_a_typed_table(concept: DuckDBConnection, write: Write, load: Load) -> None:
    """Dates are YYYYMMDD, an empty value is NULL, but a required text stays empty."""
    write(
        "CONCEPT.csv",
        "VALID_START_DATE\tconcept_id\tconcept_name\tstandard_concept\tscore\textra\n"
        '19700101\t8507\t5" "pipe\tS\t1.5\tignored\n'
        "20200229\t0\t\t\t\t\n",
    )

    metrics = load("CONCEPT.csv", "athena", "replace_rows")

    assert concept.fetch("SELECT * FROM t ORDER BY 1 DESC") == [
        (8507, '5" "pipe', "S", date(1970, 1, 1), 1.5, None),
        (0, "", None, date(2020, 2, 29), None, None),
    ]
    assert (metrics.rows_loaded, metrics.rows_rejected, metrics.files) == (2, 0, 1)


def test_csv_fills_a_typed_table(concept: DuckDBConnection, write: Write, load: Load) -> None:
    """Dates are ISO dates, and a quoted empty value is NULL where it can't be a text."""
    write(
        "x.csv",
        "concept_id,concept_name,standard_concept,valid_start_date,score,loaded at\n"
        '"1","",,2020-01-02,"",2020-01-02 03:04:05\n',
    )
    load("x.csv", mode="replace_rows")

    assert concept.fetch("SELECT * FROM t") == [
        (1, "", None, date(2020, 1, 2), None, datetime.fromisoformat("2020-01-02T03:04:05"))
    ]


def test_load_replaces_all_rows(concept: DuckDBConnection, write: Write, load: Load) -> None:
    """Loading twice leaves the rows of one load."""
    write("x.tsv", "concept_id\tconcept_name\tvalid_start_date\n1\ta\t2020-01-01\n")

    assert load("x.tsv", mode="replace_rows").rows_loaded == 1
    assert load("x.tsv", mode="replace_rows").rows_loaded == 1
    assert concept.fetch("SELECT count(*) FROM t") == [(1,)]


@pytest.mark.parametrize(
    ("column", "value", "type_"),
    [
        ("concept_id", "x1", "INTEGER"),
        ("concept_id", "1.5", "INTEGER"),
        ("concept_id", "1e2", "INTEGER"),
        ("concept_id", "0x10", "INTEGER"),
        ("concept_id", "99999999999", "INTEGER"),
        ("valid_start_date", "2020-01-01", "DATE of the form YYYYMMDD"),
        ("valid_start_date", "20201301", "DATE of the form YYYYMMDD"),
        ("valid_start_date", "202001011", "DATE of the form YYYYMMDD"),
        ("score", "1,5", "DOUBLE"),
    ],
)
def test_unreadable_value_is_named(
    concept: DuckDBConnection, write: Write, load: Load, column: str, value: str, type_: str
) -> None:
    """The error names file, column and value; the rows of before are kept."""
    concept.execute("INSERT INTO t VALUES (7, 'before', NULL, DATE '2000-01-01', NULL, NULL)")
    good = {"concept_id": "1", "concept_name": "a", "valid_start_date": "20200101", "score": "1"}
    lines = ["\t".join(row.values()) for row in (good, good | {column: value})]
    write("v/CONCEPT.csv", "\n".join(["\t".join(good), *lines]) + "\n")

    with pytest.raises(LoadError) as caught:
        load("v/CONCEPT.csv", "athena", "replace_rows")

    assert str(caught.value) == f"v/CONCEPT.csv: column '{column}' holds '{value}', which is no {type_}"
    assert concept.fetch("SELECT concept_name FROM t") == [("before",)]


def test_unreadable_value_is_found_in_the_right_file(concept: DuckDBConnection, write: Write, load: Load) -> None:
    """Of several files, with columns in any order, the one at fault is named."""
    write("a [1].csv", "concept_id,concept_name,valid_start_date\n1,a,2020-01-01\n")
    write("a [2].csv", "concept_name,concept_id,valid_start_date\na,one,2020-01-01\n")

    with pytest.raises(LoadError, match=r"^a \[2\]\.csv: column 'concept_id' holds 'one'"):
        load("a*.csv", mode="replace_rows")


@pytest.mark.parametrize(
    ("select", "problem"),
    [
        ("1.5::DOUBLE AS concept_id", "column 'concept_id' holds '1.5', which is no INTEGER"),
        ("5000000000 AS concept_id", "column 'concept_id' holds '5000000000', which is no INTEGER"),
        ("'x' AS concept_id", "column 'concept_id' holds 'x', which is no INTEGER"),
    ],
)
def test_parquet_is_converted_as_strictly(
    concept: DuckDBConnection, tmp_path: Path, load: Load, select: str, problem: str
) -> None:
    """A fraction is no integer, whatever type it comes in."""
    rest = "'a' AS concept_name, DATE '2020-01-01' AS valid_start_date"
    concept.execute(f"COPY (SELECT {select}, {rest}) TO '{tmp_path}/x.parquet'")

    with pytest.raises(LoadError) as caught:
        load("x.parquet", mode="replace_rows")
    assert str(caught.value) == f"x.parquet: {problem}"


def test_parquet_fills_a_typed_table(concept: DuckDBConnection, tmp_path: Path, load: Load) -> None:
    """Whole numbers may come as doubles, as pandas writes them, and dates as text."""
    concept.execute(
        "COPY (SELECT 1.0::DOUBLE AS \"Concept_ID\", 'a' AS concept_name,"
        f" '2020-01-01' AS valid_start_date) TO '{tmp_path}/x.parquet'"
    )
    load("x.parquet", mode="replace_rows")

    assert concept.fetch("SELECT concept_id, valid_start_date FROM t") == [(1, date(2020, 1, 1))]


def test_columns_that_the_table_requires_must_be_there(concept: DuckDBConnection, write: Write, load: Load) -> None:
    """A missing required column is said before anything is deleted."""
    write("x.csv", "concept_id\n1\n")

    with pytest.raises(LoadError) as caught:
        load("x.csv", mode="replace_rows")
    assert str(caught.value).splitlines() == [
        "x.csv has no column 'concept_name', which the table main.t needs",
        "x.csv has no column 'valid_start_date', which the table main.t needs",
    ]


def test_required_value_that_is_missing_is_refused(concept: DuckDBConnection, write: Write, load: Load) -> None:
    """NULL in a required number is the engine's constraint, told as a load error."""
    write("x.csv", "concept_id,concept_name,valid_start_date\n,a,2020-01-01\n")

    with pytest.raises(LoadError, match=r"NOT NULL constraint failed: t\.concept_id"):
        load("x.csv", mode="replace_rows")


def test_table_must_exist_and_share_a_column(concept: DuckDBConnection, write: Write, load: Load) -> None:
    """A file for another table is refused by the names of both."""
    write("x.csv", "other\n1\n")

    with pytest.raises(LoadError, match=r"x\.csv has no column of the table main\.t, which has "):
        load("x.csv", mode="replace_rows")
    with pytest.raises(LoadError, match=r"the table main\.no does not exist; x\.csv cannot"):
        load("x.csv", mode="replace_rows", table=("main", "no"))


def test_short_line_keeps_the_rows_of_before(concept: DuckDBConnection, write: Write, load: Load) -> None:
    """A malformed line is named as in any file, and nothing is deleted."""
    concept.execute("INSERT INTO t VALUES (7, 'before', NULL, DATE '2000-01-01', NULL, NULL)")
    write("C.csv", "concept_id\tconcept_name\tvalid_start_date\n1\ta\n")

    with pytest.raises(LoadError, match=r"C\.csv, line 2 .*: 2 values where the header has 3"):
        load("C.csv", "athena", "replace_rows")
    assert concept.fetch("SELECT concept_name FROM t") == [("before",)]
