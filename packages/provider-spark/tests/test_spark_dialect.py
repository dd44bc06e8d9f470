import hashlib
from datetime import date, datetime
from functools import partial

import pytest
from sqlglot import exp, parse_one
from sqlglot.errors import UnsupportedError

from omopcloudetl.provider_spark.dialect import SparkGenerator
from omopcloudetl.provider_spark.engine import SparkConnection

GENERATOR = SparkGenerator()
at = partial(datetime, tzinfo=None)  # times have no zone


def spelled(sql: str) -> str:
    """An author's expression as Spark is given it."""
    return GENERATOR.render(parse_one(sql, read="duckdb"), {})


VALUES = [
    ("date_diff('month', date '2020-01-31', date '2020-02-01')", 1),
    ("date_diff('year', date '2019-12-31', date '2020-01-01')", 1),
    ("date_diff('day', timestamp '2020-01-01 23:00:00', timestamp '2020-01-02 01:00:00')", 1),
    ("date '2020-01-31' + interval 1 month", date(2020, 2, 29)),
    ("1 / 0", None),
    ("7 / 2", 3.5),
    ("7 // 2", 3),
    ("5 % 0", None),
    ("round(2.345, 2)", 2.35),
    ("contains('abc', 'b')", True),
    ("regexp_extract('ab12', '[0-9]+')", "12"),
    ("regexp_extract('ab', '[0-9]+')", ""),
    ("regexp_full_match('ab', 'a|ab')", True),
    ("regexp_matches('xay', 'a')", True),
    (r"'a\b' like 'a\_'", True),
    (r"'ab' like 'a\b'", False),
    (r"'a\b' ilike 'A\' || '_'", True),
    (r"'a_' like 'a!_' escape '!'", True),
    ("'a' < 'B'", False),
    ("'é' > 'z'", True),
    (r"'it''s \ n'", r"it's \ n"),
]


def test_values_that_differ(calculator: SparkConnection) -> None:
    """What is easily otherwise on Spark is as DuckDB has it, or as the documentation says, in both of its modes."""
    query = exp.Select(expressions=[parse_one(sql, read="duckdb").as_(f"v{i}") for i, (sql, _) in enumerate(VALUES)])
    ((*found,),) = calculator.fetch(GENERATOR.render(query, {}))
    different = [(sql, value, wanted) for value, (sql, wanted) in zip(found, VALUES, strict=True) if value != wanted]
    assert not different


TEXTS: list[tuple[str, str, object]] = [
    ("integer", "12", 12),
    ("integer", " -12\t", -12),
    ("integer", "2.5", 3),
    ("integer", "-2.5", -3),
    ("integer", "1e3", 1000),
    ("integer", ".5", 1),
    ("integer", "2147483648", None),
    ("integer", "1_000", None),
    ("integer", "0x1F", None),
    ("integer", "", None),
    ("bigint", "9223372036854775807", 9223372036854775807),
    ("bigint", "9223372036854775808", None),
    ("double", "1.5d", None),
    ("double", "1e308", 1e308),
    ("double", "1e999", None),
    ("double", "NaN", None),
    ("double", "0x1p3", None),
    ("decimal(10, 2)", "2.345", 2.35),
    ("decimal(10, 2)", "123456789", None),
    ("date", "2020-02-29", date(2020, 2, 29)),
    ("date", "2020-02-30", None),
    ("date", "2020-1-2", date(2020, 1, 2)),
    ("date", "2020/1/2", date(2020, 1, 2)),
    ("date", "2020/1-2", None),
    ("date", " 2020-01-02T10:00:00Z", date(2020, 1, 2)),
    ("date", "2020-01-02Tx", None),
    ("date", "2020", None),
    ("date", "today", None),
    ("date", "0000-01-01", None),
    ("timestamp", "2020-01-02", at(2020, 1, 2)),
    ("timestamp", "2020-01-02 3:4", at(2020, 1, 2, 3, 4)),
    ("timestamp", "2020-01-02T03:04:05.1234567+02:00", at(2020, 1, 2, 3, 4, 5, 123456)),
    ("timestamp", "2020-01-02 16:24:00", at(2020, 1, 2, 16, 24)),
    ("timestamp", "2020-01-02 24:00:00", at(2020, 1, 3)),
    ("timestamp", "2020-01-02 24:01:00", None),
    ("timestamp", "03:04", None),
    ("boolean", "Yes", True),
    ("boolean", "0", False),
    ("boolean", "on", None),
]


def test_texts_are_read_by_our_rules(calculator: SparkConnection) -> None:
    """A text is a number, a date or a time by the same rules as on every engine, in both modes of Spark."""
    casts = [
        exp.alias_(exp.TryCast(this=exp.convert(text), to=exp.DataType.build(type_, dialect="duckdb")), f"v{i}")
        for i, (type_, text, _) in enumerate(TEXTS)
    ]
    ((*found,),) = calculator.fetch(GENERATOR.render(exp.Select(expressions=casts), {}))
    values = [
        float(value) if "decimal" in type_ and value else value for value, (type_, *_) in zip(found, TEXTS, strict=True)
    ]
    assert [case for case, value in zip(TEXTS, values, strict=True) if value != case[2]] == []


def test_times_in_formats(calculator: SparkConnection) -> None:
    """A text in a format is the time it says, NULL where there is no such day or the format is another."""
    for text, format_, wanted in [
        ("31.12.2020", "%d.%m.%Y", at(2020, 12, 31)),
        ("20201231 1015", "%Y%m%d %H%M", at(2020, 12, 31, 10, 15)),
        ("2020^12\\31", "%Y^%m\\%d", at(2020, 12, 31)),
        ("31.02.2020", "%d.%m.%Y", None),
        ("2020-12-31", "%d.%m.%Y", None),
    ]:
        tree = exp.Select(expressions=[GENERATOR.read_time(exp.convert(text), format_).as_("t")])
        assert calculator.fetch(GENERATOR.render(tree, {})) == [(wanted,)], text


def test_a_time_is_no_text_again_when_it_becomes_a_day() -> None:
    """A timestamp that was read from a text is cast to a date as what it is, and the text is read once."""
    assert spelled("try_cast(try_cast(a as timestamp) as date)").count("REGEXP_REPLACE(") == 2
    assert spelled("try_cast(try_cast(a as timestamp) as date)").endswith("AS DATE)")


def test_hashes_are_those_of_every_engine(calculator: SparkConnection) -> None:
    """An id is the first 63 bits of the MD5, also where the first bit is one."""
    for text in ("", "abc", "p|1", "é😀", "x" * 1000):
        tree = exp.Select(expressions=[exp.alias_(GENERATOR.hash_id(exp.convert(text)), "id")])
        expected = int.from_bytes(hashlib.md5(text.encode()).digest()[:8], "big") >> 1
        assert calculator.fetch(GENERATOR.render(tree, {})) == [(expected,)]


@pytest.mark.parametrize("sql", ["try_cast(a as uuid)", "any_value(a)", "date_diff('hour', a, b)"])
def test_what_has_no_words_is_refused(sql: str) -> None:
    """What Spark would do in another sense, or not on each of its engines, is an error when it is compiled."""
    with pytest.raises(UnsupportedError):
        spelled(sql)


def test_tables_are_of_the_targets_format() -> None:
    """Tables are made in the format and at the place that the target names, their rows replaced in one statement."""
    generator = SparkGenerator("iceberg", "s3://lake/omop/")
    table, query = exp.to_table("cdm.person"), parse_one("SELECT 1 AS a")
    assert isinstance(query, exp.Query)
    made = [generator.create_schema("lake.cdm"), *generator.create_table_as(table, query)]
    made += generator.write_full(table, ["a"], query)
    assert [" ".join(generator.render(tree, {}).split()) for tree in made] == [
        "CREATE SCHEMA IF NOT EXISTS `lake`.`cdm` LOCATION 's3://lake/omop/cdm'",
        "CREATE OR REPLACE TABLE `cdm`.`person` USING ICEBERG AS SELECT 1 AS `a`",
        "INSERT OVERWRITE TABLE `cdm`.`person` ( `a` ) SELECT 1 AS `a`",
    ]
