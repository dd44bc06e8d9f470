"""Shows a run while it goes on, to stderr: live on a terminal, a line for each step elsewhere, or as a log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from omopcloudetl.cli.options import RunOptions
from omopcloudetl.cli.output import one_line
from omopcloudetl.core.hookspecs import hookimpl

if TYPE_CHECKING:
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.runs import StepRecord


@contextmanager
def watching(watch: RunOptions) -> Iterator[list[object]]:
    """The listeners that show a run in the way that was asked for."""
    from omopcloudetl.cli.logs import RunLog, configure_logs

    configure_logs(watch)
    if watch.log_format == "json":
        yield [RunLog(starts=logging.INFO)]
    elif watch.verbose:
        yield [RunLog()]
    elif watch.quiet:
        yield []
    else:
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        if console.is_terminal and not console.is_dumb_terminal:
            from omopcloudetl.cli.live import LiveProgress

            with LiveProgress(console) as live:
                yield [live]
        else:
            yield [PlainProgress(sys.stderr)]


class PlainProgress:
    """One line for each step that is over, and one for each retry: state, name, rows, seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total = self._finished = 0

    @hookimpl
    def omopcloudetl_run_started(self, plan: CompiledWorkflowPlan) -> None:
        """Count the steps."""
        self._total, self._finished = len(plan.steps), 0

    @hookimpl
    def omopcloudetl_step_retried(self, record: StepRecord, wait: float) -> None:
        """Write why the step is tried again, and when."""
        why = one_line((record.attempts[-1].error or "") if record.attempts else "")
        text = f"try {len(record.attempts) + 1} in {wait:.1f} s: {why}"
        self._write(f"{' ' * (2 * self._digits + 3)} {'retry':7} {record.name}  {text}")

    @hookimpl
    def omopcloudetl_step_finished(self, record: StepRecord) -> None:
        """Write the step's line."""
        self._finished += 1
        line = f"[{self._finished:>{self._digits}}/{self._total}] {record.state:7} {record.name}"
        tries = f", {len(record.attempts)} tries" if len(record.attempts) > 1 else ""
        if record.state == "done":
            line += f"  {record.rows or 0:,} rows  {record.seconds or 0:.2f} s{tries}"
        elif record.error:
            line += f"  {one_line(record.error)}{tries}"
        self._write(line)

    @property
    def _digits(self) -> int:
        return len(str(self._total))

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
