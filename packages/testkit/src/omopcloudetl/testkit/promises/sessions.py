"""Two sessions: what one has not committed the other does not see, and neither disturbs the other."""

from __future__ import annotations

import threading
from collections.abc import Callable

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.connection import BaseConnection, RecordValue
from omopcloudetl.core.errors import DatabaseError
from omopcloudetl.testkit.bench import NUMBERS, Bench
from omopcloudetl.testkit.outcome import ConformanceError, expect, expect_equal
from omopcloudetl.testkit.profile import Feature
from omopcloudetl.testkit.promises.promise import promises

SECONDS = 60
Work = Callable[[int, BaseConnection], None]


def what_is_not_committed_is_not_seen(bench: Bench) -> None:
    """Another session sees rows when they are committed, and not before."""
    with bench.session() as first, bench.session() as second:
        bench.numbers(first, 1)
        with first.transaction():
            first.execute(bench.insert_number(2))
            expect_equal(bench.read_numbers(second), [1], "rows that another session sees before the commit")
        expect_equal(bench.read_numbers(second), [1, 2], "rows that another session sees after the commit")


def tables_are_written_at_the_same_time(bench: Bench) -> None:
    """Sessions that make and fill tables of their own do not disturb each other."""

    def work(number: int, connection: BaseConnection) -> None:
        table = f"work.kit_{number}"
        bench.make_table(connection, table, {"n": "bigint"})
        for _ in range(5):
            with connection.transaction():
                bench.add_rows(connection, table, {"n": "bigint"}, "n\n1\n2\n3\n")

    with bench.session() as connection:
        bench.numbers(connection)
        _together(bench, 4, work)
        counts = [len(bench.rows(connection, f"work.kit_{number}", ["n"])) for number in range(4)]
        expect_equal(counts, [15] * 4, "rows of each session's table")


def records_are_written_at_the_same_time(bench: Bench) -> None:
    """Sessions that record into one table in transactions that overlap lose nothing and do not fail."""
    columns = {"session": "text", "step": "text", "n": "bigint"}
    everywhere = threading.Barrier(3, timeout=SECONDS)

    def work(number: int, connection: BaseConnection) -> None:
        for step in range(4):
            with connection.transaction():
                row: list[RecordValue] = [str(number), str(step), step]
                connection.record(name, [*columns], [row], replacing=["session", "step"])
                everywhere.wait()

    with bench.session() as connection:
        bench.make_table(connection, "work.kit_records", columns)
        name = bench.physical("work.kit_records")
        connection.record(name, [*columns], [[str(i), str(step), -1] for i in range(3) for step in range(4)])
        _together(bench, 3, work, everywhere)
        expected = [(str(i), str(step), step) for i in range(3) for step in range(4)]
        expect_equal(sorted(bench.rows(connection, "work.kit_records", columns)), expected, "records of all sessions")


def a_conflict_waits_or_is_transient(bench: Bench) -> None:
    """Of two transactions that change one row one waits, or fails with an error that is worth another try."""
    begun = threading.Barrier(2, timeout=SECONDS)

    def work(number: int, connection: BaseConnection) -> None:
        try:
            with connection.transaction():
                connection.fetch(bench.select_numbers())
                begun.wait()
                connection.execute(bench.set_numbers(number))
        except DatabaseError as error:
            expect(connection.is_transient(error), f"the error of a conflict is not transient: {error}")

    with bench.session() as connection:
        numbers = bench.numbers(connection, 9)
        _together(bench, 2, work)
        expect(numbers() in ([0], [1]), f"two sessions changed one row, and left {numbers()} in {NUMBERS}")


def _together(bench: Bench, count: int, work: Work, meeting: threading.Barrier | None = None) -> None:
    """Work in so many sessions at the same time; raises the first error of any, after which none waits at `meeting`."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with bench.session() as connection:
                work(number, connection)
        except BaseException as error:  # noqa: BLE001  # it is raised below, in the test's own thread
            errors.append(error)
            if meeting is not None:
                meeting.abort()

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    if any(thread.is_alive() for thread in threads):
        raise ConformanceError(f"the sessions wait for each other for ever, or more than {SECONDS} seconds")
    for error in errors:
        raise error


PROMISES = promises(
    "sessions",
    (Feature.SESSIONS,),
    tables_are_written_at_the_same_time,
    records_are_written_at_the_same_time,
    a_conflict_waits_or_is_transient,
)
PROMISES += promises("sessions", (Feature.SESSIONS, Capability.TRANSACTIONS), what_is_not_committed_is_not_seen)
