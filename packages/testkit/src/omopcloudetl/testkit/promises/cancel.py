"""`cancel`: another thread ends what runs, and nothing that begins later."""

from __future__ import annotations

import threading
import time

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import DatabaseError
from omopcloudetl.testkit.bench import NUMBERS, Bench
from omopcloudetl.testkit.outcome import ConformanceError, expect, expect_equal
from omopcloudetl.testkit.profile import Feature
from omopcloudetl.testkit.promises.promise import promises

ROWS, TABLES = 300, 6
"""A cross join of so many tables of so many rows runs for years."""
SECONDS = 15
"""How long a statement may go on after it was told to end."""


def a_long_statement_is_ended(bench: Bench) -> None:
    """A statement that would run for years ends soon after `cancel`, and the session goes on."""
    with bench.session() as connection:
        _refuse_default(connection)
        bench.make_table(connection, NUMBERS, {"n": "bigint"})
        bench.add_rows(connection, NUMBERS, {"n": "bigint"}, "n\n" + "".join(f"{n}\n" for n in range(ROWS)))
        ended = _Ended()
        thread = threading.Thread(target=ended.run, args=(connection, _endless(bench)), daemon=True)
        thread.start()
        time.sleep(0.3)
        cancelled = time.monotonic()
        while thread.is_alive() and time.monotonic() - cancelled < SECONDS:
            connection.cancel()
            thread.join(0.3)
        if thread.is_alive():
            raise ConformanceError(f"the statement goes on {SECONDS} seconds after `cancel`")
        expect(isinstance(ended.error, DatabaseError), f"the statement ended with {ended.error!r}")
        expect_equal(len(bench.read_numbers(connection)), ROWS, "rows that the session reads after it")


def nothing_that_begins_later(bench: Bench) -> None:
    """`cancel` of a session that does nothing is no error, and does not end the next statement."""
    with bench.session() as connection:
        _refuse_default(connection)
        numbers = bench.numbers(connection, 1)
        connection.cancel()
        connection.cancel()
        expect_equal(numbers(), [1], "rows that are read after `cancel`")
        connection.execute(bench.insert_number(2))
        expect_equal(numbers(), [1, 2], "rows that are written after `cancel`")


class _Ended:
    """How a statement ended in another thread."""

    error: BaseException | None = None

    def run(self, connection: BaseConnection, sql: str) -> None:
        try:
            connection.execute(sql)
        except BaseException as error:  # noqa: BLE001  # it is looked at in the test's own thread
            self.error = error


def _endless(bench: Bench) -> str:
    """A statement that adds the number of rows of a join to the table, and would take years to count them."""
    names = [f"t{number}" for number in range(TABLES)]
    query = exp.select(exp.Count(this=exp.Star())).from_(trees.table(NUMBERS, names[0]))
    for name in names[1:]:
        query = query.join(trees.table(NUMBERS, name), join_type="CROSS")
    total: exp.Expr = trees.column("n", names[0])
    for name in names[1:]:
        total = exp.Add(this=total, expression=trees.column("n", name))
    even = exp.EQ(this=exp.Mod(this=exp.Paren(this=total), expression=exp.convert(7)), expression=exp.convert(3))
    return bench.render(exp.Insert(this=trees.table(NUMBERS), expression=query.where(even)))


def _refuse_default(connection: BaseConnection) -> None:
    if type(connection).cancel is BaseConnection.cancel:
        raise ConformanceError("the connection has no `cancel`")


PROMISES = promises("cancel", (Feature.CANCEL,), a_long_statement_is_ended, nothing_that_begins_later)
