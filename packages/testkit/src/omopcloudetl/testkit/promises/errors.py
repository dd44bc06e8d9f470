"""Errors: what the engine refuses is a `DatabaseError`, in its own words."""

from __future__ import annotations

import pickle

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import DatabaseError, StatementError
from omopcloudetl.testkit.bench import Bench
from omopcloudetl.testkit.outcome import ConformanceError, expect, expect_equal
from omopcloudetl.testkit.profile import Feature
from omopcloudetl.testkit.promises.promise import promises

WRONG = "SELECT 1 FROM kit_table_that_is_not_there"


def the_engine_says_what_is_wrong(bench: Bench) -> None:
    """A table that is not there is a `StatementError` with its name; wrong syntax is one, too."""
    with bench.session() as connection:
        expect("kit_table_that_is_not_there" in str(_error(connection, WRONG)), "the error does not name the table")
        _error(connection, "SELEC 1")
        try:
            connection.fetch(WRONG)
        except StatementError as error:
            expect("kit_table_that_is_not_there" in str(error), f"the error does not name the table: {error}")
        else:
            raise ConformanceError("`fetch` of a table that is not there raises nothing")


def the_session_goes_on(bench: Bench) -> None:
    """After a statement that fails the session works as before."""
    with bench.session() as connection:
        numbers = bench.numbers(connection, 1)
        _error(connection, WRONG)
        expect_equal(numbers(), [1], "rows that are read after an error")


def errors_can_be_sent(bench: Bench) -> None:
    """An error can be pickled, with its text."""
    with bench.session() as connection:
        error = _error(connection, WRONG)
        expect_equal(str(pickle.loads(pickle.dumps(error))), str(error), "the text of an error that was pickled")


def a_mistake_is_not_transient(bench: Bench) -> None:
    """Trying a wrong statement again could not succeed."""
    with bench.session() as connection:
        error = _error(connection, WRONG)
        expect(not connection.is_transient(error), f"the error is said to be transient: {error}")
        expect(not connection.is_transient(ValueError("x")), "an error of another program is said to be transient")


def a_closed_session_says_so(bench: Bench) -> None:
    """Closing twice is no error; whatever is asked of a closed session is a `DatabaseError`."""
    connection = bench.target.connection()
    connection.connect()
    connection.close()
    connection.close()
    try:
        connection.fetch("SELECT 1")
    except DatabaseError:
        return
    raise ConformanceError("a closed session answers")


def a_session_opens_again(bench: Bench) -> None:
    """A session that was closed can be opened again."""
    connection = bench.target.connection()
    for _ in range(2):
        connection.connect()
        expect_equal([tuple(row) for row in connection.fetch("SELECT 1")], [(1,)], "what a session answers")
        connection.close()


def not_more_rows_than_asked_for(bench: Bench) -> None:
    """`fetch` returns the first rows of a query, up to its limit."""
    with bench.session() as connection:
        bench.numbers(connection, 3, 1, 2)
        expect_equal(connection.fetch(bench.select_numbers(), limit=2), [(1,), (2,)], "the first two of three rows")


def _error(connection: BaseConnection, sql: str) -> StatementError:
    try:
        connection.execute(sql)
    except StatementError as error:
        expect(str(error) != "", "the error says nothing")
        return error
    raise ConformanceError(f"no error: {sql}")


PROMISES = promises(
    "errors",
    (Feature.ERRORS,),
    the_engine_says_what_is_wrong,
    the_session_goes_on,
    errors_can_be_sent,
    a_mistake_is_not_transient,
    a_closed_session_says_so,
    a_session_opens_again,
    not_more_rows_than_asked_for,
)
