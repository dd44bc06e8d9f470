"""Promises of loads of JSON: whatever an object holds arrives as delivered, or the load says where it does not."""

import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep, LoadColumn, Origin
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Write = Callable[[str, str | bytes], Path]
Load = Callable[..., LoadMetrics]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("1.10", "1.10", id="zero at the end"),
        pytest.param("250.00", "250.00", id="code written as a number"),
        pytest.param("1e3", "1e3", id="exponent"),
        pytest.param("-0.0", "-0.0", id="minus zero"),
        pytest.param("0.00001", "0.00001", id="small"),
        pytest.param("12345678901234567890", "12345678901234567890", id="more than 64 bits"),
        pytest.param("123456789012345678901234567890.5", "123456789012345678901234567890.5", id="more than a double"),
        pytest.param("true", "true", id="boolean"),
        pytest.param("null", None, id="null"),
        pytest.param('""', "", id="empty text"),
        pytest.param('"null"', "null", id="the word null"),
        pytest.param(r'"a\u00e9\n\"1.10"', 'aé\n"1.10', id="escapes"),
        pytest.param(r'"x\": 1.50, [2.0"', 'x": 1.50, [2.0', id="text that looks like JSON"),
        pytest.param(r'"C:\\"', "C:\\", id="backslash at the end"),
        pytest.param('{"b": 1.50, "c": [1e2, "d"]}', '{"b":1.50,"c":[1e2,"d"]}', id="object"),
        pytest.param("[]", "[]", id="empty list"),
    ],
)
@pytest.mark.parametrize("name", ["x.json", "x.ndjson"])
def test_values_arrive_as_delivered(
    db: DuckDBConnection, write: Write, load: Load, name: str, value: str, text: str | None
) -> None:
    """Scalars keep their spelling, null is NULL, what is nested is its JSON text."""
    content = f'{{"id": 1, "a": {value}, "z": "end"}}'
    write(name, f"[{content}]" if name == "x.json" else content)

    assert load(name).rows_loaded == 1
    assert db.fetch("SELECT id, a, z FROM t") == [("1", text, "end")]
    assert {type_ for _, type_ in db.columns(("main", "t"))} == {"VARCHAR"}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('[{"a": "1"}, {"a": "2"}]', id="array"),
        pytest.param('\n [\n  {"a": "1"},\n  {"a":\n "2"}\n ]\n', id="array over lines"),
        pytest.param('{"a": "1"}\n\n{"a": "2"}\n', id="one object a line"),
        pytest.param('{\n "a": "1"\n}\n{\n "a": "2"\n}\n', id="objects over lines"),
        pytest.param(b'\xef\xbb\xbf[{"a": "1"}, {"a": "2"}]', id="byte order mark"),
    ],
)
def test_json_is_an_array_or_objects(db: DuckDBConnection, write: Write, load: Load, content: str | bytes) -> None:
    """`json` reads an array of objects, and objects one after the other."""
    write("x.json", content)
    load("x.json")

    assert db.fetch("SELECT a FROM t ORDER BY a") == [("1",), ("2",)]


@pytest.mark.parametrize("content", [b'\xef\xbb\xbf{"a": "\xc3\xa9"}\r\n \r\n', '{"a": "é"}'.encode("utf-16")])
def test_lines_of_json_may_be_spelled_as_windows_does(
    db: DuckDBConnection, write: Write, load: Load, content: bytes
) -> None:
    """A byte order mark, CRLF and UTF-16 are read."""
    write("x.ndjson", content)
    load("x.ndjson", encoding="utf-8" if content[0] == 0xEF else "utf-16")

    assert db.fetch("SELECT a FROM t") == [("é",)]


def test_columns_are_the_keys_of_all_objects(db: DuckDBConnection, write: Write, load: Load) -> None:
    """Every key of every object of every file is a column, declared ones first; case does not matter."""
    rows = [json.dumps({"ID": number}) for number in range(50_000)]
    write("p/1.ndjson", "\n".join([*rows, '{"id": "x", "late": 1}']))
    write("p/2.ndjson", '{"Other": "o", "a/b~c": 2, "": 3}')
    write("p/3.ndjson", "")
    columns = (LoadColumn(name="other"), LoadColumn(name="never"))

    assert load("p/*.ndjson", columns=columns).rows_loaded == 50_002
    assert [name for name, _ in db.columns(("main", "t"))] == ["other", "a/b~c", "column_1", "id", "late", "never"]
    assert db.fetch("SELECT count(id), count(late), count(never) FROM t") == [(50_001, 1, 0)]
    assert db.fetch("SELECT \"a/b~c\", column_1 FROM t WHERE other = 'o'") == [("2", "3")]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param("x.ndjson", '{"a": 1}\n\n{"a": 2\n', r"^x\.ndjson, line 3: it is not well-formed", id="cut off"),
        pytest.param("x.ndjson", '{"a": 1}\n[1]\n', r"^x\.ndjson, line 2: it is not an object$", id="list"),
        pytest.param("x.ndjson", '{"a": 1}{"a": 2}\n', r"^x\.ndjson, line 1: it is not well-formed", id="two"),
        pytest.param("x.ndjson", '{"a": 1, "A": 2}\n', r"^x\.ndjson, line 1: it has a key twice", id="twice"),
        pytest.param("x.ndjson", b'{"a": 1}\n{"a": "\xff"}\n', r"x\.ndjson, line 2 .*: it is not UTF-8", id="UTF-8"),
        pytest.param("x.json", '[{"a": 1}, 5]', r"^x\.json, object 2: it is not an object$", id="number"),
        pytest.param("x.json", '[{"a": 1},\n', r"^x\.json: the array has no end; the file is cut off$", id="comma"),
        pytest.param("x.json", '[{"a": 1}, {"a": "Meier]', r"^x\.json: it is not well-formed JSON: \w", id="no end"),
        pytest.param("x.json", "", r"^x\.json is empty; it must hold an array", id="empty"),
        pytest.param("x.json", "[]", r"^x\.json holds no object, and no columns are declared", id="no object"),
    ],
)
def test_what_is_no_object_is_refused_with_its_place(
    db: DuckDBConnection, write: Write, load: Load, name: str, content: str | bytes, problem: str
) -> None:
    """The error names file, place and reason, shows no patient's data, and makes no table."""
    write(name, content)

    with pytest.raises(LoadError, match=problem) as caught:
        load(name)

    assert "Meier" not in str(caught.value)
    assert not db.table_exists(("main", "t"))


def test_an_array_that_is_cut_off_is_noticed_in_packed_files(
    db: DuckDBConnection, write: Write, load: Load, tmp_path: Path
) -> None:
    """Also where the file is unpacked by this program, or can be unpacked by the engine alone."""
    write("x.json.gz", gzip.compress(b'[{"a": 1},\n'))
    lines = "unnest(['[{\"a\": 1},', '{\"a\": 2}', NULL])"
    db.execute(
        f"COPY (SELECT {lines}) TO '{tmp_path}/x.json.zst'"
        " (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '|', COMPRESSION zstd)"
    )

    for name in ("x.json.gz", "x.json.zst"):
        with pytest.raises(LoadError, match="has no end"):
            load(name, "json")


def test_json_fills_a_typed_table(db: DuckDBConnection, write: Write, load: Load) -> None:
    """Values are converted as strictly as those of CSV, and the one that cannot be is named."""
    db.execute("CREATE TABLE t (id INTEGER NOT NULL, day DATE, name VARCHAR)")
    write("x.json", '[{"id": 1, "day": "2020-01-02", "name": null}]')
    load("x.json", mode="replace_rows")
    assert db.fetch("SELECT id, day::VARCHAR, name FROM t") == [(1, "2020-01-02", None)]

    write("x.json", '[{"id": 1.5}]')
    with pytest.raises(LoadError, match=r"x\.json: column 'id' holds '1\.5', which is no INTEGER"):
        load("x.json", mode="replace_rows")


def test_key_that_a_rule_needs_must_be_in_some_object(db: DuckDBConnection, write: Write, load: Load) -> None:
    """A key that no object of a file has is missing there; a file without objects lacks nothing."""
    columns = (LoadColumn(name="id", optional=False, needed_by="m.yaml:3"),)
    write("1.ndjson", "")
    load("1.ndjson", columns=columns)
    assert db.fetch("SELECT id FROM t") == []

    write("2.ndjson", '{"other": 1}')
    with pytest.raises(LoadError, match=r"^2\.ndjson has no column 'id', which m\.yaml:3 needs$"):
        load("*.ndjson", columns=columns)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1d"), max_size=8)
SPECIAL = st.sampled_from(['"', "\\", ": 1.10", ", 2.0", "[3.50", "}", "\n", "/", "~"])
STRING = st.lists(TEXT | SPECIAL, max_size=3).map("".join)
NUMBER = st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
SCALAR = STRING.map(json.dumps) | NUMBER
NAMES = st.sampled_from(["a", "b", "c.d", 'e"f', "g/h~"])


@settings(max_examples=EXAMPLES, deadline=None)
@given(rows=st.lists(st.dictionaries(NAMES, SCALAR, min_size=1), min_size=1, max_size=5), nest=st.booleans())
def test_any_text_and_any_number_keep_their_spelling(rows: list[dict[str, str]], nest: bool) -> None:
    """What a JSON writer writes is what the table holds, for any text and any spelling of numbers."""
    more = ', "nested": [1.0, {"x": "1.0"}]' if nest else ""
    lines = ("{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in row.items()) + more + "}" for row in rows)
    step = BulkLoadStep(
        name="s",
        summary="s",
        origin=Origin(file="w.yaml", line=1),
        uri="x.ndjson",
        format="ndjson",
        table=("main", "t"),
        mode="create",
    )
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "x.ndjson").write_text("\n".join(lines), encoding="utf-8", newline="")
        with DuckDBConnection(DuckDBConfig(path=":memory:"), base) as connection:
            connection.bulk_load(step, base=base)
            names = [name for name, _ in connection.columns(("main", "t"))]
            found = connection.fetch("SELECT * FROM t ORDER BY rowid")

    delivered = [{key: value if value[0] != '"' else json.loads(value) for key, value in row.items()} for row in rows]
    expected = [row | ({"nested": '[1.0,{"x":"1.0"}]'} if nest else {}) for row in delivered]
    assert [{k: v for k, v in zip(names, row, strict=True) if v is not None} for row in found] == expected
