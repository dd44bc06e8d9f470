"""Transactions: all of it, or nothing."""

from __future__ import annotations

from contextlib import suppress

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.errors import StatementError
from omopcloudetl.testkit.bench import Bench
from omopcloudetl.testkit.outcome import ConformanceError, expect_equal
from omopcloudetl.testkit.promises.promise import promises


class _Stopped(Exception):  # noqa: N818  # no error of anybody: it ends a block
    """Raised within a transaction."""


def rollback_leaves_nothing(bench: Bench) -> None:
    """A block that raises leaves every table as it was, and its exception comes out."""
    with bench.session() as connection:
        numbers = bench.numbers(connection, 1)
        try:
            with connection.transaction():
                connection.execute(bench.insert_number(2))
                raise _Stopped
        except _Stopped:
            pass
        else:
            raise ConformanceError("the exception of the block did not come out")
        expect_equal(numbers(), [1], "rows after a rollback")


def a_failed_statement_rolls_back(bench: Bench) -> None:
    """A statement that fails takes those before it back, and the session goes on."""
    with bench.session() as connection:
        numbers = bench.numbers(connection, 1)
        with suppress(StatementError), connection.transaction():
            connection.execute(bench.insert_number(2))
            connection.execute("SELECT no_such_column FROM no_such_table")
        expect_equal(numbers(), [1], "rows after a statement that failed")
        connection.execute(bench.insert_number(3))
        expect_equal(numbers(), [1, 3], "rows of the statement after it")


def a_commit_is_seen_by_others(bench: Bench) -> None:
    """What a block wrote is there for the next session."""
    with bench.session() as connection:
        bench.numbers(connection, 1)
        with connection.transaction():
            connection.execute(bench.insert_number(2))
    with bench.session() as connection:
        expect_equal(bench.read_numbers(connection), [1, 2], "rows that the next session sees")


PROMISES = promises(
    "transactions",
    (Capability.TRANSACTIONS,),
    rollback_leaves_nothing,
    a_failed_statement_rolls_back,
)
# Whatever a block is, its end is the last moment at which others see its rows.
PROMISES += promises("transactions", (), a_commit_is_seen_by_others)
