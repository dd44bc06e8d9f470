"""Numbers by buckets are those that a sort of all rows would give."""

import random
from collections.abc import Sequence

import pytest
from sqlglot import exp, parse_one

from omopcloudetl.provider_spark.dialect import SparkGenerator
from omopcloudetl.provider_spark.engine import SparkConnection

TEXTS = [
    None,
    "",
    "a",
    "ab",
    "abc",
    "abd",
    "b",
    "A",
    "é",
    "ß",
    "日本",
    "\U0001f600",
    "patient-1",
    "patient-10",
    "z" * 9,
]
NUMBERS = [None, -7, 0, 1, 15, 16, 255, 256, 70_000, 10**9, 2**62]
FEW = [None, 1, 2]
SAME = ["Synthea"]
Values = Sequence[object]
Order = list[tuple[str, Values]]
ORDERS: dict[str, Order] = {
    "rows of events": [("INT", FEW), ("BIGINT", NUMBERS), ("STRING", TEXTS)],
    "first part the same": [("STRING", SAME), ("STRING", TEXTS)],
    "texts": [("STRING", TEXTS), ("STRING", TEXTS)],
    "same beginning": [("STRING", ["patient-1", "patient-10", "patient-2"])],
    "nothing": [("BIGINT", [None]), ("STRING", [None])],
    "doubles first": [("DOUBLE", FEW), ("INT", FEW)],
}


def literal(value: object) -> str:
    """As SQL."""
    return "NULL" if value is None else repr(value)


def rank(row: Values) -> list[tuple[bool, object]]:
    """What a row is sorted by: bytes of texts, NULLs last."""
    return [(value is None, value.encode() if isinstance(value, str) else value or 0) for value in row]


@pytest.mark.parametrize("order", [pytest.param(order, id=name) for name, order in ORDERS.items()])
def test_numbers_have_no_gaps_and_follow_the_order(calculator: SparkConnection, order: Order) -> None:
    """Whatever the leading columns are, and however many rows there are."""
    chance = random.Random(len(order))
    columns = [f"c{number}" for number in range(len(order))]
    typed = ", ".join(f"CAST({name} AS {type_}) AS {name}" for name, (type_, _) in zip(columns, order, strict=True))
    for count in (1, 2, 40):
        rows = [tuple(chance.choice(values) for _, values in order) for _ in range(count)]
        values = ", ".join(f"({id_}, {', '.join(map(literal, row))})" for id_, row in enumerate(rows))
        query = parse_one(
            f"SELECT t.id FROM (SELECT id, {typed} FROM VALUES {values} AS v(id, {', '.join(columns)})) AS t",
            read="spark",
        )
        wanted = [exp.column(name, "t") for name in columns]
        for column, (type_, _) in zip(wanted, order, strict=True):
            column.type = type_
        assert isinstance(query, exp.Select)
        found = calculator.fetch(SparkGenerator().numbered(query, wanted, "n").sql("spark"))
        ids = [int(str(id_)) for _, id_ in sorted(found)]
        assert sorted(number for number, _ in found) == list(range(1, count + 1))
        assert [rank(rows[id_]) for id_ in ids] == sorted(map(rank, rows))


def test_no_window_is_over_all_rows() -> None:
    """The only window without a partition counts buckets; where types tell nothing, there is no other way."""
    query, column = parse_one("SELECT id FROM t", read="spark"), exp.column("id")
    column.type = "BIGINT"
    assert isinstance(query, exp.Select)
    windows = SparkGenerator().numbered(query.copy(), [column], "n").find_all(exp.Window)
    assert {window.this.sql("spark"): bool(window.args.get("partition_by")) for window in windows} == {
        "SUM(`row_count`)": False,
        "ROW_NUMBER()": True,
    }
    (window,) = SparkGenerator().numbered(query, [exp.column("id")], "n").find_all(exp.Window)
    assert not window.args.get("partition_by")
