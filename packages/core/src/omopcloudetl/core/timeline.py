"""Lays a run's steps on one axis of time, in one lane a worker; how they are drawn is others' business."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from omopcloudetl.core.runs import RunRecord, StepRecord

LONG_STEPS = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0)
"""Between the ticks of an axis of minutes or hours, in seconds."""


@dataclass(frozen=True)
class Span:
    """A stretch of time, in seconds after the run began."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True)
class Bar:
    """One step on the axis."""

    step: StepRecord
    lane: int
    span: Span
    failed_attempts: tuple[Span, ...] = ()
    """Attempts that failed; of a step that failed in the end, the last one as well."""


@dataclass(frozen=True)
class Timeline:
    """Every step that ran."""

    seconds: float
    """The length of the axis: the run's own seconds, or as far as its steps go."""
    lanes: int
    bars: tuple[Bar, ...]
    """In the order in which they began."""


def lay_out(run: RunRecord) -> Timeline:
    """The steps of a run that ran or run still, each in the lane of its worker.

    A record that does not say which worker ran a step gets as few lanes as its steps need.
    """
    begin = run.started_at
    latest = _latest(run)
    ran = sorted(
        ((step, _span(step, begin, latest)) for step in run.steps if step.started_at is not None),
        key=lambda pair: (pair[1].start, pair[1].end),
    )
    lanes = _lanes(ran)
    bars = tuple(
        Bar(step, lane, span, _failed_attempts(step, begin, span))
        for (step, span), lane in zip(ran, lanes, strict=True)
    )
    return Timeline(max(latest, *(bar.span.end for bar in bars), 0.0), max(lanes, default=-1) + 1, bars)


def ticks(seconds: float, most: int) -> list[float]:
    """Round moments of an axis, from 0: as many as there is room for, at least the first."""
    wanted = max(seconds, 1e-6) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(wanted))
    steps = [power * factor for factor in (1, 2, 5, 10)] if wanted <= 10 else []
    step = next((step for step in (*steps, *LONG_STEPS) if step >= wanted * 0.999), None)
    if step is None:
        step = math.ceil(wanted / LONG_STEPS[-1]) * LONG_STEPS[-1]
    return [step * number for number in range(math.floor(seconds / step * 1.000001) + 1)]


def moment(seconds: float) -> str:
    """A tick's text: `0.5 s`, `10 min`, `2 h`."""
    if seconds < 60 or seconds % 60:
        return f"{seconds:.3g} s"
    return f"{seconds / 3600:g} h" if seconds % 3600 == 0 else f"{seconds / 60:g} min"


def _latest(run: RunRecord) -> float:
    """The last moment that the record knows of."""
    moments = [moment for step in run.steps for moment in (step.started_at, step.finished_at) if moment is not None]
    known = [_after(moment, run.started_at) for moment in moments]
    return max([run.seconds or 0.0, *known])


def _span(step: StepRecord, begin: datetime, latest: float) -> Span:
    assert step.started_at is not None
    start = _after(step.started_at, begin)
    if step.seconds is not None:
        return Span(start, start + max(step.seconds, 0.0))
    end = latest if step.finished_at is None else _after(step.finished_at, begin)
    return Span(start, max(start, end))


def _after(moment: datetime, begin: datetime) -> float:
    return max(0.0, (moment - begin).total_seconds())


def _lanes(ran: Iterable[tuple[StepRecord, Span]]) -> list[int]:
    pairs = list(ran)
    if all(step.worker is not None for step, _ in pairs):
        return [step.worker or 0 for step, _ in pairs]
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    lanes = []
    for _, span in pairs:
        while busy and busy[0][0] <= span.start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (span.end, lane))
        lanes.append(lane)
    return lanes


def _failed_attempts(step: StepRecord, begin: datetime, span: Span) -> tuple[Span, ...]:
    found = []
    for attempt in step.attempts:
        if attempt.error is not None:
            start = min(max(_after(attempt.started_at, begin), span.start), span.end)
            found.append(Span(start, min(start + (attempt.seconds or 0.0), span.end)))
    return tuple(found)
