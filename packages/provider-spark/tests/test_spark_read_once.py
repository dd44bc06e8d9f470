"""A text that several columns are made of is read once a row, with the same rows as if each read it."""

from collections.abc import Sequence

from sqlglot import parse_one

from omopcloudetl.provider_spark.dialect import SparkGenerator
from omopcloudetl.provider_spark.engine import SparkConnection

GENERATOR = SparkGenerator()
ROWS = "SELECT '2020-02-29 10:30' AS a, '7' AS b UNION ALL SELECT 'never', 'x' UNION ALL SELECT NULL, '1'"
TEXTS = f"({ROWS}) AS t"
QUERIES: dict[str, tuple[str, int, Sequence[tuple[object, ...]]]] = {
    "types": (
        "SELECT {time} IS NULL, cast({time} AS date) IS NULL FROM {t} ORDER BY 1, 2",
        1,
        [(False, False), (True, True), (True, True)],
    ),
    "where": ("SELECT count(*) FROM {t} WHERE {int} > 0 AND {int} < 5", 1, [(1,)]),
    "aggregates": ("SELECT max({int}), min({int}) FROM {t} GROUP BY t.a IS NULL ORDER BY 1", 1, [(1, 1), (7, 7)]),
    "groups": ("SELECT t.b, {int} + {int} FROM {t} GROUP BY t.b ORDER BY 2", 2, [("1", 2), ("7", 14), ("x", None)]),
    "within a query of each row": (
        "SELECT u.k, (SELECT max({int}) + min({int}) FROM {t} WHERE t.b = u.k) FROM (SELECT '1' AS k) AS u",
        1,
        [("1", 2)],
    ),
    "a query in it": ("SELECT {query} + {query} FROM {t} LIMIT 1", 2, [(14,)]),
    "join": ("SELECT t.b FROM {t} JOIN (SELECT 1 AS one) AS u ON {int} = 1 AND {int} = u.one", 2, [("1",)]),
}


def test_a_text_is_read_once_a_row(calculator: SparkConnection) -> None:
    """However many columns name it; where a query beside the tables would change the rest, it is read in each place."""
    casts = {
        "time": "try_cast(t.a AS timestamp)",
        "int": "try_cast(t.b AS integer)",
        "query": "try_cast((SELECT max(u.b) FROM (SELECT '7' AS b) AS u) AS integer)",
    }
    for name, (sql, reads, rows) in QUERIES.items():
        found = GENERATOR.render(parse_one(sql.format(t=TEXTS, **casts), read="duckdb"), {})

        plain = r"RLIKE '^(?:[1-9]" if "{time}" in sql else "[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)[ "
        assert found.count(plain) == reads, name
        assert calculator.fetch(found) == list(rows), name
