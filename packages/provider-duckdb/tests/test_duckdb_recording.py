"""Promises of `record`: rows of metadata arrive as they are, in the caller's transaction, beside other sessions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import pytest

from omopcloudetl.core.connection import RecordValue
from omopcloudetl.core.errors import StatementError
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

Open = Callable[..., DuckDBConnection]
Rows = list[list[RecordValue]]

TABLE = ("work place", 'etl "step"')
COLUMNS = ["run", "step", "rows written", "at"]
AWKWARD = """'); DROP TABLE "x"; -- é \\ \n {"a": [1]} %s ? $1 NULL"""
AT = datetime(2026, 11, 29, 23, 59, 59, 123456)  # noqa: DTZ001  # a time of the contract: UTC, without a zone
ALL = 'SELECT * FROM "work place"."etl ""step""" ORDER BY ALL'


@pytest.fixture
def made(db: DuckDBConnection) -> DuckDBConnection:
    """An open connection to a database with the table."""
    db.execute('CREATE SCHEMA "work place"')
    columns = '"run" VARCHAR, "step" VARCHAR, "rows written" BIGINT, "at" TIMESTAMP'
    db.execute(f'CREATE TABLE "work place"."etl ""step""" ({columns})')
    return db


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(["r", "s", 2**62, AT], id="plain"),
        pytest.param([AWKWARD, "", -1, None], id="awkward"),
        pytest.param([None, "null", None, None], id="nothing"),
    ],
)
def test_a_row_arrives_as_it_is(made: DuckDBConnection, row: list[RecordValue]) -> None:
    """Whatever a value holds, it is a value and never a part of the statement."""
    made.record(TABLE, COLUMNS, [row])
    assert made.fetch(ALL) == [tuple(row)]


def test_rows_replace_those_of_their_key(made: DuckDBConnection) -> None:
    """Rows that are equal in all the named columns go; others stay."""
    made.record(TABLE, COLUMNS, [["1", "a", 1, None], ["1", "b", 1, None], ["2", "a", 1, None]])
    made.record(TABLE, COLUMNS, [["1", "a", 2, None], ["1", "c", 2, None]], replacing=["run", "step"])
    assert [row[:3] for row in made.fetch(ALL)] == [("1", "a", 2), ("1", "b", 1), ("1", "c", 2), ("2", "a", 1)]


def test_rows_are_part_of_the_transaction_around_them(made: DuckDBConnection) -> None:
    """What is rolled back takes its row with it."""

    def fail_in_a_transaction() -> None:
        with made.transaction():
            made.record(TABLE, COLUMNS, [["1", "a", 1, None]])
            made.execute("SELECT * FROM nowhere")

    with pytest.raises(StatementError):
        fail_in_a_transaction()
    assert made.fetch(ALL) == []


def test_an_error_does_not_quote_the_values(made: DuckDBConnection) -> None:
    """The statement in the error's text has a mark in their place."""
    with pytest.raises(StatementError, match="nowhere") as caught:
        made.record(("nowhere",), COLUMNS, [["hunter2", "a", 1, None]])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("value", ["hunter2", 'it\'s "hunter2"', "hunter2\nLINE 1"])
@pytest.mark.parametrize("rows", [1, 100])
def test_an_error_about_a_value_does_not_quote_it(made: DuckDBConnection, value: str, rows: int) -> None:
    """A text that its column cannot hold is told without the text."""
    with pytest.raises(StatementError, match="Conversion Error") as caught:
        made.record(TABLE, COLUMNS, [["r", "s", value, None]] * rows)
    assert "hunter2" not in str(caught.value)


def test_sessions_that_write_at_the_same_time_do_not_disturb_each_other(
    made: DuckDBConnection, open_database: Open
) -> None:
    """Transactions that overlap insert and replace rows of their own; none conflicts, and none is lost."""
    made.record(TABLE, COLUMNS, [[str(session), str(n), 0, None] for session in range(4) for n in range(20)])
    sessions = [open_database() for _ in range(4)]
    together = threading.Barrier(4, timeout=60)
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(20):
                with sessions[number].transaction():
                    row: list[RecordValue] = [str(number), str(n), 1, AT]
                    sessions[number].record(TABLE, COLUMNS, [row], replacing=["run", "step"])
                    sessions[number].record(TABLE, COLUMNS, [[f"new {number}", str(n), 1, AT]])
                    together.wait()  # every one has written, none has committed
        except BaseException as error:  # noqa: BLE001  # told in the test's own thread
            failed.append(error)
            together.abort()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [row[2] for row in made.fetch(ALL)] == [1] * 160


def test_thousands_of_rows_are_one_statement(made: DuckDBConnection) -> None:
    """A run that passes over a large plan does not wait for its rows."""
    rows: Rows = [["run", f"step_{n}", n, AT] for n in range(20_000)]
    made.record(TABLE, COLUMNS, rows)
    assert made.fetch('SELECT COUNT(*), SUM("rows written") FROM "work place"."etl ""step"""') == [
        (20_000, sum(range(20_000)))
    ]
