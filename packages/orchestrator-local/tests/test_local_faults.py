"""Promises of what happens when something goes wrong: tries, limits of time, policies, interruptions."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from omopcloudetl.core import hookspecs
from omopcloudetl.core.errors import DatabaseConnectionError
from omopcloudetl.core.plan import Retry, SqlStep
from omopcloudetl.core.runs import RunRecord, StepRecord
from omopcloudetl.orchestrator_local.interruptions import run_interruptibly
from omopcloudetl.orchestrator_local.retries import retrying
from omopcloudetl.orchestrator_local.store import LocalRunStore

Make = Callable[..., SqlStep]
Lab = Any  # the helpers live in conftest.py, which can't be imported
ENDLESS = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) INSERT INTO t SELECT i FROM r"
QUICKLY = Retry(attempts=3, first_wait=0.01, max_wait=0.02)


def _states(run: RunRecord) -> dict[str, str]:
    return {step.name: step.state for step in run.steps}


@contextmanager
def locked(lab: Lab) -> Iterator[Any]:
    """Another session has the database's lock; the steps' own sessions do not wait for it."""
    lab.wait = 0.01
    with lab.connect() as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def interrupt() -> int:
    """Press Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)
    return 1


# -- tries


def test_each_try_is_recorded_and_told(lab: Lab, step: Make) -> None:
    """The record has every try with its error, each repetition an event with its wait and a line in the run's log."""
    heard: list[tuple[str, int, bool]] = []

    class Listener:
        @hookspecs.hookimpl
        def omopcloudetl_step_retried(self, step: SqlStep, record: StepRecord, wait: float) -> None:
            heard.append((step.name, len(record.attempts), 0.01 <= wait <= 0.02))

    lab.manager.register(Listener())
    with locked(lab):
        run = lab.run([step("a", "CREATE TABLE t (i)")], workflow=None, retry=QUICKLY)

    tries = run.steps[0].attempts
    assert [t.number for t in tries] == [1, 2, 3]
    assert all("database is locked" in (t.error or "") and t.seconds is not None for t in tries)
    assert heard == [("a", 1, True), ("a", 2, True)]
    with LocalRunStore(lab.state) as store:
        events = [entry.event for entry in store.log_of(run.run_id)]
    assert events.count("step_tried_again") == 2


def test_a_step_that_goes_well_is_tried_once(lab: Lab, step: Make) -> None:
    """What failed before it went well is no error of the step."""

    class Holder:
        @hookspecs.hookimpl
        def omopcloudetl_step_retried(self) -> None:
            other.execute("COMMIT")

    lab.manager.register(Holder())
    with locked(lab) as other:
        run = lab.run([step("a", "CREATE TABLE t (i)")], workflow=None, retry=QUICKLY)
    first, last = run.steps[0].attempts
    assert (run.state, run.steps[0].error, last.error) == ("done", None, None)
    assert "locked" in (first.error or "")


def test_what_cannot_pass_is_not_tried_again(lab: Lab, step: Make) -> None:
    """A mistake in SQL fails at once."""
    run = lab.run([step("a", "SELECT nothing")], retry=QUICKLY)
    assert len(run.steps[0].attempts) == 1


def test_waits_double_up_to_the_longest() -> None:
    """Each wait is between one and two first waits beyond what doubling gives, and never longer than `max_wait`."""
    waits: list[float] = []

    def fail() -> None:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011  # the error that was raised, as it is
        retrying(Retry(attempts=7, first_wait=1, max_wait=10), lambda _: True, waits.append, lambda *_: None)(fail)
    assert all(low <= wait <= low + 1 for low, wait in zip((1, 2, 4, 8), waits, strict=False)), waits
    assert waits[4:] == [10, 10]


def test_a_run_waits_for_its_connection_as_its_workflow_says(lab: Lab, step: Make) -> None:
    """A database that cannot be opened for a moment is tried again where the workflow has `retry`, else not."""
    place = lab.base / "test.db"
    opened: list[int] = []

    class Late(type(lab.connect())):  # type: ignore[misc]  # its class is in conftest.py
        def connect(self) -> None:
            opened.append(1)
            if len(opened) < 3:
                raise DatabaseConnectionError("database is locked")
            super().connect()

    lab.connect = lambda: Late(place, {}, 20)
    with pytest.raises(DatabaseConnectionError):
        lab.run([step("a", "SELECT 1")])
    assert lab.run([step("a", "SELECT 1")], retry=QUICKLY).state == "done"


# -- limits of time


@pytest.mark.parametrize("transaction", ["step", "none"])
def test_a_step_is_stopped_when_its_time_is_over(lab: Lab, step: Make, transaction: str) -> None:
    """It is rolled back and fails with the limit and its place, is not tried again, and other branches go on."""
    steps = [
        step("make", "CREATE TABLE t (i)"),
        step("slow", ENDLESS, after=["make"], timeout=0.3, transaction=transaction),
        step("behind", "SELECT 1", after=["slow"]),
        step("beside", "INSERT INTO t VALUES (7)", after=["make"]),
    ]
    start = time.monotonic()
    run = lab.run(steps, retry=QUICKLY)

    error = run.failed[0].error or ""
    assert error.startswith("it was stopped after 0.3 s, the `timeout` of workflow.yaml:7, and what it had not")
    assert _states(run) == {"make": "done", "slow": "failed", "behind": "skipped", "beside": "done"}
    assert (len(run.failed[0].attempts), time.monotonic() - start < 20) == (1, True)
    assert lab.query("SELECT * FROM t") == [(7,)]


def test_the_time_of_a_step_is_that_of_all_its_tries(lab: Lab, step: Make) -> None:
    """A wait for the next try ends when the step's time is over."""
    start = time.monotonic()
    with locked(lab):
        run = lab.run(
            [step("a", "CREATE TABLE t (i)", timeout=0.3)], workflow=None, retry=Retry(first_wait=30, max_wait=60)
        )
    assert "stopped after 0.3 s" in (run.steps[0].error or "")
    assert time.monotonic() - start < 20


def test_one_thread_watches_over_all_steps(lab: Lab, step: Make) -> None:
    """Limits cost one thread for a run, and it ends with it."""
    seen: list[int] = []

    def look() -> int:
        seen.append(sum(thread.name == "time-limits" for thread in threading.enumerate()))
        return 1

    lab.functions["look"] = look
    lab.run([step(f"s{n}", "SELECT look()", timeout=60) for n in range(8)], concurrency=4)
    assert seen == [1] * 8
    assert not [thread for thread in threading.enumerate() if thread.name == "time-limits"]


# -- what a failure stops


def test_a_failure_stops_what_has_not_begun(lab: Lab, step: Make) -> None:
    """With `on_failure: stop` nothing more begins, what runs is let finish, and the rest says why it did not run."""
    failed = threading.Event()
    barrier = threading.Barrier(2, timeout=20)

    class Listener:
        @hookspecs.hookimpl
        def omopcloudetl_step_finished(self, record: StepRecord) -> None:
            if record.state == "failed":
                failed.set()

    lab.manager.register(Listener())
    lab.functions["meet"] = barrier.wait
    lab.functions["see"] = lambda: int(failed.wait(20))
    steps = [
        step("bad", "SELECT meet()", "SELECT nothing", transaction="none"),
        step("long", "SELECT meet()", "SELECT see()", "CREATE TABLE t (i)", transaction="none"),
        step("behind", "SELECT 1", after=["bad"]),
        step("beside", "SELECT 1"),
    ]
    run = lab.run(steps, concurrency=2, on_failure="stop")

    assert (run.state, _states(run)) == (
        "failed",
        {"bad": "failed", "long": "done", "behind": "skipped", "beside": "skipped"},
    )
    errors = [record.error for record in run.steps]
    assert errors[2:] == ["waits for bad, which failed", "not begun, because bad failed (`on_failure: stop`)"]
    assert lab.query("SELECT * FROM t") == []


def test_what_was_completed_before_a_stop_stays_completed(lab: Lab, step: Make) -> None:
    """A step that `resume` passes over is no step that was not begun."""
    made = step("made", "CREATE TABLE m (i)", writes=["work.m"])
    steps = [step("bad", "SELECT nothing"), made]
    lab.run(steps)
    assert _states(lab.run(steps, resume=True, on_failure="stop")) == {"bad": "failed", "made": "skipped"}
    assert _states(lab.run([step("bad", "SELECT 1"), made], resume=True)) == {"bad": "done", "made": "skipped"}


# -- interruptions


def test_an_interrupt_ends_the_wait_for_the_next_try(lab: Lab, step: Make) -> None:
    """Ctrl-C does not wait with the step."""
    start = time.monotonic()

    class Listener:
        @hookspecs.hookimpl
        def omopcloudetl_step_retried(self) -> None:
            interrupt()

    lab.manager.register(Listener())
    with locked(lab), pytest.raises(KeyboardInterrupt):
        lab.run([step("a", "CREATE TABLE t (i)")], workflow=None, retry=Retry(first_wait=30, max_wait=60))
    run = lab.runs()[0]
    assert (run.state, run.steps[0].error) == ("interrupted", "the run was interrupted")
    assert len(run.steps[0].attempts) == 1
    assert time.monotonic() - start < 20


def test_an_interrupt_reaches_what_reads_the_outcome(lab: Lab, step: Make) -> None:
    """When all steps are done, the ledger and the counts are still statements, and they are interrupted, too."""
    lab.functions["interrupt"] = interrupt
    endless = (
        "WITH RECURSIVE r(i) AS (SELECT interrupt() UNION ALL SELECT i + 1 FROM r) SELECT max(i), 2, 3, 4, 5 FROM r"
    )
    with pytest.raises(KeyboardInterrupt):
        lab.run([step("a", "CREATE TABLE t (i)", writes=["cdm.t"])], ledger=endless, counted={"cdm.t": "SELECT 1"})
    run = lab.runs()[0]
    assert (run.state, _states(run), run.table_rows) == ("interrupted", {"a": "done"}, {})


def test_an_interrupt_is_kept_before_the_engine_has_stopped(lab: Lab, step: Make) -> None:
    """A process that cannot wait for a statement, and ends, leaves a record that says `interrupted`."""
    seen: list[str] = []

    def stubborn() -> int:
        interrupt()
        limit = time.monotonic() + 20
        while time.monotonic() < limit and lab.runs()[0].state == "running":
            time.sleep(0.02)
        seen.append(lab.runs()[0].state)
        return 1

    lab.functions["stubborn"] = stubborn
    with pytest.raises(KeyboardInterrupt):
        lab.run([step("a", "SELECT stubborn()", "SELECT 1")])
    assert seen == ["interrupted"]


def test_only_the_main_thread_waits_for_another() -> None:
    """A program that runs plans in threads of its own gets no further ones, and nothing there can be interrupted."""
    names: list[str] = []

    def work() -> None:
        names.append(threading.current_thread().name)

    run_interruptibly(work, lambda: None)
    other = threading.Thread(target=run_interruptibly, args=(work, lambda: None), name="mine")
    other.start()
    other.join()
    assert names == ["run", "mine"]
