"""Promises of the timeline: every step that ran has a bar, no two bars of a lane overlap, ticks are round."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omopcloudetl.core.runs import Attempt, RunRecord, StepRecord
from omopcloudetl.core.timeline import Span, lay_out, ticks

BEGAN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A moment of the run."""
    return BEGAN + timedelta(seconds=seconds)


def record(name: str, **values: object) -> StepRecord:
    """A step's record."""
    return StepRecord.model_validate({"name": name, "kind": "sql", "fingerprint": "", **values})


def run_of(*steps: StepRecord, seconds: float | None = None) -> RunRecord:
    """A run of these steps."""
    head = {"run_id": "r", "name": "n", "plan_hash": "", "target": "t", "provider": "p", "cdm_version": "5.4"}
    return RunRecord.model_validate({**head, "started_at": BEGAN, "seconds": seconds, "steps": list(steps)})


def test_steps_that_ran_have_bars_in_the_lanes_of_their_workers() -> None:
    """In the order in which they began; what did not run has no bar."""
    timeline = lay_out(
        run_of(
            record("late", started_at=at(2), seconds=1.5, worker=1, state="done"),
            record("never", state="skipped", error="waits"),
            record("early", started_at=at(0.5), seconds=1.0, worker=0, state="done"),
            seconds=4.0,
        )
    )
    assert [(bar.step.name, bar.lane, bar.span) for bar in timeline.bars] == [
        ("early", 0, Span(0.5, 1.5)),
        ("late", 1, Span(2.0, 3.5)),
    ]
    assert (timeline.seconds, timeline.lanes) == (4.0, 2)


def test_a_step_that_was_cut_off_lasts_to_the_last_known_moment() -> None:
    """A run that died does not say when its steps ended."""
    done = record("done", started_at=at(1), finished_at=at(6), seconds=5, worker=0)
    cut = record("cut", started_at=at(2), state="running", worker=1)
    timeline = lay_out(run_of(done, cut))
    assert {bar.step.name: bar.span for bar in timeline.bars} == {"done": Span(1, 6), "cut": Span(2, 6)}
    assert timeline.seconds == 6


def test_failed_attempts_are_parts_of_the_bar() -> None:
    """Each stays within its step, whatever the clocks said."""
    attempts = [
        Attempt(number=1, started_at=at(1), seconds=0.5, error="no"),
        Attempt(number=2, started_at=at(2), seconds=9, error="no"),
        Attempt(number=3, started_at=at(3), seconds=1),
    ]
    (bar,) = lay_out(run_of(record("x", started_at=at(1), seconds=3, attempts=attempts))).bars
    assert bar.failed_attempts == (Span(1.0, 1.5), Span(2.0, 4.0))


def test_a_run_without_steps_is_a_timeline() -> None:
    """Nothing ran, so nothing is drawn."""
    assert lay_out(run_of()).bars == ()
    assert lay_out(run_of()).lanes == 0


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 30)), max_size=40))
def test_old_records_get_lanes_in_which_nothing_overlaps(times: list[tuple[int, int]]) -> None:
    """Where no worker is known, a lane is taken again as soon as it is free."""
    steps = [record(str(i), started_at=at(start), seconds=length) for i, (start, length) in enumerate(times)]
    timeline = lay_out(run_of(*steps))
    for lane in range(timeline.lanes):
        spans = [bar.span for bar in timeline.bars if bar.lane == lane]
        assert all(before.end <= after.start for before, after in pairwise(spans))
    moments = [bar.span.start for bar in timeline.bars]
    assert timeline.lanes <= max(
        (sum(b.span.start <= m <= b.span.end for b in timeline.bars) for m in moments), default=0
    )


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        (0.0, [0]),
        (2.8, [0, 0.5, 1, 1.5, 2, 2.5]),
        (45, [0, 10, 20, 30, 40]),
        (130, [0, 30, 60, 90, 120]),
        (3600, [0, 600, 1200, 1800, 2400, 3000, 3600]),
        (90_000, [0, 14400, 28800, 43200, 57600, 72000, 86400]),
    ],
)
def test_ticks_are_round(seconds: float, found: list[float]) -> None:
    """Parts of a second, seconds, minutes or hours, and never more than there is room for."""
    assert ticks(seconds, 8) == pytest.approx(found)


@given(st.integers(0, 10_000_000), st.integers(2, 30))
def test_ticks_are_as_many_as_there_is_room_for(seconds: int, most: int) -> None:
    """The axis is never crowded, and never without its beginning."""
    found = ticks(seconds, most)
    assert found[0] == 0
    assert len(found) <= most
    assert found[-1] <= seconds * 1.00001
