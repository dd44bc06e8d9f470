"""Shows a run while it goes on, to stderr: live on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from omopcloudetl.cli.options import RunOptions
from omopcloudetl.cli.output import one_line, plural
from omopcloudetl.core.hookspecs import hookimpl

if TYPE_CHECKING:
    from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep
    from omopcloudetl.core.runs import RunRecord, StepRecord


@contextmanager
def watching(watch: RunOptions) -> Iterator[list[object]]:
    """The listeners that show a run in the way that was asked for."""
    from omopcloudetl.cli.logs import RunLog, configure_logs

    configure_logs(watch.verbose)
    if watch.verbose:
        yield [RunLog()]
    elif watch.quiet:
        yield []
    else:
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        if console.is_terminal and not console.is_dumb_terminal:
            with LiveProgress(console) as live:
                yield [live]
        else:
            yield [PlainProgress(sys.stderr)]


class RunWatch:
    """Keeps hold of a run's record, to tell how far it came when it is interrupted."""

    def __init__(self) -> None:
        self.run: RunRecord | None = None

    @hookimpl
    def omopcloudetl_run_started(self, run: RunRecord) -> None:
        """Keep the record, which the orchestrator goes on filling in."""
        self.run = run

    def completed(self) -> str:
        """`3 of 14 steps were done`; those that `--resume` passed over were done before."""
        steps = self.run.steps if self.run is not None else []
        done = sum(step.state == "done" or (step.state == "skipped" and not step.error) for step in steps)
        return f"{done} of {plural(len(steps), 'step')} were done"


class PlainProgress:
    """One line for each step that is over: state, name, rows, seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total = self._finished = 0

    @hookimpl
    def omopcloudetl_run_started(self, plan: CompiledWorkflowPlan) -> None:
        """Count the steps."""
        self._total, self._finished = len(plan.steps), 0

    @hookimpl
    def omopcloudetl_step_finished(self, record: StepRecord) -> None:
        """Write the step's line."""
        self._finished += 1
        count = f"[{self._finished:>{len(str(self._total))}}/{self._total}]"
        line = f"{count} {record.state:7} {record.name}"
        if record.state == "done":
            line += f"  {record.rows or 0:,} rows  {record.seconds or 0:.2f} s"
        elif record.error:
            line += f"  {one_line(record.error)}"
        print(line, file=self._stream, flush=True)


class LiveProgress:
    """The steps that are running and how far the run is; it clears itself away at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running = Progress(
            SpinnerColumn("line"),  # ASCII: right in every encoding
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=console,
        )
        self._overall = Progress(
            TextColumn("steps"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rows]:,} rows"),
            TimeElapsedColumn(),
            console=console,
        )
        self._run = self._overall.add_task("", total=None, rows=0)
        self._rows = 0
        self._tasks: dict[str, TaskID] = {}
        self._live = Live(
            Group(self._running, self._overall),
            console=console,
            transient=True,
            refresh_per_second=10,
            redirect_stdout=False,  # stdout is for the result
        )

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    @hookimpl
    def omopcloudetl_run_started(self, plan: CompiledWorkflowPlan) -> None:
        """Learn how many steps there are."""
        self._overall.update(self._run, total=len(plan.steps))

    @hookimpl
    def omopcloudetl_step_started(self, step: SqlStep | BulkLoadStep) -> None:
        """Show the step among those that are running."""
        self._tasks[step.name] = self._running.add_task(one_line(step.name))

    @hookimpl
    def omopcloudetl_step_finished(self, record: StepRecord) -> None:
        """Take the step away and count it; a failure stays on the screen at once."""
        task = self._tasks.pop(record.name, None)
        if task is not None:
            self._running.remove_task(task)
        self._rows += record.rows or 0
        self._overall.update(self._run, advance=1, rows=self._rows)
        if record.state == "failed":
            text = f"failed  {record.name}  {one_line(record.error or '')}"
            self._console.print(Text(text, style="red"))
