"""Where the bars of a timeline stand, in percent of its width, so that a page of any width can draw it."""

from __future__ import annotations

from dataclasses import dataclass

from omopcloudetl.core.report.steps import Group, group_of
from omopcloudetl.core.runs import StepRecord
from omopcloudetl.core.timeline import Span, Timeline, moment, ticks

LANE_HEIGHT = 30
SMALLEST = 0.12
"""Percent; a step that took no time is still seen."""
MOST_TICKS = 9


@dataclass(frozen=True)
class Stretch:
    """A part of the axis, in percent."""

    x: float
    width: float


@dataclass(frozen=True)
class DrawnBar:
    """One step's bar."""

    step: StepRecord
    group: Group
    lane: int
    at: Stretch
    failed_attempts: tuple[Stretch, ...]


@dataclass(frozen=True)
class DrawnTimeline:
    """All bars, and the marks of the axis."""

    bars: tuple[DrawnBar, ...]
    ticks: tuple[tuple[float, str], ...]
    """Percent, and the text there."""
    lanes: int
    lane_height: int = LANE_HEIGHT

    @property
    def by_step(self) -> dict[str, DrawnBar]:
        """The bar of each step that ran, by its name."""
        return {bar.step.name: bar for bar in self.bars}


def draw_timeline(timeline: Timeline) -> DrawnTimeline:
    """Turn seconds into percent."""
    whole = timeline.seconds or 1.0
    bars = tuple(
        DrawnBar(
            bar.step,
            group_of(bar.step),
            bar.lane,
            _stretch(bar.span, whole),
            tuple(_stretch(span, whole) for span in bar.failed_attempts),
        )
        for bar in timeline.bars
    )
    marks = tuple((round(100 * at / whole, 3), moment(at)) for at in ticks(timeline.seconds, MOST_TICKS))
    return DrawnTimeline(bars, marks, timeline.lanes)


def _stretch(span: Span, whole: float) -> Stretch:
    width = max(100 * span.seconds / whole, SMALLEST)
    return Stretch(round(min(100 * span.start / whole, 100 - width), 3), round(width, 3))
