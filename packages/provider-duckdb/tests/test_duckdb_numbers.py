"""Numbers of rows and enumerations: what DuckDB says in its own way means what it means everywhere."""

from collections.abc import Callable

import pytest
from sqlglot import exp, parse_one

from omopcloudetl.provider_duckdb.dialect import DuckDBGenerator
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Open = Callable[..., DuckDBConnection]


@pytest.mark.parametrize("settings", [{}, {"preserve_insertion_order": False}], ids=["in-order", "in-any-order"])
def test_rows_are_numbered_in_their_order_by_many_threads(open_database: Open, settings: dict[str, object]) -> None:
    """Also where rows may be inserted in another order: more rows than one thread takes, written to a table."""
    db = open_database(threads=4, **settings)
    rows = parse_one("SELECT r.i AS i, r.j AS j FROM (SELECT range AS i, range % 3 AS j FROM range(700000)) AS r")
    assert isinstance(rows, exp.Select)
    order = [exp.column("j", "r"), exp.Neg(this=exp.column("i", "r"))]
    query = DuckDBGenerator().numbered(rows, order, "n")
    db.execute("CREATE TABLE t (n BIGINT, i BIGINT, j BIGINT)")
    db.execute(f"INSERT INTO t {query.sql(dialect='duckdb')}")
    said = "SELECT COUNT(*), SUM(CASE WHEN n = expected THEN 0 ELSE 1 END)"
    counted = db.fetch(f"{said} FROM (SELECT n, ROW_NUMBER() OVER (ORDER BY j, i DESC) AS expected FROM t)")
    assert counted == [(700_000, 0)]


def test_an_enumeration_is_a_text_to_everybody_else(db: DuckDBConnection) -> None:
    """It compares with texts that are none of its own, sorts as they do, and goes into a column of text."""
    type_ = DuckDBGenerator().enumeration(["a's", "b"])
    word = f"CAST(word AS {type_.sql(dialect='duckdb')}) AS word"
    db.execute(f"CREATE TABLE t AS SELECT {word} FROM (VALUES ('b'), ('a''s'), (NULL)) AS v(word)")
    db.execute("CREATE TABLE texts AS SELECT 'z' AS word")
    db.execute("INSERT INTO texts SELECT word FROM t")
    assert db.fetch("SELECT COUNT(*) FROM t WHERE word IN ('z', 'b')") == [(1,)]
    assert db.fetch("SELECT COALESCE(word, 'none') FROM t ORDER BY word NULLS LAST") == [("a's",), ("b",), ("none",)]
    assert db.fetch("SELECT STRING_AGG(word, ',' ORDER BY word) FROM texts") == [("a's,b,z",)]
