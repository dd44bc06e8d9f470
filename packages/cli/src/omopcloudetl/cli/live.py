"""Draws a run on a terminal while it goes on; it clears itself away at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from omopcloudetl.cli.output import one_line, plural
from omopcloudetl.cli.run_watch import Glance, Running, RunState
from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.text import in_time

if TYPE_CHECKING:
    from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep
    from omopcloudetl.core.runs import StepRecord

SPINNER = "|/-\\"  # ASCII: right in every encoding
OWN_LINES = 4
"""Of the screen: the bar, what waits, how many are not shown, and the cursor."""
ROWS = 14
"""Columns for `1,000,000 rows`."""
STYLES = {"failed": "red", "done": "dim"}


class LiveProgress:
    """The steps that run, the last that ended, what waits, and how far the run is; never more than the screen has."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state = RunState()
        self._began = time.monotonic()
        self._longest = 0
        self._live = Live(
            console=console,
            get_renderable=self._draw,
            transient=True,
            refresh_per_second=8,
            redirect_stdout=False,  # stdout is for the result
        )

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    @hookimpl
    def omopcloudetl_run_started(self, plan: CompiledWorkflowPlan) -> None:
        """Learn which steps there are; columns are as wide from the beginning as their names will need."""
        self._longest = max((len(one_line(step.name)) for step in plan.steps), default=0)
        self._state.run_started(plan)

    @hookimpl
    def omopcloudetl_step_started(self, step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
        """Show the step among those that run."""
        self._state.step_started(step, record)

    @hookimpl
    def omopcloudetl_step_retried(self, record: StepRecord, wait: float) -> None:
        """Show that it waits, for how long and why."""
        self._state.step_retried(record, wait)

    @hookimpl
    def omopcloudetl_step_finished(self, record: StepRecord) -> None:
        """Count the step; a failure stays on the screen."""
        self._state.step_finished(record)
        if record.state == "failed":
            text = f"failed  {record.name}{tries(record)}  {one_line(record.error or '')}"
            self._console.print(Text(text, style="red"))

    def _draw(self) -> RenderableType:
        glance = self._state.look()
        room = max(self._console.height - OWN_LINES, 1)
        running = glance.running[:room]
        recent = glance.recent[-(room - len(running)) :] if room > len(running) else ()
        lines: list[RenderableType] = [self._steps(recent, running)]
        if hidden := len(glance.running) - len(running):
            lines.append(self._line(f"  and {plural(hidden, 'other running step')}"))
        if glance.waiting:
            lines.append(self._line(f"  {glance.waiting}"))
        return Group(*lines, self._overall(glance))

    def _steps(self, recent: tuple[StepRecord, ...], running: tuple[Running, ...]) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0), expand=False)
        table.add_column(width=7, no_wrap=True)
        table.add_column(no_wrap=True, overflow="crop", min_width=min(self._longest, self._console.width // 2))
        table.add_column(no_wrap=True, overflow="crop", justify="right", min_width=ROWS)
        table.add_column(no_wrap=True, overflow="crop")
        for record in recent:
            rows = f"{record.rows:,} rows" if record.rows is not None else ""
            what = f"{in_time(record.seconds or 0.0)}{tries(record)}"
            table.add_row(record.state, Text(one_line(record.name)), rows, what, style=STYLES.get(record.state, ""))
        spin = SPINNER[int(time.monotonic() * 8) % len(SPINNER)]
        for step in running:
            table.add_row(f"{spin}", Text(one_line(step.name)), "", Text(_how_it_goes(step)))
        return table

    def _overall(self, glance: Glance) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        bar = ProgressBar(total=glance.total or None, completed=glance.ended, width=min(30, self._console.width // 4))
        failed = glance.counts.get("failed", 0)
        parts = [f"{glance.ended}/{glance.total} steps" if glance.total else "starting"]
        parts += [f"{failed} failed"] if failed else []
        parts += [f"{glance.rows:,} rows", in_time(time.monotonic() - self._began)]
        table.add_row(bar, self._line(", ".join(parts)))
        return table

    def _line(self, text: str) -> Text:
        return Text(
            one_line(text) if not text.startswith(" ") else f"  {one_line(text)}", no_wrap=True, overflow="crop"
        )


def tries(record: StepRecord) -> str:
    """`, 3 tries` of a step that needed more than one."""
    return f", {len(record.attempts)} tries" if len(record.attempts) > 1 else ""


def _how_it_goes(step: Running) -> str:
    text = in_time(step.seconds)
    if step.waits is not None:
        return f"{text}, again in {step.waits:.0f} s: {step.reason}"
    return f"{text}, try {step.attempt}" if step.attempt > 1 else text
