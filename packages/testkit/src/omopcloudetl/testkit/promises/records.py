"""`record`: rows of metadata arrive as they are, in the transaction that is open."""

from __future__ import annotations

from datetime import datetime

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.connection import BaseConnection, RecordValue
from omopcloudetl.core.errors import DatabaseError
from omopcloudetl.testkit.bench import Bench
from omopcloudetl.testkit.outcome import ConformanceError, expect, expect_equal
from omopcloudetl.testkit.profile import Feature
from omopcloudetl.testkit.promises.promise import promises

TABLE = "work.kit records"
COLUMNS = {"run": "text", "step name": "text", "rows": "bigint", "at": "datetime"}
AWKWARD = """'); DROP TABLE "x"; -- é 😀 \\ \n %s %(x)s ? $1 :x {y} NULL"""
AT = datetime(2026, 11, 29, 23, 59, 59, 123456)  # noqa: DTZ001  # a time of the contract: UTC, without a zone
Record = list[RecordValue]


def values_arrive_as_they_are(bench: Bench) -> None:
    """Texts of any characters, whole numbers, times to the microsecond and None come back as they went in."""
    rows: list[Record] = [
        ["r", "s", 2**62, AT],
        [AWKWARD, "", -1, None],
        [None, "null", None, None],
        ["1", "2020-01-01", 0, datetime(1900, 1, 1)],  # noqa: DTZ001  # as above
    ]
    with bench.session() as connection:
        name = _table(bench, connection)
        connection.record(name, [*COLUMNS], rows)
        expect_equal(_rows(bench, connection), sorted(map(tuple, rows), key=repr), "recorded rows")


def rows_of_the_same_key_are_replaced(bench: Bench) -> None:
    """With `replacing`, rows that are equal in all of these columns go, and others stay."""
    first: list[Record] = [["1", "a", 1, None], ["1", "b", 1, None], ["2", "a", 1, None]]
    second: list[Record] = [["1", "a", 2, None], ["1", "c", 2, None]]
    with bench.session() as connection:
        name = _table(bench, connection)
        connection.record(name, [*COLUMNS], first)
        with connection.transaction():
            connection.record(name, [*COLUMNS], second, replacing=["run", "step name"])
        expected = sorted(map(tuple, first[1:] + second), key=repr)
        expect_equal(_rows(bench, connection), expected, "rows after replacing")


def some_thousand_rows_at_once(bench: Bench) -> None:
    """Thousands of rows are recorded by one call."""
    rows: list[Record] = [[str(number), "s", number, AT] for number in range(3000)]
    with bench.session() as connection:
        name = _table(bench, connection)
        connection.record(name, [*COLUMNS], rows)
        expect_equal(len(_rows(bench, connection)), 3000, "number of recorded rows")


def records_are_part_of_the_transaction(bench: Bench) -> None:
    """What is rolled back takes its records with it."""
    with bench.session() as connection:
        name = _table(bench, connection)
        try:
            with connection.transaction():
                connection.record(name, [*COLUMNS], [["1", "a", 1, None]])
                raise LookupError
        except LookupError:
            pass
        expect_equal(_rows(bench, connection), [], "records after a rollback")


def errors_quote_no_value(bench: Bench) -> None:
    """What goes wrong is told without the values: of a table that is not there, and of a column of another type."""
    with bench.session() as connection:
        *schema, _ = _table(bench, connection)
        rows: dict[str, Record] = {
            "nowhere": ["hunter2", "a", 1, None],
            "kit records": ["a", "hunter2", "hunter2", None],
        }
        for table, row in rows.items():
            try:
                connection.record([*schema, table], [*COLUMNS], [row])
            except DatabaseError as error:
                expect("hunter2" not in str(error), f"the error quotes a value: {error}")
                expect(str(error) != "", "the error says nothing")
            else:
                raise ConformanceError(f"no error, though the rows cannot be recorded into {table}")


def _table(bench: Bench, connection: BaseConnection) -> list[str]:
    bench.make_table(connection, TABLE, COLUMNS)
    return bench.physical(TABLE)


def _rows(bench: Bench, connection: BaseConnection) -> list[tuple[object, ...]]:
    return sorted(bench.rows(connection, TABLE, COLUMNS), key=repr)


PROMISES = promises(
    "records",
    (Feature.RECORDS,),
    values_arrive_as_they_are,
    rows_of_the_same_key_are_replaced,
    some_thousand_rows_at_once,
    errors_quote_no_value,
)
PROMISES += promises("records", (Feature.RECORDS, Capability.TRANSACTIONS), records_are_part_of_the_transaction)
