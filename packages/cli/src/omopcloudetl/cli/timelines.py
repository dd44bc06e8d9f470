"""Draws the timeline of a run as text: one bar a step on a common axis, as wide as the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.output import one_line
from omopcloudetl.cli.tables import terminal_width
from omopcloudetl.core.timeline import Bar, Span, Timeline, lay_out, moment, ticks

if TYPE_CHECKING:
    from omopcloudetl.core.runs import RunRecord

WITHOUT_TERMINAL = 120
NARROWEST_AXIS = 16
LONGEST_NAME = 34
SECONDS = 10
"""Columns for the seconds, right of the axis."""
BLOCKS = ("█", "░", "▒")
ASCII = ("#", "x", "~")
"""A bar, an attempt that failed, a step that did not end."""
COLUMNS_A_TICK = 12


def show_timeline(run: RunRecord) -> None:
    """Which step ran when, on which worker; nothing where none ran."""
    timeline = lay_out(run)
    if not timeline.bars:
        return
    click.secho("\nTimeline", bold=True)
    for line, failed in timeline_lines(timeline, terminal_width() or WITHOUT_TERMINAL, blocks=_has_blocks()):
        click.secho(line, fg="red" if failed else None)


def timeline_lines(timeline: Timeline, width: int, *, blocks: bool) -> list[tuple[str, bool]]:
    """The lines of a timeline and whether each is about a step that failed; the first one is the axis."""
    names = min(max(len(one_line(bar.step.name)) for bar in timeline.bars), LONGEST_NAME, max(width // 3, 8))
    workers = len(str(timeline.lanes))
    axis = max(width - names - workers - SECONDS - 3, NARROWEST_AXIS)
    head = f"{'':{names}} {'':{workers}} {_axis(timeline.seconds, axis)}"
    lines = [(head.rstrip(), False)]
    for bar in timeline.bars:
        name = one_line(bar.step.name)
        name = name if len(name) <= names else f"{name[: names - 1]}~"
        drawn = _bar(bar, timeline.seconds, axis, BLOCKS if blocks else ASCII)
        took = f"{bar.span.seconds:,.2f} s"
        lines.append(
            (f"{name:{names}} {bar.lane + 1:>{workers}} {drawn} {took:>{SECONDS}}", bar.step.state == "failed")
        )
    return lines


def _axis(seconds: float, width: int) -> str:
    """Each tick's text begins at its place."""
    line = ""
    for at in ticks(seconds, width // COLUMNS_A_TICK + 2):
        place = _column(at, seconds, width)
        text = f"|{moment(at)}"
        if place >= len(line) and place + len(text) <= width:
            line = f"{line:{place}}{text}"
    return line


def _bar(bar: Bar, seconds: float, width: int, signs: tuple[str, str, str]) -> str:
    full, failed, unended = signs
    begin, end = _cells(bar.span, seconds, width)
    cells = [" "] * width
    cells[begin:end] = (unended if bar.step.state == "running" else full) * (end - begin)
    for attempt in bar.failed_attempts:
        first, last = _cells(attempt, seconds, width)
        cells[first:last] = failed * (last - first)
    return "".join(cells)


def _cells(span: Span, seconds: float, width: int) -> tuple[int, int]:
    """From which column to which; at least one."""
    begin = min(_column(span.start, seconds, width), width - 1)
    return begin, max(min(_column(span.end, seconds, width), width), begin + 1)


def _column(at: float, seconds: float, width: int) -> int:
    return int(width * at / seconds) if seconds else 0


def _has_blocks() -> bool:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        "".join(BLOCKS).encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True
