from collections.abc import Sequence

import pytest
from sqlglot import parse_one

from omopcloudetl.provider_postgres.dialect import PostgresGenerator
from omopcloudetl.provider_postgres.engine import PostgresConnection

GENERATOR = PostgresGenerator()
TEXTS = "(VALUES ('2020-02-29 10:30', '7'), ('never', 'x'), (NULL, '1')) AS t(a, b)"


def spelled(sql: str) -> str:
    """A query as PostgreSQL is given it."""
    return GENERATOR.render(parse_one(sql, read="duckdb"), {})


@pytest.mark.parametrize(
    ("sql", "reads", "rows"),
    [
        (
            "SELECT {time} IS NULL, cast({time} AS date) IS NULL FROM {t}",
            1,
            [(False, False), (True, True), (True, True)],
        ),
        ("SELECT x.n + x.n FROM (SELECT coalesce({int}, -{int}) AS n FROM {t}) AS x", 1, [(14,), (None,), (2,)]),
        ("SELECT count(*) FROM {t} WHERE {int} > 0 AND {int} < 5", 1, [(1,)]),
        ("SELECT max({int}), min({int}) FROM {t} GROUP BY t.a IS NULL ORDER BY 1", 1, [(1, 1), (7, 7)]),
        ("SELECT t.b, {int} + {int} FROM {t} GROUP BY t.b ORDER BY t.b", 2, [("1", 2), ("7", 14), ("x", None)]),
        ("SELECT sum(max({int})) OVER (), max({int} + {int}) FROM {t} GROUP BY t.b LIMIT 1", 2, [(8, 2)]),
        ("SELECT t.b, sum({int} + {int}) OVER () FROM {t} GROUP BY t.b ORDER BY 1 LIMIT 1", 2, [("1", 16)]),
        ("SELECT *, {int} + {int} AS n FROM {t} WHERE t.a IS NULL", 2, [(None, "1", 2)]),
        ("SELECT t.b FROM {t} JOIN (SELECT 1 AS one) AS u ON {int} = 1 AND {int} = u.one", 2, [("1",)]),
    ],
    ids=["types", "merged", "where", "aggregates", "groups", "windows", "window-of-groups", "star", "join"],
)
def test_a_text_is_read_once_a_row(
    db: PostgresConnection, sql: str, reads: int, rows: Sequence[tuple[object, ...]]
) -> None:
    """However many columns name it; where a query beside the tables would change the rest, it is read in each place."""
    casts = {"time": "try_cast(t.a AS timestamp)", "int": "try_cast(t.b AS integer)"}
    found = spelled(sql.format(t=TEXTS, **casts))

    assert found.count(" ~ ") == reads
    assert db.fetch(found) == list(rows)


@pytest.mark.parametrize(
    "value",
    [
        "coalesce({}, NULL, '2001-01-01')",
        "CASE WHEN t.b = '1' THEN {} END",
        "greatest({}, timestamp '2000-01-01')",
        "max({})",
    ],
)
def test_what_is_a_time_is_not_read_as_one(value: str) -> None:
    """The type of a choice is that of its parts: no text is made of it, to be read again."""
    time = value.format("CAST(t.a AS timestamp)")
    assert " ~ " not in spelled(f"SELECT try_cast({time} AS timestamp) FROM {TEXTS}")


def test_days_and_numbers_are_not_read_as_numbers() -> None:
    """Neither are sums of numbers, nor the days between two dates."""
    for value in ("CAST(t.a AS double) - CAST(t.b AS double) * 2", "CAST(t.a AS date) - CAST(t.b AS date) + 1"):
        assert " ~ " not in spelled(f"SELECT try_cast({value} AS double) FROM {TEXTS}")


def test_a_query_within_is_asked_once(db: PostgresConnection) -> None:
    """Several columns of the same query read its tables once; one that is of the row is asked for each."""
    of_row = "(SELECT max(u.v) FROM (VALUES ('1'), ('5')) AS u(v) WHERE u.v <= t.b)"
    read = f"try_cast({of_row} AS integer)"
    found = spelled(f"SELECT {read} AS one, {read} + 1 AS two FROM {TEXTS} ORDER BY t.b")

    assert found.lower().count("max(") == 1
    assert db.fetch(found) == [(1, 2), (5, 6), (5, 6)]


def test_an_alias_of_the_author_is_left_alone(db: PostgresConnection) -> None:
    """A table that is called as the query beside it would be is another."""
    sql = f"SELECT try_cast(read.b AS integer) * try_cast(read.b AS integer) FROM {TEXTS.replace('AS t(', 'AS read(')}"
    assert db.fetch(spelled(sql)) == [(49,), (None,), (1,)]
