"""What columns of queries are made of."""

import pytest
from sqlglot import parse_one

from omopcloudetl.openlineage.column_inputs import Made, Reader

COLUMNS = {"t": ("a", "b", "c"), "u": ("a", "d")}


def read(sql: str) -> Made:
    """Read a query over the tables t (a, b, c), u (a, d) and v, whose columns nobody knows."""
    reader = Reader(lambda table, column: {(table, column): frozenset({"IDENTITY"})}, COLUMNS.get)
    return reader.query(parse_one(sql, read="duckdb"), {})


def told(made: Made, column: str) -> str:
    """The inputs of a column as a text: `t.a IDENTITY, u.d JOIN`."""
    inputs = made.columns[column]
    assert inputs is not None
    return ", ".join(f"{t}.{c} {'+'.join(sorted(uses))}" for (t, c), uses in sorted(inputs.items()))


CASES = {
    "identity": ("SELECT x.a AS r FROM t AS x", "t.a IDENTITY"),
    "without alias": ("SELECT a AS r FROM t", "t.a IDENTITY"),
    "case of names": ("SELECT X.A AS R FROM T AS x", "t.a IDENTITY"),
    "constant": ("SELECT 1 AS r FROM t", ""),
    "expression": ("SELECT CAST(a AS INT) + b AS r FROM t", "t.a TRANSFORMATION, t.b TRANSFORMATION"),
    "aggregation": ("SELECT MAX(a + 1) AS r FROM t", "t.a AGGREGATION"),
    "count": ("SELECT COUNT(*) AS r FROM t", ""),
    "count of a table": ("SELECT COUNT(t.*) AS r FROM t", ""),
    "case": ("SELECT CASE WHEN a > 1 THEN b ELSE 0 END AS r FROM t", "t.a CONDITIONAL, t.b TRANSFORMATION"),
    "map": ("SELECT CASE a WHEN 'm' THEN 1 END AS r FROM t", "t.a CONDITIONAL"),
    "window": (
        "SELECT SUM(a) OVER (PARTITION BY b ORDER BY c) AS r FROM t",
        "t.a AGGREGATION, t.b WINDOW, t.c WINDOW",
    ),
    "number": ("SELECT ROW_NUMBER() OVER (ORDER BY a) AS r FROM t", "t.a WINDOW"),
    "filtered aggregate": ("SELECT SUM(a) FILTER (WHERE b > 0) AS r FROM t", "t.a AGGREGATION, t.b CONDITIONAL"),
    "exists": ("SELECT EXISTS (SELECT 1 FROM u WHERE u.a = t.b) AS r FROM t", "t.b CONDITIONAL, u.a CONDITIONAL"),
    "subquery": ("SELECT x.y AS r FROM (SELECT a + 1 AS y FROM t) AS x", "t.a TRANSFORMATION"),
    "condition on a sum": (
        "SELECT CASE WHEN x.y > 1 THEN 1 END AS r FROM (SELECT SUM(a) AS y FROM t) x",
        "t.a CONDITIONAL",
    ),
    "cte": ("WITH x AS (SELECT a AS y FROM t) SELECT y AS r FROM x", "t.a IDENTITY"),
    "cte with names": ("WITH x (y) AS (SELECT a FROM t) SELECT y AS r FROM x", "t.a IDENTITY"),
    "subquery with names": ("SELECT x.y AS r FROM (SELECT a FROM t) AS x (y)", "t.a IDENTITY"),
    "recursive cte": (
        "WITH RECURSIVE x AS (SELECT a AS y FROM t UNION ALL SELECT x.y + u.d FROM x, u) SELECT y AS r FROM x",
        "t.a IDENTITY+TRANSFORMATION, u.d TRANSFORMATION",
    ),
    "union by place": ("SELECT a AS r FROM t UNION ALL SELECT d FROM u", "t.a IDENTITY, u.d IDENTITY"),
    "union without names": (
        "SELECT x.r AS r FROM (SELECT b AS z, a AS r FROM t UNION ALL SELECT NULL, NULL) AS x",
        "t.a IDENTITY",
    ),
    "lookup": ("SELECT u.d AS r FROM t LEFT JOIN u ON u.a = t.b", "t.b JOIN, u.d IDENTITY"),
    "lookup of a lookup": (
        "SELECT v.e AS r FROM t JOIN u ON u.a = t.b JOIN v ON v.k = u.d",
        "t.b JOIN, u.d JOIN, v.e IDENTITY",
    ),
    "using": ("SELECT d AS r FROM t JOIN u USING (a)", "t.a JOIN, u.d IDENTITY"),
    "scalar": ("SELECT (SELECT MAX(d) FROM u) + a AS r FROM t", "t.a TRANSFORMATION, u.d AGGREGATION"),
    "correlated": (
        "SELECT (SELECT MAX(u.d) FROM u WHERE u.a = t.b) AS r FROM t",
        "t.b FILTER, u.a FILTER, u.d AGGREGATION",
    ),
    "the one table that may have it": ("SELECT e AS r FROM v", "v.e IDENTITY"),
    "values": ("SELECT x.y AS r FROM (VALUES (1), (2)) AS x (y)", ""),
    "unnest": ("SELECT x.y AS r FROM t, UNNEST(t.a) AS x (y)", "t.a TRANSFORMATION"),
    "alias of before": ("SELECT a + 1 AS n, n * 2 AS r FROM t", "t.a TRANSFORMATION"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_column_is_made_of_what_the_query_says(case: str) -> None:
    """Each way to make a column gives the columns it is made of, and how they are used."""
    sql, expected = CASES[case]
    assert told(read(sql), "r") == expected


def test_rows_are_decided_by_filters_joins_and_groups() -> None:
    """What decides which rows there are is told apart from what columns are made of, also of subqueries."""
    made = read(
        "SELECT x.a FROM (SELECT a, b FROM t WHERE c = 1) AS x JOIN u ON u.a = x.b "
        "WHERE x.a IN (SELECT e FROM v) GROUP BY x.a HAVING COUNT(u.d) > 1"
    )
    assert {f"{t}.{c}": sorted(uses) for (t, c), uses in made.rows.items()} == {
        "t.c": ["FILTER"],
        "u.a": ["JOIN"],
        "t.b": ["FILTER", "JOIN"],  # by it the rows of u are found
        "t.a": ["FILTER", "GROUP_BY"],
        "v.e": ["FILTER"],
        "u.d": ["FILTER"],
    }


def test_a_star_is_every_column_that_is_known() -> None:
    """`*` and `x.*` are the columns of their tables, without those that are left out, with those replaced."""
    made = read("SELECT x.* EXCLUDE (b), u.d FROM t AS x JOIN u ON TRUE")
    assert (list(made.columns), made.complete) == (["a", "c", "d"], True)
    assert told(read("SELECT * REPLACE (b + 1 AS a) FROM t"), "a") == "t.b TRANSFORMATION"


def test_a_star_over_an_unknown_table_is_said_to_be_unknown() -> None:
    """Columns that nobody knows are not invented, and those that are named are still told."""
    made = read("SELECT t.a, v.* FROM t JOIN v ON TRUE")
    assert (list(made.columns), made.complete) == (["a"], False)


def test_a_column_that_no_source_has_is_unknown() -> None:
    """A column whose table cannot be told is None, and others are told all the same."""
    made = read("SELECT nothing + 1 AS r, t.a AS s FROM t JOIN u ON TRUE")
    assert made.columns["r"] is None
    assert told(made, "s") == "t.a IDENTITY"
    inner = read("SELECT (SELECT nothing FROM t JOIN u ON TRUE) AS r FROM t")
    assert inner.columns["r"] is None


def test_types_are_those_of_casts() -> None:
    """The type of a column is what it is cast to, also where a query around it only takes it."""
    made = read("SELECT x.*, x.r AS s FROM (SELECT CAST(a AS DATE) AS r, b FROM t) AS x")
    assert {name: type_.sql() for name, type_ in made.types.items()} == {"r": "DATE", "s": "DATE"}
