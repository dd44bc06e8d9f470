import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import LoadColumn
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Write = Callable[[str, str | bytes], Path]
Load = Callable[..., LoadMetrics]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        pytest.param('a,b\n1,\n"",x\n', [("1", None), ("", "x")], id="empty is NULL, quoted is not"),
        pytest.param("a,b\r\n1,2\r\n", [("1", "2")], id="CRLF"),
        pytest.param("a,b\n1,2", [("1", "2")], id="no newline at the end"),
        pytest.param(b"\xef\xbb\xbfa,b\n1,2\n", [("1", "2")], id="byte order mark"),
        pytest.param(b'\xef\xbb\xbf"a",b\n1,2\n', [("1", "2")], id="quotes after the mark"),
        pytest.param("a,b\n#1,2\n#x,\n", [("#1", "2"), ("#x", None)], id="no comments"),
        pytest.param("a,b\n1;2,x\ny;z,w\n", [("1;2", "x"), ("y;z", "w")], id="no other delimiter"),
        pytest.param("a,b\ntitle,x\nc,d\n", [("title", "x"), ("c", "d")], id="first line is header"),
        pytest.param("1,2\n3,4\n", [("3", "4")], id="a header of numbers"),
        pytest.param("a,b\n007,1e5\n", [("007", "1e5")], id="text as delivered"),
        pytest.param("a,b\n\n1,2\n\n", [("1", "2")], id="blank lines between records"),
        pytest.param('a,b\n"x\ny","p\r\nq"\n', [("x\ny", "p\r\nq")], id="newlines in quotes"),
        pytest.param('a,b\n"say ""hi""",5" pipe\n', [('say "hi"', '5" pipe')], id="quotes"),
        pytest.param("a,b\nNULL,NA\n", [("NULL", "NA")], id="words are words"),
        pytest.param("a,b\né,漢字\n", [("é", "漢字")], id="UTF-8"),
        pytest.param("a,b\n", [], id="header only"),
        pytest.param("a,b", [], id="header only, no newline"),
    ],
)
def test_csv_is_read_as_rfc_4180_says(
    db: DuckDBConnection, write: Write, load: Load, content: str | bytes, rows: list[object]
) -> None:
    """Every value arrives as it was delivered, as text; nothing is guessed."""
    write("x.csv", content)

    metrics = load("x.csv")

    assert db.fetch("SELECT * FROM t") == rows
    assert {type_ for _, type_ in db.columns(("main", "t"))} == {"VARCHAR"}
    assert (metrics.rows_loaded, metrics.rows_rejected) == (len(rows), 0)


def test_single_column_keeps_its_empty_lines(db: DuckDBConnection, write: Write, load: Load) -> None:
    """In a file of one column, an empty line is a row."""
    write("x.csv", 'a\n1\n\n""\n2\n')

    assert load("x.csv").rows_loaded == 4
    assert db.fetch("SELECT a FROM t") == [("1",), (None,), ("",), ("2",)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("a,b\n1,2\n3\n", r"x\.csv, line 3 .*: 1 values where the header has 2", id="short"),
        pytest.param("a,b\n1,2,3\n", r"x\.csv, line 2 .*: 3 values where the header has 2", id="long"),
        pytest.param('a,b\n"1,2\n3,4\n', r"line 2 .*: a quoted value does not end", id="open quote"),
        pytest.param('a,b\n"1"x,2\n', r"line 2 .*goes on after its closing quote", id="after quote"),
        pytest.param(
            b"a,b\n1,2\n\xff,4\n", r"x\.csv, line 3 .*: it is not UTF-8; if it is Latin-1, say ", id="Latin-1"
        ),
        pytest.param(b"gr\xf6sse,b\n1,2\n", r"^x\.csv: the header is not UTF-8; if it is Latin-1, say ", id="header"),
        pytest.param("a,b\n" + "x" * 17_000_000 + ",1\n", "longer than 16 MB", id="endless line"),
        pytest.param("", r"^x\.csv is empty; its first line must name the columns$", id="empty"),
        pytest.param("\na,b\n1,2\n", r"^x\.csv: the first line is blank", id="blank first line"),
        pytest.param("a,b\r\n1,2\n3,4\r\n", r"^x\.csv: its lines end in several ways", id="mixed line ends"),
        pytest.param(b"\0" * 100, r"^x\.csv: the name of a column holds NUL", id="zeros"),
        pytest.param("a,B,b,A\n1,2,3,4\n", "more than one column 'a', 'b' ", id="equal names"),
    ],
)
def test_malformed_file_is_refused_with_its_line(
    db: DuckDBConnection, write: Write, load: Load, content: str | bytes, problem: str
) -> None:
    """The error names file, line and reason, shows no patient's data, and makes no table."""
    write("x.csv", content)

    with pytest.raises(LoadError, match=problem) as caught:
        load("x.csv")

    assert "Original Line" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert not db.table_exists(("main", "t"))


@pytest.mark.parametrize("at", [10, 1_099_999])
def test_quote_that_never_closes_in_a_big_file_is_refused(
    db: DuckDBConnection, write: Write, load: Load, at: int
) -> None:
    """A quoted value that never ends drops no row silently, wherever it starts."""
    lines = [f"{number},{'y' * 60}\n" for number in range(1_100_000)]
    lines[at] = f'{at},"y\n'
    write("x.csv", "a,b\n" + "".join(lines))

    with pytest.raises(LoadError, match=rf"x\.csv, line {at + 2} .*: a quoted value does not end"):
        load("x.csv")
    assert not db.table_exists(("main", "t"))


def test_last_line_that_is_too_long_is_refused(write: Write, load: Load) -> None:
    """A last line beyond the engine's buffers is an error, not a missing row."""
    write("x.csv", "a,b\n1,2\n3," + "x" * 100_000_000 + "\n")

    with pytest.raises(LoadError, match=r"x\.csv, line 3 .*: it is longer than 16 MB"):
        load("x.csv")


def test_long_values_are_loaded(db: DuckDBConnection, write: Write, load: Load) -> None:
    """Clinical notes of many megabytes are values like others, also several in one file."""
    lines = "".join(f"{'x' * 5_000_000},{number}\nshort,{number}\n" for number in range(12))
    write("x.csv", "note,n\n" + lines)

    assert load("x.csv").rows_loaded == 24
    assert db.fetch("SELECT sum(length(note)) FROM t") == [(12 * 5_000_005,)]


def test_values_over_many_lines_in_a_big_file(db: DuckDBConnection, write: Write, load: Load) -> None:
    """A file that the engine cannot read with several threads is read right all the same."""
    notes = ("\n".join(f"{row},line,{row}" for _ in range(row % 17 + 1)) for row in range(150_000))
    lines = "".join(f'{row},"{note}",{row * 2}\n' for row, note in enumerate(notes))
    assert len(lines) > 20_000_000
    lines *= 4  # beyond what one thread takes at a time
    write("x.csv", "id,note,n\n" + lines)

    assert load("x.csv").rows_loaded == 600_000
    wrong = "SELECT count(*) FROM t WHERE n::BIGINT <> 2 * id::BIGINT"
    assert db.fetch(wrong) == [(0,)]


@pytest.mark.parametrize("name", ["ID", "Two Words", 'say ""hi""', "select", "größe", "x';--", "a.b"])
def test_header_names_become_lower_case_columns(db: DuckDBConnection, write: Write, load: Load, name: str) -> None:
    """Any text names a column; its case does not matter and it is never run as SQL."""
    write("x.csv", f'"{name}", other \n1,2\n')
    load("x.csv")

    expected = name.lower().replace('""', '"')
    assert [column for column, _ in db.columns(("main", "t"))] == [expected, "other"]
    assert db.fetch("SELECT * FROM t") == [("1", "2")]


def test_column_without_a_name_gets_its_number(db: DuckDBConnection, write: Write, load: Load) -> None:
    """Row numbers as R and pandas write them do no harm."""
    write("x.csv", '"",a\n1,x\n')
    load("x.csv")

    assert [name for name, _ in db.columns(("main", "t"))] == ["column_1", "a"]


def test_tsv_and_athena_differ_in_quotes(db: DuckDBConnection, write: Write, load: Load) -> None:
    """In `tsv` quotes quote; in `athena` they are letters like others."""
    write("x.tsv", 'a\tb\n"1\t2"\t\n')
    load("x.tsv")
    assert db.fetch("SELECT * FROM t") == [("1\t2", None)]

    write("x.csv", 'a\tb\n"1\t5" pipe \\\n')
    load("x.csv", "athena")
    assert db.fetch("SELECT * FROM t") == [('"1', '5" pipe \\')]


def test_parquet_keeps_its_types(db: DuckDBConnection, write: Write, load: Load) -> None:
    """Parquet columns arrive with their own types and lower-case names."""
    folder = write("x.csv", "").parent
    db.execute(f"COPY (SELECT 1 AS \"Id\", DATE '2020-01-02' AS \"Start\", 1.5::DOUBLE AS v) TO '{folder}/x.parquet'")

    metrics = load("x.parquet")

    assert db.columns(("main", "t")) == [("id", "INTEGER"), ("start", "DATE"), ("v", "DOUBLE")]
    assert metrics.rows_loaded == 1
    assert metrics.bytes_read == (folder / "x.parquet").stat().st_size


def test_parquet_names_that_differ_in_case_only_are_refused(db: DuckDBConnection, tmp_path: Path, load: Load) -> None:
    """Two columns that would become one are an error, in Parquet too."""
    db.execute("CREATE TABLE p AS SELECT 1 AS a, 2 AS x")
    db.execute(f"COPY p TO '{tmp_path}/x.parquet'")
    content = (tmp_path / "x.parquet").read_bytes()
    schema_and_statistics = re.sub(rb"(?<=\x01)x(?=[^a-z])", b"A", content)
    (tmp_path / "x.parquet").write_bytes(schema_and_statistics)

    with pytest.raises(LoadError, match=r"x\.parquet has more than one column 'a'"):
        load("x.parquet")


def test_broken_parquet_is_named(write: Write, load: Load) -> None:
    """A file that is no Parquet is refused by its name."""
    write("x.parquet", "not parquet at all, but long enough to have a footer")

    with pytest.raises(LoadError, match=r"x\.parquet"):
        load("x.parquet")


def test_files_of_a_glob_may_order_their_columns_differently(db: DuckDBConnection, write: Write, load: Load) -> None:
    """Values follow their column's name, not its place; what a file lacks is NULL there."""
    sizes = [
        len(write(f"p/{name}.csv", content).read_bytes())
        for name, content in {"1": "a,b\n1,2\n", "2": "B,A\n2,1\n", "3": "c,a\n3,1\n"}.items()
    ]

    metrics = load("p/*.csv")

    assert db.fetch("SELECT a, b, c FROM t ORDER BY b, c") == [
        ("1", "2", None),
        ("1", "2", None),
        ("1", None, "3"),
    ]
    assert (metrics.files, metrics.bytes_read) == (3, sum(sizes))


def test_parquet_files_of_a_glob_may_differ(db: DuckDBConnection, tmp_path: Path, load: Load) -> None:
    """A column that one Parquet file lacks is NULL there and keeps its type."""
    db.execute(f"COPY (SELECT 1 AS a, DATE '2020-01-01' AS d) TO '{tmp_path}/1.parquet'")
    db.execute(f"COPY (SELECT 2 AS a) TO '{tmp_path}/2.parquet'")

    assert load("*.parquet").rows_loaded == 2
    assert db.columns(("main", "t")) == [("a", "INTEGER"), ("d", "DATE")]


def test_compressed_files_are_read(db: DuckDBConnection, write: Write, load: Load) -> None:
    """A name that ends in .gz is unpacked by the engine; the size is the stored one."""
    packed = gzip.compress(b"a,b\n1,2\n")
    write("x.csv.gz", packed)

    assert load("x.csv.gz", "csv").bytes_read == len(packed)
    assert db.fetch("SELECT * FROM t") == [("1", "2")]


def test_folders_of_a_path_are_no_columns(db: DuckDBConnection, write: Write, load: Load) -> None:
    """A folder named `year=2020` adds nothing to the rows."""
    write("year=2020/x.csv", "a\n1\n")
    load("year=2020/x.csv")

    assert [name for name, _ in db.columns(("main", "t"))] == ["a"]


def test_every_missing_column_is_named_at_once(write: Write, load: Load) -> None:
    """One error lists each needed column that each file lacks, and who needs it."""
    write("p1.csv", "id,name\n1,x\n")
    write("p2.csv", "id,birthdate\n1,x\n")
    columns = (
        LoadColumn(name="birthdate", optional=False, needed_by="mappings/person.yaml:12"),
        LoadColumn(name="Gender", optional=False, needed_by="mappings/person.yaml:9"),
        LoadColumn(name="note", optional=True, needed_by="mappings/person.yaml:20"),
        LoadColumn(name="other", optional=False),
    )

    with pytest.raises(LoadError) as caught:
        load("p*.csv", columns=columns)

    assert str(caught.value).splitlines() == [
        "p1.csv has no column 'birthdate', which mappings/person.yaml:12 needs",
        "p1.csv has no column 'gender', which mappings/person.yaml:9 needs",
        "p2.csv has no column 'gender', which mappings/person.yaml:9 needs",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "id;born\n1;2\n",
            """x.csv has one column, whose name holds ';': say `delimiter: ";"` if that is between its values""",
            id="delimiter",
        ),
        pytest.param(
            "id,born_on\n1,2\n", "x.csv has no column 'born', which m.yaml:3 needs; it has 'born_on'", id="similar"
        ),
        pytest.param("id,Paula\n1,2\n", "x.csv has no column 'born', which m.yaml:3 needs", id="nothing-similar"),
    ],
)
def test_a_missing_column_is_told_with_its_likely_cause(write: Write, load: Load, text: str, problem: str) -> None:
    """Another delimiter is named, a similar column too, and of other columns nothing: they may be data."""
    write("x.csv", text)
    columns = tuple(LoadColumn(name=name, optional=False, needed_by="m.yaml:3") for name in ("id", "born"))

    with pytest.raises(LoadError) as caught:
        load("x.csv", columns=columns)
    assert str(caught.value) == problem


def test_column_that_may_be_missing_is_null(db: DuckDBConnection, write: Write, load: Load) -> None:
    """Optional columns, and those that nobody reads, are there and NULL."""
    write("x.csv", "id\n1\n")
    load("x.csv", columns=(LoadColumn(name="Note"), LoadColumn(name="x", optional=False)))

    assert db.fetch("SELECT id, note, x FROM t") == [("1", None, None)]
    assert {type_ for _, type_ in db.columns(("main", "t"))} == {"VARCHAR"}


def test_failed_load_keeps_the_table_of_before(db: DuckDBConnection, write: Write, load: Load) -> None:
    """A load that fails halfway leaves the old rows; one that succeeds replaces them."""
    write("x.csv", "a,b\n1,2\n")
    load("x.csv")
    write("x.csv", "a,b\n" + "3,4\n" * 100_000 + "5\n")

    with pytest.raises(LoadError, match="line 100002 "):
        load("x.csv")

    assert db.fetch("SELECT * FROM t") == [("1", "2")]


OTHER_NAMES = (
    LoadColumn(name="start", optional=False, needed_by="m.yaml:3", other_names=("Start_Date", "DATE")),
    LoadColumn(name="code", optional=False, needed_by="m.yaml:4"),
)


def test_a_column_is_found_by_its_other_names(db: DuckDBConnection, write: Write, load: Load) -> None:
    """Files of several versions make one table; the column's own name goes first, then the others in their order."""
    write("v1.csv", "DATE,code\n2020,a\n")
    write("v2.csv", "Code,Start,date\nb,2021,x\n")
    write("v3.csv", "date,start_date,CODE\ny,2022,c\n")
    load("v*.csv", columns=OTHER_NAMES)

    assert db.fetch("SELECT start, code FROM t ORDER BY code") == [("2020", "a"), ("2021", "b"), ("2022", "c")]
    assert {name for name, _ in db.columns(("main", "t"))} == {"start", "code", "date"}


def test_a_column_of_json_and_parquet_is_found_by_its_other_names(
    db: DuckDBConnection, write: Write, load: Load, tmp_path: Path
) -> None:
    """The other names are names of keys, and of Parquet columns with their types."""
    write("x.ndjson", '{"DATE": 2020, "code": "a"}\n')
    load("x.ndjson", format="ndjson", columns=OTHER_NAMES)
    assert db.fetch("SELECT start, code FROM t") == [("2020", "a")]

    path = write("x.parquet", b"")
    db.execute(f"COPY (SELECT DATE '2021-01-02' AS Start_Date, 'b' AS code) TO '{path}' (FORMAT parquet)")
    load("x.parquet", format="parquet", columns=OTHER_NAMES)
    assert [str(value) for value in db.fetch("SELECT start, code FROM t")[0]] == ["2021-01-02", "b"]


def test_a_column_under_none_of_its_names_is_one_error(write: Write, load: Load) -> None:
    """The error says which names would do."""
    write("x.csv", "code,stop\na,2020\n")
    with pytest.raises(LoadError) as caught:
        load("x.csv", columns=OTHER_NAMES)

    words = "x.csv has no column 'start' ('Start_Date' or 'DATE' would do), which m.yaml:3 needs"
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    "content",
    [b'a,"b\nc"\r\n1,2\r\n', b'a,"b\r\nc"\n1,2\n3,4\n', b'a,"b\nc"\r1,2\r'],
    ids=["lf-in-crlf", "crlf-in-lf", "lf-in-cr"],
)
def test_a_header_behind_which_the_engine_loses_rows_is_refused(write: Write, load: Load, content: bytes) -> None:
    """A line break in a column's name that is none of the file's own fails the load: no row would be there."""
    write("x.csv", content)
    with pytest.raises(LoadError, match="holds a line break of another kind"):
        load("x.csv")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_header_may_span_lines(write: Write, load: Load, end: str) -> None:
    """A line break in a column's name is no end of the header."""
    write("x.csv", f'a,"b{end}c"{end}1,2{end}')
    assert load("x.csv").rows_loaded == 1
