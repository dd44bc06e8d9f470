"""Promises about types in expressions: what is refused fails in the engine, what runs there is accepted."""

from collections.abc import Iterator

import duckdb
import pytest
from sqlglot import exp, parse_one

from omopcloudetl.core.compiler.types import FIELDS, Family, TypeReader, family_of
from omopcloudetl.provider_duckdb.dialect import DuckDBGenerator

VALUES = {
    "text": "VARCHAR '5'",
    "integer": "CAST(5 AS INTEGER)",
    "number": "CAST(5 AS DOUBLE)",
    "boolean": "true",
    "date": "DATE '2020-01-01'",
    "timestamp": "TIMESTAMP '2020-01-01 10:00:00'",
    "time": "TIME '10:00:00'",
    "interval": "INTERVAL 1 DAY",
}
NAMES = tuple(VALUES)
SHAPES = (
    *(f"{{a}} {operator} {{b}}" for operator in ("<", ">=", "=", "<>", "+", "-", "*", "/", "//", "%")),
    "{a} IS DISTINCT FROM {b}",
    "{a} BETWEEN {b} AND {b}",
    "{a} IN ({b})",
    "coalesce({a}, {b})",
    "greatest({a}, {b})",
    "nullif({a}, {b})",
    "CASE WHEN 1 = 1 THEN {a} ELSE {b} END",
    "CASE {a} WHEN {b} THEN 1 END",
    "{a} || {b}",
    "concat({a}, {b})",
    "date_diff('day', {a}, {b})",
    "{a} LIKE {b}",
    "{a} AND {b}",
    "{a} OR {b}",
)
ALONE = (
    "-{a}",
    "NOT {a}",
    "extract(year FROM {a})",
    "year({a})",
    "month({a})",
    "day({a})",
    "quarter({a})",
    "dayofweek({a})",
    "date_trunc('month', {a})",
    "last_day({a})",
    "strftime({a}, '%Y')",
    "strptime({a}, '%d')",
    "upper({a})",
    "trim({a})",
    "substring({a}, 1, 2)",
    "length({a})",
    "abs({a})",
    "round({a})",
    "floor({a})",
    "md5({a})",
    "cast({a} AS INTEGER)",
    "cast({a} AS DOUBLE)",
    "cast({a} AS BOOLEAN)",
    "cast({a} AS DATE)",
    "cast({a} AS TIMESTAMP)",
    "cast({a} AS VARCHAR)",
    "cast({a} AS TIME)",
    "coalesce({a}, 'x')",
    "coalesce({a}, NULL)",
    "CASE WHEN {a} THEN 1 END",
    "if({a}, 1, 2)",
    "{a} IS NULL",
    "{a} > '2020-01-01'",
    "(SELECT max({a}))",
    "(SELECT avg({a}))",
    "(SELECT count({a}))",
    "max({a}) OVER ()",
)
EXPRESSIONS = [
    *(shape.format(a=f'"{a}"', b=f'"{b}"') for shape in SHAPES for a in NAMES for b in NAMES),
    *(shape.format(a=f'"{a}"') for shape in ALONE for a in NAMES),
    "text + 1",
    "date > 5",
    "date + 1",
    "date + INTERVAL 3 DAY",
    "integer > 5.5",
    "text IN ('a', 'b')",
    "date IN ('2020-01-01')",
    "[1, 2]",
    "{'a': 1}",
    "CASE WHEN boolean THEN 'x' END",
    "make_date(2020, 1, integer)",
    "current_date",
    "text = ANY(['5'])",
]


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """A table of one row with a column of each type."""
    with duckdb.connect() as connection:
        columns = ", ".join(f'{value} AS "{name}"' for name, value in VALUES.items())
        connection.execute(f"CREATE TABLE t AS SELECT {columns}")
        yield connection


def column(node: exp.Column) -> Family | None:
    """The families are named as the columns are."""
    return next((family for family in FIELDS["text"] if family == node.name), None)


def parsed(sql: str) -> exp.Expr:
    """An expression as the compiler reads it."""
    return parse_one(sql, read="duckdb", into=exp.Condition)


@pytest.mark.parametrize("sql", EXPRESSIONS)
def test_what_is_refused_fails_and_what_is_told_is_true(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    """A refused expression fails in the engine; of one that runs, the type that is told is the engine's."""
    tree = parsed(sql)
    reader = TypeReader(column)
    told = reader.family(tree)
    query = f"SELECT x, typeof(x) FROM (SELECT {tree.sql('duckdb', identify=True)} AS x FROM t)"
    if reader.problems:
        with pytest.raises(duckdb.Error):
            engine.execute(query).fetchall()
        return
    try:
        ((_, type_),) = engine.execute(query).fetchall()
    except duckdb.Error:
        return  # it may still be wrong: what cannot be told is left to the engine
    if told is not None and told != "number":
        assert told == family_of(exp.DataType.build(type_, dialect="duckdb"))
    elif told == "number":  # some functions of numbers keep whole ones
        assert family_of(exp.DataType.build(type_, dialect="duckdb")) in {"number", "integer"}


@pytest.mark.parametrize("field", ["integer", "bigint", "float", "date", "datetime", "varchar(50)"])
@pytest.mark.parametrize("family", NAMES)
def test_a_refused_field_would_always_be_empty(engine: duckdb.DuckDBPyConnection, family: str, field: str) -> None:
    """What cannot become a field is NULL there for every value; a boolean number is refused as a matter of taste."""
    type_ = DuckDBGenerator().data_type(field).sql("duckdb")
    ((value,),) = engine.execute(f'SELECT TRY_CAST("{family}" AS {type_}) FROM t').fetchall()
    if family not in FIELDS[field.partition("(")[0]]:
        assert value is None or family == "boolean"
    elif family != "text":
        assert value is not None


@pytest.mark.parametrize(
    "sql",
    [
        "text + integer",
        "text + 1",
        "date > 5",
        "boolean + 1",
        "extract(year FROM text)",
        "coalesce(date, 0)",
        "CASE WHEN boolean THEN date ELSE text END",
        "CASE WHEN date THEN 1 END",
        "NOT date",
        "upper(integer)",
        "date_diff('day', text, date)",
        "cast(date AS INTEGER)",
        "(SELECT max(1) WHERE date > 5)",
    ],
)
def test_common_mistakes_are_found(sql: str) -> None:
    """These are refused, each with what to do."""
    reader = TypeReader(column)
    reader.family(parsed(sql))
    (problem, *_) = reader.problems
    assert problem.help
    assert problem.message
