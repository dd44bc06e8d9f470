"""Promises of `on_event`: which events it hears, one at a time, and that it cannot break a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from omopcloudetl.core.plan import CompiledWorkflowPlan, Origin, SqlStep
from omopcloudetl.core.run_events import EventCallback, RunEvent, StepFinished, StepRetried
from omopcloudetl.core.runs import Attempt, StepRecord
from omopcloudetl.core.session import Session

Project = Callable[..., Path]
STEP = SqlStep(name="s", summary="does s", statements=(), origin=Origin(file="m.yaml", line=1))


def record(**values: object) -> StepRecord:
    """A record of the step above."""
    return StepRecord.model_validate({"name": "s", "kind": "sql", "fingerprint": "", **values})


def test_a_function_hears_every_event_of_a_run(acme: ModuleType, project: Project) -> None:
    """The run's start, each step's start and end, and the run's end, as objects with the plan's steps."""
    heard: list[RunEvent] = []
    session = Session.open(project())
    plan = session.compile()
    session.run(plan, on_event=heard.append)
    names = [type(event).__name__ for event in heard]
    assert names == ["RunStarted", *["StepStarted", "StepRetried", "StepFinished"] * len(plan.steps), "RunFinished"]
    assert [event.step for event in heard if isinstance(event, StepFinished)] == list(plan.steps)
    assert str(heard[0]) == f"run 1 of clinic on here: {len(plan.steps)} steps"
    assert str(heard[-1]) == "run 1 done"


def test_a_function_hears_one_run_only(acme: ModuleType, project: Project) -> None:
    """What was given to one run is not called by the next."""
    heard: list[RunEvent] = []
    session = Session.open(project())
    plan = session.compile()
    session.run(plan, on_event=heard.append)
    before = len(heard)
    session.run(plan)
    assert len(heard) == before


def test_a_function_that_fails_is_a_warning(acme: ModuleType, project: Project) -> None:
    """The run goes on, and each event that was not heard is named with its reason."""

    def fail(event: RunEvent) -> None:
        if isinstance(event, StepFinished):
            raise ZeroDivisionError("by me")

    session = Session.open(project())
    plan = session.compile()
    with pytest.warns(RuntimeWarning, match=r"on_event failed at '\w+: pending': ZeroDivisionError") as caught:
        assert session.run(plan, on_event=fail).state == "done"
    assert len(caught) == len(plan.steps)


def test_events_from_many_threads_arrive_one_at_a_time() -> None:
    """The function need not lock anything, whatever threads the orchestrator uses."""
    inside, overlaps, heard = [0], [0], []

    def watch(event: RunEvent) -> None:
        inside[0] += 1
        overlaps[0] += inside[0] > 1
        time.sleep(0.001)
        heard.append(event)
        inside[0] -= 1

    callback = EventCallback(watch)
    threads = [
        threading.Thread(target=lambda: [callback.omopcloudetl_step_started(STEP, record()) for _ in range(5)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(heard), overlaps) == (20, [0])


def test_an_event_keeps_its_moment() -> None:
    """The record of a step goes on changing; the event that was kept does not."""
    heard: list[RunEvent] = []
    changing = record(state="running")
    EventCallback(heard.append).omopcloudetl_step_started(STEP, changing)
    changing.state = "done"
    (event,) = heard
    assert getattr(event, "record").state == "running"  # noqa: B009  # of a union of events


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param({"state": "done", "rows_affected": 1}, "s: done, 1 row", id="done"),
        pytest.param({"state": "failed", "error": "no\nsuch table"}, "s: failed, no such table", id="failed"),
        pytest.param({"state": "skipped"}, "s: skipped", id="skipped"),
    ],
)
def test_an_event_is_printed_on_one_line(values: dict[str, object], text: str) -> None:
    """`on_event=print` is a progress display."""
    assert str(StepFinished(STEP, record(**values))) == text


def test_a_retry_says_why_and_when() -> None:
    """What failed, on one line, and in how many seconds the step is tried again."""
    attempt = Attempt(number=1, started_at=datetime(2020, 1, 1, tzinfo=UTC), seconds=0.1, error="no\nconnection")
    assert str(StepRetried(STEP, record(attempts=[attempt]), 0.25)) == "s: tried again in 0.2 s, no connection"


def test_what_a_notebook_shows_is_short(acme: ModuleType, project: Project) -> None:
    """A plan, its steps and a record are one line each, not all that they hold."""
    session = Session.open(project())
    plan: CompiledWorkflowPlan = session.compile()
    run = session.run(plan)
    shown = [session, plan, run, *plan.steps, *run.steps]
    assert not [repr(value) for value in shown if not repr(value).startswith("<") or len(repr(value)) > 160]
    assert repr(session) == f"<Session clinic: target here (acme), in {session.root}>"
