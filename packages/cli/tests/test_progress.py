"""Promises of what people see while a run goes on, and of its timeline afterwards."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from omopcloudetl.cli.live import LiveProgress
from omopcloudetl.cli.progress import PlainProgress
from omopcloudetl.cli.run_watch import RunState
from omopcloudetl.cli.timelines import timeline_lines
from omopcloudetl.core.plan import CompiledWorkflowPlan, Origin, SqlStep
from omopcloudetl.core.runs import Attempt, RunRecord, StepRecord
from omopcloudetl.core.timeline import lay_out

BEGAN = datetime(2026, 1, 2, tzinfo=UTC)


def planned(name: str, *after: str) -> SqlStep:
    """A step of a plan."""
    return SqlStep(name=name, summary="does", origin=Origin(file="w.yaml", line=1), statements=(), depends_on=after)


def plan_of(*steps: SqlStep) -> CompiledWorkflowPlan:
    """A plan of these steps."""
    return CompiledWorkflowPlan(name="p", cdm_version="5.4", provider="x", dialect="x", schemas={}, steps=steps)


def record(name: str, **values: object) -> StepRecord:
    """A step's record."""
    return StepRecord.model_validate({"name": name, "kind": "sql", "fingerprint": "", **values})


def failed_try(number: int, at: float = 0, seconds: float = 0.1) -> Attempt:
    """An attempt that failed."""
    begins = BEGAN + timedelta(seconds=at)
    return Attempt(number=number, started_at=begins, seconds=seconds, error="the lock\nis taken")


def run_of(*steps: StepRecord) -> RunRecord:
    """A run of four seconds."""
    return RunRecord(
        run_id="r", name="n", plan_hash="", target="t", provider="p", cdm_version="5.4", started_at=BEGAN,
        seconds=4.0, steps=list(steps),
    )  # fmt: skip


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_what_waits_is_told_with_its_reason() -> None:
    """Before the first step, for which step the next one waits, and what is done after the last."""
    state = RunState()
    assert state.look().waiting.startswith("connecting to the database")
    a, b, c = planned("a"), planned("b", "a"), planned("c", "a", "b")
    state.run_started(plan_of(a, b, c))
    state.step_started(a, record("a"))
    assert state.look().waiting == "waiting: b for a, and 1 other step"
    state.step_finished(record("a", state="done", rows_affected=5))
    state.step_started(b, record("b"))
    assert state.look().waiting == "waiting: c for b"
    state.step_finished(record("b", state="failed", error="x"))
    state.step_finished(record("c", state="skipped", error="waits for b, which failed"))
    glance = state.look()
    assert glance.waiting == "reading the ledger, and counting the rows of the tables"
    assert (glance.ended, glance.total, glance.rows) == (3, 3, 5)
    assert glance.counts == {"done": 1, "failed": 1, "skipped": 1}


def test_a_retry_is_seen_at_once() -> None:
    """How long the step waits and why, and then which attempt runs."""
    clock = Clock()
    state, step = RunState(clock), planned("a")
    state.run_started(plan_of(step))
    state.step_started(step, record("a"))
    clock.now = 2.0
    state.step_retried(record("a", attempts=[failed_try(1)]), 3.0)
    (waiting,) = state.look().running
    assert (waiting.seconds, waiting.attempt, waiting.waits, waiting.reason) == (2.0, 2, 3.0, "the lock is taken")
    clock.now = 5.5
    (running,) = state.look().running
    assert (running.attempt, running.waits) == (2, None)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(("width", "height"), [(80, 12), (40, 5)])
def test_many_running_steps_do_not_overflow_the_screen(encoding: str, width: int, height: int) -> None:
    """However many run and however long their names are, the display fits, and says how many it does not show."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, force_terminal=True, width=width, height=height, highlight=False, markup=False)
    live = LiveProgress(console)
    steps = [planned(f"step_{number}_{'x' * 60}") for number in range(100)]
    live.omopcloudetl_run_started(plan_of(*steps))
    for step in steps[:50]:
        live.omopcloudetl_step_started(step, record(step.name))
    with console.capture() as captured:
        console.print(live._draw())
    lines = captured.get().splitlines()
    assert len(lines) < height
    assert "other running steps" in captured.get()
    assert max(map(len, lines)) <= width + 60  # control sequences of colours take no room on the screen


def test_a_retry_is_a_plain_line() -> None:
    """Where nobody watches, the reason and the wait are on one line, and the step's own line counts its tries."""
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.omopcloudetl_run_started(plan_of(planned("a")))
    progress.omopcloudetl_step_retried(record("a", attempts=[failed_try(1)]), 0.25)
    tries = [failed_try(1), failed_try(2)]
    progress.omopcloudetl_step_finished(record("a", state="done", rows_affected=7, seconds=1, attempts=tries))
    assert stream.getvalue().splitlines() == [
        "      retry   a  try 2 in 0.2 s: the lock is taken",
        "[1/1] done    a  7 rows  1.00 s, 2 tries",
    ]


@pytest.mark.parametrize(("blocks", "signs"), [(True, "█░▒"), (False, "#x~")])
def test_a_timeline_is_one_bar_a_step(blocks: bool, signs: str) -> None:
    """On one axis, with the worker and the seconds; failed attempts and steps without an end look different."""
    full, failed, unended = signs
    again = record(
        "again", started_at=BEGAN, seconds=2, worker=0, state="failed", attempts=[failed_try(1), failed_try(2, 1, 1)]
    )
    cut = record("cut_off", started_at=BEGAN + timedelta(seconds=2), worker=1, state="running")
    lines = timeline_lines(lay_out(run_of(again, cut)), 40, blocks=blocks)
    assert [line for line, _ in lines] == [
        "          |0 s     |2 s",
        f"again   1 {failed}{full * 3}{failed * 5}{' ' * 10}     2.00 s",
        f"cut_off 2 {' ' * 9}{unended * 10}     2.00 s",
    ]
    assert [red for _, red in lines] == [False, True, False]


@pytest.mark.parametrize("width", [30, 80, 120, 200])
def test_a_timeline_is_as_wide_as_the_terminal(width: int) -> None:
    """Whatever the names are; only a very narrow one is overstepped, because an axis needs some room."""
    steps = [
        record("n" * 50, started_at=BEGAN + timedelta(seconds=at), seconds=0, worker=11, state="done") for at in (0, 4)
    ]
    lines = [line for line, _ in timeline_lines(lay_out(run_of(*steps)), width, blocks=False)]
    assert max(map(len, lines)) == max(width, 41)
    assert all("#" in line for line in lines[1:])
