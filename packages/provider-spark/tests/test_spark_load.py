from pathlib import Path

import pytest
from spark_server import empty_catalog

from omopcloudetl.core.connection import ExecutionMetrics, LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep, Origin
from omopcloudetl.provider_spark.config import read_settings
from omopcloudetl.provider_spark.engine import SparkConnection
from omopcloudetl.provider_spark.views import view_of


def load(db: SparkConnection, folder: Path, uri: str, mode: str = "create", **more: object) -> LoadMetrics:
    """Load files of a folder into `s.t`."""
    content = {"name": "load_t", "summary": "a load", "origin": Origin(file="workflow.yaml", line=1), "uri": uri}
    content |= {"format": "csv", "table": ("s", "t"), "mode": mode}
    return db.bulk_load(BulkLoadStep.model_validate(content | more), base=folder)


def test_text_comes_as_delivered(db: SparkConnection, tmp_path: Path) -> None:
    """Quotes, line breaks within them, blanks and letters are kept, what is empty is NULL, names are lower-case."""
    content = 'ID,Name,Last\n1,"a ""q"", b", x \n2,"two\nlines",\n3,é,007\n'
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    metrics = load(db, tmp_path, "a.csv", columns=[{"name": "id"}, {"name": "more"}])
    assert (metrics.rows_loaded, metrics.files, metrics.bytes_read) == (3, 1, len(content.encode()))
    assert [name for name, _ in db.columns(("s", "t"))] == ["id", "name", "last", "more"]
    assert sorted(db.fetch("SELECT * FROM s.t"), key=repr) == [
        ("1", 'a "q", b', " x ", None),
        ("2", "two\nlines", None, None),
        ("3", "é", "007", None),
    ]


def test_files_of_a_pattern_go_by_the_names_of_columns(db: SparkConnection, tmp_path: Path) -> None:
    """Columns go by name, wherever they stand; another name counts, and what a file lacks is NULL there."""
    (tmp_path / "1.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "2.csv").write_text("b,c\n3,4\n", encoding="utf-8")
    columns = [{"name": "a"}, {"name": "d", "other_names": ["c"]}]
    assert load(db, tmp_path, "[12].csv", columns=columns).rows_loaded == 2
    assert sorted(db.fetch("SELECT a, b, d FROM s.t"), key=repr) == [("1", "2", None), (None, "3", "4")]


def test_a_typed_table_gets_its_types(db: SparkConnection, tmp_path: Path) -> None:
    """A table of types is loaded by them: days of eight digits, numbers, texts with quotes; a wrong one is refused."""
    db.execute(f"CREATE TABLE s.t (id INT, name STRING, day DATE, x DOUBLE) USING {db.config.format}")
    athena = {"format": "athena", "text": {"delimiter": "\t", "quote": ""}, "mode": "replace_rows"}
    (tmp_path / "a.csv").write_text('id\tday\tname\n1\t19700101\t"a" b\n2\t\t\n', encoding="utf-8")
    assert load(db, tmp_path, "a.csv", **athena).rows_loaded == 2
    assert sorted(db.fetch("SELECT id, name, CAST(day AS STRING), x FROM s.t"), key=repr) == [
        (1, '"a" b', "1970-01-01", None),
        (2, None, None, None),
    ]
    (tmp_path / "a.csv").write_text("id\tday\tname\nplanted\t19700101\ta\n", encoding="utf-8")
    with pytest.raises(LoadError, match="a value of id is no int") as told:
        load(db, tmp_path, "a.csv", **athena)
    assert "planted" not in str(told.value)
    assert db.fetch("SELECT COUNT(*) AS n FROM s.t") == [(2,)]


def test_malformed_records_fail_the_load(db: SparkConnection, tmp_path: Path) -> None:
    """A record with fewer or more values than there are columns fails the load, and the table stays as it is."""
    (tmp_path / "b.csv").write_text("a,b\n3,4\n", encoding="utf-8")
    load(db, tmp_path, "b.csv")
    for line in ("1", "1,2,3"):
        (tmp_path / "a.csv").write_text(f"a,b\n1,2\n{line}\n", encoding="utf-8")
        with pytest.raises(LoadError, match=r"a\.csv"):
            load(db, tmp_path, "a.csv")
    assert db.fetch("SELECT * FROM s.t") == [("3", "4")]


def test_nothing_is_set_aside_where_the_server_cannot(db: SparkConnection, tmp_path: Path) -> None:
    """Sail, which does not keep the text of a malformed record, fails a load that may reject some, and tells it."""
    columns = "load_step STRING, table_name STRING, file STRING, line BIGINT, reason STRING, text STRING"
    db.execute(f"CREATE TABLE s.r ({columns}) USING {db.config.format}")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3\n", encoding="utf-8")
    load(db, tmp_path, "b.csv", optional=True, columns=[{"name": "a"}])
    with pytest.raises(LoadError, match=r"a\.csv: .*incorrect number of fields"):
        load(db, tmp_path, "a.csv", rejects={"max_rejected": 1, "table": ("s", "r")})
    assert db.fetch("SELECT COUNT(*) AS n FROM s.t UNION ALL SELECT COUNT(*) FROM s.r") == [(0,), (0,)]


@pytest.mark.parametrize("name", ["n", "last"])
def test_a_quote_that_is_not_closed_is_noticed(db: SparkConnection, tmp_path: Path, name: str) -> None:
    """The last column of a file hides it, whatever comes behind it in the file, and is named."""
    (tmp_path / "b.csv").write_text(f'a,{name}\n1,"x\ny"\n', encoding="utf-8")
    for rest in ("2,d\n3,x\n", '2,"d"\n', "2,d", ""):
        (tmp_path / "a.csv").write_text(f'a,{name}\n1,"abc\n{rest}', encoding="utf-8")
        with pytest.raises(LoadError, match=rf"a\.csv: a quoted value of '{name}', its last column, does not end"):
            load(db, tmp_path, "[ab].csv")


def test_values_with_line_breaks_and_quotes_are_no_open_ones(db: SparkConnection, tmp_path: Path) -> None:
    """Line breaks in last columns and stray quotes elsewhere are what they are."""
    for end in ('3,5" nail\n', '3,"""z""\n"\n'):
        (tmp_path / "a.csv").write_text(f'a,b\n1,"c\nd"\n2,"""q"" \nz"\n{end}', encoding="utf-8")
        assert load(db, tmp_path, "a.csv").rows_loaded == 3


@pytest.mark.parametrize("name", ["x [2020].csv", "y{1}.csv", "z*.csv"])
def test_names_that_are_patterns_to_spark_are_refused(db: SparkConnection, tmp_path: Path, name: str) -> None:
    """Spark would load other files, or none; which characters do that is said."""
    for file in (name, "z1.csv"):
        (tmp_path / file).write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(LoadError, match="for a pattern; give it another name") as told:
        load(db, tmp_path, name)
    assert name in str(told.value)


def test_loads_that_share_a_session_do_not_meet(tmp_path: Path) -> None:
    """Views of what is read have names of their own, and are gone when it is, also after a load that fails."""
    settings = read_settings(empty_catalog(tmp_path))
    with SparkConnection(settings, tmp_path) as one, SparkConnection(settings, tmp_path) as other:
        one.execute(f"CREATE SCHEMA s LOCATION '{tmp_path}/s'")
        sources = [f" USING TEXT OPTIONS (path '{tmp_path}/{name}.txt')" for name in "ab"]
        for name in "ab":
            (tmp_path / f"{name}.txt").write_text(f"{name}\n", encoding="utf-8")
        with view_of(one, sources[0]) as first, view_of(other, sources[1]) as second:
            assert one.fetch(f"SELECT * FROM {first} UNION ALL SELECT * FROM {second}") == [("a",), ("b",)]
        (tmp_path / "a.csv").write_text("a,b\n1\n", encoding="utf-8")
        with pytest.raises(LoadError, match=r"a\.csv"):
            load(one, tmp_path, "a.csv")
        assert one.fetch("SHOW VIEWS") == []


def test_missing_files_and_columns_are_named(db: SparkConnection, tmp_path: Path) -> None:
    """One error names the files that are missing, or the columns; where files may be missing the table is empty."""
    with pytest.raises(LoadError, match=r"2 files are missing(.|\n)*a\.csv(.|\n)*b\.csv, which m\.yaml:1 reads"):
        load(db, tmp_path, "a.csv", beside=[{"uris": ["b.csv"], "needed_by": "m.yaml:1"}])
    (tmp_path / "a.csv").write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(LoadError, match=r"a\.csv lacks columns:\n  b, which m\.yaml:2 reads"):
        load(db, tmp_path, "a.csv", columns=[{"name": "b", "optional": False, "needed_by": "m.yaml:2"}])
    assert load(db, tmp_path, "c.csv", optional=True, columns=[{"name": "b"}]).rows_loaded == 0
    assert db.columns(("s", "t")) == [("b", "string")]


def test_files_that_change_meanwhile_are_refused(
    db: SparkConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load of files that were still being delivered is not done, and says which."""
    (tmp_path / "a.csv").write_text("a\n1\n", encoding="utf-8")
    execute = db.execute

    def late(sql: str) -> ExecutionMetrics:
        (tmp_path / "a2.csv").write_text("a\n2\n", encoding="utf-8")
        return execute(sql)

    monkeypatch.setattr(db, "execute", late)
    with pytest.raises(LoadError, match=r"files changed while the load read a\*\.csv:\n  a2\.csv\n"):
        load(db, tmp_path, "a*.csv")
