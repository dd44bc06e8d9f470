import hashlib

import pytest
from sqlglot import exp, parse_one
from sqlglot.errors import UnsupportedError

from omopcloudetl.provider_postgres.dialect import PostgresGenerator
from omopcloudetl.provider_postgres.engine import PostgresConnection

GENERATOR = PostgresGenerator()


def spelled(sql: str) -> str:
    """An author's expression in one line, as PostgreSQL is given it."""
    return " ".join(GENERATOR.render(parse_one(sql, read="duckdb"), {}).split())


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a + interval (n) day", """ "a" + ( "n" * INTERVAL '1 DAY' )"""),
        ("a + interval 60 day", """ "a" + INTERVAL '60 DAY'"""),
        ("date_diff('month', date '2020-01-31', date '2020-02-01')", None),
        ("make_date(y, 1, 2)", """ MAKE_DATE(CAST("y" AS INT), CAST(1 AS INT), CAST(2 AS INT))"""),
        ("a / b", """ CAST("a" AS DOUBLE PRECISION) / NULLIF("b", 0)"""),
        ("round(a, 2)", """ CAST(ROUND(CAST(CAST("a" AS TEXT) AS DECIMAL), 2) AS DOUBLE PRECISION)"""),
        ("upper(a)", """ UPPER("a" COLLATE "default") COLLATE "C" """),
        ("regexp_full_match(a, 'x|y')", """ "a" ~ '^(?:x|y)$'"""),
        ("a between 1 and 2", """ "a" BETWEEN 1 AND 2"""),
    ],
)
def test_words_that_differ(sql: str, expected: str | None) -> None:
    """Arithmetic of dates, division, rounding, letters and patterns are spelled as they are meant."""
    found = spelled(sql)
    assert expected is None or found == expected.strip()


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("date_diff('month', date '2020-01-31', date '2020-02-01')", 1),
        ("date_diff('year', date '2019-12-31', date '2020-01-01')", 1),
        ("date_diff('day', timestamp '2020-01-01 23:00:00', timestamp '2020-01-02 01:00:00')", 1),
        ("1 / 0", None),
        ("round(2.345, 2)", 2.35),
        ("upper('aé')", "AÉ"),
        ("contains('abc', 'b')", True),
        ("regexp_extract('ab12', '[0-9]+')", "12"),
        ("regexp_extract('ab', '[0-9]+')", ""),
        ("'a' < 'B'", False),
        ("try_cast('2.5' as integer)", 3),
        ("try_cast('today' as date)", None),
        ("try_cast('2020-02-29T23:59:59.9999999Z' as timestamp) < timestamp '2020-03-01 00:00:00'", True),
    ],
)
def test_values_that_differ(db: PostgresConnection, sql: str, value: object) -> None:
    """What is easily otherwise on PostgreSQL is as DuckDB has it, or as the documentation says."""
    assert db.fetch(f"SELECT {spelled(sql)}") == [(value,)]


SAME = [
    (r"'a_b' like 'a\_b'", False),
    (r"'a\_b' like 'a\_b'", True),
    (r"'a\b' ilike 'A\B'", True),
    ("'a_b' like 'a!_b' escape '!'", True),
    ("substr('abcde', -2)", "de"),
    ("substr('abcde', 1 - 4, 2)", "cd"),
    ("substr('abcde', 2, 2)", "bc"),
    ("round(cast('1234567890123456' as double) + 0.25, 1)", 1234567890123456.3),
    ("'B' between 'a' and 'c'", False),
    ("greatest('a', 'B')", "a"),
    ("regexp_matches('a' || chr(10) || 'b', 'a.b')", False),
    ("regexp_matches('a' || chr(10) || 'b', '(?s)a.b')", True),
    ("regexp_full_match('AB.', '(?i)a[b.]\\.')", True),
    (r"regexp_matches('x cd', '\bcd')", True),
    (r"regexp_replace('abc', '[A-B]', '<\0>', 'gi')", "<a><b>c"),
    ("strftime(date '2020-03-04', 'day %-d, Q %m, %Y')", "day 4, Q 03, 2020"),
    ("strftime(timestamp '2020-03-04 15:00:00', '%I:%M %p')", "03:00 PM"),
    ("extract(second from timestamp '2020-03-04 15:00:01.9')", 1),
    ("try_cast(5 / 2 as integer)", 2),
    ("try_cast('abc' as integer)", None),
]


def test_words_that_both_have_mean_the_same(db: PostgresConnection) -> None:
    """Patterns, places in texts, formats and rounding are as DuckDB has them, although PostgreSQL has its own."""
    found = [(sql, db.fetch(f"SELECT {spelled(sql)}")[0][0]) for sql, _ in SAME]
    assert found == SAME


@pytest.mark.parametrize("type_", ["timestamp", "integer", "double", "boolean"])
def test_a_query_whose_value_is_cast_is_asked_once(db: PostgresConnection, type_: str) -> None:
    """A cast of a text is spelled with that text several times; each time the query would run again."""
    found = spelled(f"try_cast(coalesce((select max(v) from (values ('1')) as t(v)), 'x') as {type_})")
    plain = spelled(f"try_cast('1' as {type_})")
    assert found.lower().count("max(") == 1
    assert db.fetch(f"SELECT {found}") == db.fetch(f"SELECT {plain}")


def test_a_cast_that_stands_in_two_places_is_guarded_in_both() -> None:
    """The compiler may use one node twice; a rewriting of the node in place would reach one of them."""
    cast = parse_one("try_cast(a as double)", read="duckdb")
    query = parse_one("select 1 as x, 2 as y from t")
    for alias in query.expressions:
        alias.set("this", cast)
    assert GENERATOR.render(query, {}).count(" ~ ") == 2


def test_hash_ids_are_the_first_63_bits_of_md5(db: PostgresConnection) -> None:
    """An id is the same on every engine, and never negative."""
    for text in ("a", "é|~N", "", "x" * 1000):
        sql = GENERATOR.render(GENERATOR.hash_id(exp.convert(text)), {})
        expected = int.from_bytes(hashlib.md5(text.encode()).digest()[:8], "big") >> 1
        assert db.fetch(f"SELECT {sql}") == [(expected,)]


def test_a_name_that_the_server_would_cut_off_is_refused() -> None:
    """Two names that differ in their ends only would be one."""
    GENERATOR.render(exp.to_table("é" * 31, quoted=True), {})
    with pytest.raises(UnsupportedError, match="more than 63 bytes"):
        GENERATOR.render(exp.to_table("é" * 32, quoted=True), {})


def test_columns_that_are_made_are_in_the_order_of_code_points(db: PostgresConnection) -> None:
    """A text that no column gives its collation, in a table made of a query, is sorted by code point nevertheless."""
    query = parse_one("SELECT 'a' AS word, CAST(1 AS VARCHAR) AS number UNION ALL SELECT 'B', '2'", read="duckdb")
    assert isinstance(query, exp.Query)
    for tree in GENERATOR.create_table_as(exp.to_table("public.t", quoted=True), query):
        db.execute(GENERATOR.render(tree, {}))

    assert db.fetch("SELECT word FROM public.t ORDER BY word") == [("B",), ("a",)]
    assert db.fetch("SELECT number FROM public.t ORDER BY number DESC") == [("2",), ("1",)]
    own = parse_one("CREATE TABLE public.own (word VARCHAR(9) NOT NULL)", read="duckdb")
    db.execute(GENERATOR.render(own, {}))
    db.execute("INSERT INTO public.own SELECT word FROM public.t")
    assert db.fetch("SELECT word FROM public.own ORDER BY word") == [("B",), ("a",)]


@pytest.mark.parametrize(
    "sql",
    [
        "any_value(a)",
        "try_cast(a as time)",
        "strptime(a, '%d %b')",
        "strptime(a, b)",
        "strftime(a, '%U')",
        "strftime(a, b)",
        "a similar to 'x'",
        "format('{}', a)",
        "regexp_matches(a, '\\pL')",
        "regexp_matches(a, 'a(?i)b')",
        "regexp_matches(a, b, 'i')",
    ],
)
def test_what_has_no_words_is_refused(sql: str) -> None:
    """Nothing is spelled in another sense."""
    with pytest.raises(UnsupportedError):
        spelled(sql)
