"""What a query names and reads in several places becomes a table, and is put back to read the query."""

import pytest
from sqlglot import exp, parse_one

from omopcloudetl.core.shared_rows import put_back, take_apart

JOINED = "SELECT a.x FROM s.a AS a JOIN s.b AS b ON b.x = a.x"
WITHIN = f"WITH rows AS ({JOINED}) SELECT 1 AS x FROM rows, rows AS r"
TABLE = exp.Table(this=exp.to_identifier("rows_m"), db=exp.to_identifier("work"))


def parsed(sql: str) -> exp.Query:
    """A query."""
    found = parse_one(sql)
    assert isinstance(found, exp.Query)
    return found


@pytest.mark.parametrize(
    ("query", "made", "rest"),
    [
        (
            f"WITH rows AS ({JOINED}), c AS (SELECT x FROM rows) SELECT r.x FROM rows AS r JOIN c ON c.x = r.x",
            JOINED,
            "WITH c AS (SELECT x FROM work.rows_m AS rows) SELECT r.x FROM work.rows_m AS r JOIN c ON c.x = r.x",
        ),
        (
            f"WITH rows AS ({JOINED}), twice AS (SELECT x FROM rows) SELECT x FROM twice UNION ALL SELECT x FROM twice",
            f"WITH rows AS ({JOINED}) SELECT x FROM rows",
            "SELECT x FROM work.rows_m AS twice UNION ALL SELECT x FROM work.rows_m AS twice",
        ),
        (
            f"WITH rows AS ({WITHIN}) SELECT rows.x FROM rows, rows AS r",
            WITHIN,
            "SELECT rows.x FROM work.rows_m AS rows, work.rows_m AS r",
        ),
    ],
    ids=["one", "with-what-it-reads", "same-name-within"],
)
def test_the_first_that_is_read_in_several_places_is_made_apart(query: str, made: str, rest: str) -> None:
    """With the named queries that it reads; putting it back gives a query that names all of them."""
    found = parsed(query)
    apart = take_apart(found, TABLE)
    assert apart is not None
    assert [one.sql().replace('"', "") for one in (apart, found)] == [made, rest]

    put_back(found, "work.rows_m", apart)
    assert not [table for table in found.find_all(exp.Table) if table.db == "work"]
    assert {"a", "b"} == {table.name for table in found.find_all(exp.Table) if table.db == "s"}


@pytest.mark.parametrize(
    "query",
    [
        JOINED,
        f"WITH rows AS ({JOINED}) SELECT x FROM rows",
        "WITH rows AS (SELECT x FROM s.a) SELECT rows.x FROM rows, rows AS r",
        f"WITH a AS (SELECT 1 AS x), b AS (SELECT a.x FROM a, ({JOINED}) AS j) SELECT b.x FROM a, b, b AS c",
    ],
    ids=["nothing-named", "read-once", "no-join", "what-it-reads-is-read-elsewhere"],
)
def test_another_query_stays_whole(query: str) -> None:
    """Where nothing would be computed twice, or its parts cannot be told from the others."""
    found = parsed(query)
    assert take_apart(found, TABLE) is None
    assert found == parsed(query)
