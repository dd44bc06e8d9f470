"""Promises of `max_rejected`: malformed records are set aside, each is counted, and every line is accounted for."""

import csv
import gzip
import io
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep, Origin, RejectOptions, TextOptions
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Write = Callable[[str, str | bytes], Path]
Load = Callable[..., LoadMetrics]

REJECTED_ROWS = (
    "CREATE TABLE rejected_rows (load_step TEXT, table_name TEXT, file TEXT, line BIGINT, reason TEXT, text TEXT)"
)


@pytest.fixture
def rejected(db: DuckDBConnection) -> Callable[[], list[tuple[object, ...]]]:
    """The table of rejected rows, made, and asked for file, line and reason."""
    db.execute(REJECTED_ROWS)
    return lambda: db.fetch("SELECT file, line, reason FROM rejected_rows ORDER BY file, line")


Rejected = Callable[[], list[tuple[object, ...]]]

ENDLESS = "a quoted value does not end, or goes on after its closing quote"


@pytest.mark.parametrize(
    ("content", "rows", "faults"),
    [
        pytest.param("a,b\n1,2\n3\n4,5\n", 2, [(3, "1 values where the header has 2")], id="short"),
        pytest.param("a,b\n1,2,3,4\n5,6\n", 1, [(2, "4 values where the header has 2")], id="long"),
        pytest.param('a,b\n1,2\n"3"x,4\n5,6\n', 2, [(3, ENDLESS)], id="after the quote"),
        pytest.param('a,b\n1,2\n"3,4\n5,6\n', 1, [(3, ENDLESS)], id="quote to the end"),
        pytest.param('a,b\n1,2\n3\n"4,5\n6,7', 1, [(3, "1 values where the header has 2"), (4, ENDLESS)], id="both"),
        pytest.param(b"a,b\n1,2\n\xff,\xfe,3\n5,6\n", 2, [(3, "it is not UTF-8")], id="not UTF-8, and long"),
        pytest.param('a,b\n"x\n\ny",2\n\n3\n4,5\n', 2, [(4, "1 values where the header has 2")], id="lines in quotes"),
        pytest.param('"a\nb",c\n1,2\n3\n', 1, [(3, "1 values where the header has 2")], id="header over lines"),
        pytest.param("a,b\n1,2\n" + "x" * 17_000_000 + ",1\n", 1, [(3, "it is longer than 16 MB")], id="endless line"),
        pytest.param("a,b\r\n1,2\r\n3\r\n", 1, [(3, "1 values where the header has 2")], id="CRLF"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_malformed_records_are_set_aside(
    write: Write,
    load: Load,
    rejected: Rejected,
    content: str | bytes,
    rows: int,
    faults: list[tuple[int, str]],
    packed: bool,
) -> None:
    """File, line and reason of each are kept; the rest is loaded."""
    name = "x.csv.gz" if packed else "x.csv"
    data = content if isinstance(content, bytes) else content.encode()
    write(name, gzip.compress(data, 1) if packed else data)

    metrics = load(name, "csv", max_rejected=2)

    assert (metrics.rows_loaded, metrics.rows_rejected) == (rows, len(faults))
    assert [(line, reason) for _, line, reason in rejected()] == faults
    assert {file for file, _, _ in rejected()} == {name}


def test_more_than_allowed_fails_the_load(db: DuckDBConnection, write: Write, load: Load, rejected: Rejected) -> None:
    """The error says how many there are and shows the first; the table of before and its rejects stay."""
    write("x.csv", "a,b\n1,2\n3\n")
    load("x.csv", max_rejected=1)
    write("x.csv", "a,b\n" + "1\n" * 5)

    with pytest.raises(LoadError) as caught:
        load("x.csv", max_rejected=4)

    assert str(caught.value).splitlines() == [
        "5 malformed records, 4 may be rejected:",
        "  x.csv, line 2: 1 values where the header has 2",
        "  x.csv, line 3: 1 values where the header has 2",
        "  x.csv, line 4: 1 values where the header has 2",
        "  and 2 more",
    ]
    assert db.fetch("SELECT * FROM t") == [("1", "2")]
    assert len(rejected()) == 1


def test_a_load_without_faults_forgets_those_of_before(write: Write, load: Load, rejected: Rejected) -> None:
    """The table tells of each step's last load."""
    write("x.csv", "a,b\n1\n")
    load("x.csv", max_rejected=1)
    write("x.csv", "a,b\n1,2\n")

    assert load("x.csv", max_rejected=1).rows_rejected == 0
    assert rejected() == []


@pytest.mark.parametrize("keep", [False, True])
def test_the_text_is_kept_on_request_only(
    db: DuckDBConnection, write: Write, load: Load, rejected: Rejected, keep: bool
) -> None:
    """The text of a record is patient data: it is in the table if the workflow says so, else nowhere."""
    write("x.csv", 'a,b\n1,2\nMeier\n"5,6\n7,8\n')
    load("x.csv", max_rejected=2, keep_text=keep)

    texts = [row[0] for row in db.fetch("SELECT text FROM rejected_rows ORDER BY line")]
    assert texts == (["Meier", '"5,6\n7,8'] if keep else [None, None])
    leftovers = "SELECT table_name FROM duckdb_tables() WHERE temporary"
    assert db.fetch(leftovers) == []


def test_rejects_are_counted_over_all_files(write: Write, load: Load, rejected: Rejected) -> None:
    """A glob's files, with columns in any order, have one limit together."""
    write("1.csv", "a,b\n1\n2,3\n")
    write("2.csv", "b,a\n4,5\n6\n")
    write("3.csv", "a,b\n7,8\n")

    metrics = load("*.csv", max_rejected=2)

    assert (metrics.rows_loaded, metrics.rows_rejected, metrics.files) == (3, 2, 3)
    assert [row[:2] for row in rejected()] == [("1.csv", 2), ("2.csv", 3)]
    with pytest.raises(LoadError, match=r"^2 malformed records, 1 may be rejected"):
        load("*.csv", max_rejected=1)


def test_objects_are_set_aside_by_line(db: DuckDBConnection, write: Write, load: Load, rejected: Rejected) -> None:
    """In `ndjson`, too, and what is malformed makes no column."""
    lines = [b'{"a": 1.10}', b"", b'{"b": 2', b"[3]", b'{"a": "\xff", "c": 1}', b'{"a": 5, "A": 6}', b'{"a": 7}']
    write("x.ndjson", b"\n".join(lines))

    metrics = load("x.ndjson", max_rejected=4, keep_text=True)

    assert (metrics.rows_loaded, metrics.rows_rejected) == (2, 4)
    assert db.fetch("SELECT a FROM t ORDER BY a") == [("1.10",), ("7",)]
    assert [name for name, _ in db.columns(("main", "t"))] == ["a"]
    assert [row[1:] for row in rejected()] == [
        (3, "it is not well-formed JSON"),
        (4, "it is not an object"),
        (5, "it is not UTF-8"),
        (6, "it has a key twice (case does not matter)"),
    ]


@pytest.mark.parametrize("format", ["athena", "csv", "ndjson"])
def test_values_that_do_not_fit_are_set_aside(
    db: DuckDBConnection, write: Write, load: Load, rejected: Rejected, format: str
) -> None:
    """A record with a value that the table's type cannot hold has its own line, among others that are malformed."""
    db.execute("CREATE TABLE t (id INTEGER NOT NULL, day DATE, name VARCHAR NOT NULL)")
    day = "20200102" if format == "athena" else "2020-01-02"
    if format == "ndjson":
        row = '{{"id": "{}", "day": "{}", "name": "{}"}}'
        lines = [row.format(*record) for record in [(1, day, "x"), ("y", day, "x"), ("", day, "x"), (4, "never", "x")]]
        lines[1:1] = ["{", "{}"]
        faults = [
            (2, "well-formed"),
            (3, "'id' holds no INTEGER"),
            (4, "'id'"),
            (5, "'id'"),
            (6, "'day' holds no DATE"),
        ]
    else:
        tab = "\t" if format == "athena" else ","
        records = [(1, day, "x"), (2,), ("y", day, "x"), (3, day), ("", day, "x"), (4, "never", "x")]
        lines = [tab.join(map(str, record)) for record in [("id", "day", "name"), *records]]
        faults = [
            (3, "1 values"),
            (4, "'id' holds no INTEGER"),
            (5, "2 values"),
            (6, "'id'"),
            (7, "'day' holds no DATE"),
        ]
    write("x.txt", "\n".join(lines))

    metrics = load("x.txt", format, mode="replace_rows", max_rejected=5)

    assert (metrics.rows_loaded, metrics.rows_rejected) == (1, 5)
    assert db.fetch("SELECT id, day::VARCHAR, name FROM t") == [(1, "2020-01-02", "x")]
    found = rejected()
    assert [line for _, line, _ in found] == [line for line, _ in faults]
    assert [words for (_, _, reason), (_, words) in zip(found, faults, strict=True) if words not in str(reason)] == []


FAULTS = ("short", "long", "after the quote", "not UTF-8")
VALUES = st.lists(st.sampled_from(["x", '"', ",", "\n", "é", "\r\n", "1"]), max_size=4).map("".join)
RECORD = st.lists(VALUES, min_size=3, max_size=3)


def _spoilt(fault: str) -> bytes:
    return {"short": b"1,2", "long": b"1,2,3,4", "after the quote": b'"1"x,2,3', "not UTF-8": b"1,\xff,3"}[fault]


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    records=st.lists(RECORD | st.sampled_from(FAULTS), max_size=12),
    tail=st.none() | st.lists(VALUES.map(lambda value: value.replace('"', "")), min_size=1, max_size=3),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_loaded_and_rejected_are_all_records(
    records: list[list[str] | str], tail: list[str] | None, newline: str
) -> None:
    """For any file and any faults in it: rows loaded and rejected are the records there are, none lost or doubled."""
    lines = [f"a,b,c{newline}".encode()]
    for record in records:
        text = io.StringIO(newline="")
        if isinstance(record, list):
            csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=newline).writerow(record)
        lines.append(text.getvalue().encode() if isinstance(record, list) else _spoilt(record) + newline.encode())
    if tail is not None:  # a quoted value without an end takes all that follows
        lines.append(b'1,"' + newline.join(tail).encode())
    good = [tuple(record) for record in records if isinstance(record, list)]
    bad = len(records) - len(good) + (tail is not None)
    step = BulkLoadStep(
        name="s",
        summary="s",
        origin=Origin(file="w.yaml", line=1),
        uri="x.csv",
        format="csv",
        text=TextOptions(),
        table=("main", "t"),
        mode="create",
        rejects=RejectOptions(max_rejected=100, table=("main", "rejected_rows")),
    )
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "x.csv").write_bytes(b"".join(lines))
        with DuckDBConnection(DuckDBConfig(path=":memory:"), base) as connection:
            connection.execute(REJECTED_ROWS)
            metrics = connection.bulk_load(step, base=base)
            rows = connection.fetch("SELECT * FROM t")
            kept = connection.fetch("SELECT line FROM rejected_rows")
    assert sorted(rows, key=str) == sorted(good, key=str)
    assert (metrics.rows_loaded, metrics.rows_rejected, len(kept)) == (len(good), bad, bad)


def test_a_big_file_adds_up(db: DuckDBConnection, write: Write, load: Load, rejected: Rejected) -> None:
    """Over several of the engine's buffers: every line is where it is said to be."""
    choose = random.Random(1)
    lines = [f"{number},{'y' * choose.randint(20, 120)}" for number in range(700_000)]
    faults = sorted(choose.sample(range(len(lines)), 50))
    for number in faults:
        lines[number] = choose.choice(["only", "1,2,3", '"1"x,2'])
    write("x.csv", "a,b\n" + "\n".join(lines))

    metrics = load("x.csv", max_rejected=50)

    assert (metrics.rows_loaded, metrics.rows_rejected) == (len(lines) - 50, 50)
    assert [line for _, line, _ in rejected()] == [number + 2 for number in faults]
