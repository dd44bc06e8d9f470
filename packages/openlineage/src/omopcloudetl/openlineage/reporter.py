"""Tells one run to OpenLineage: what the hooks hear becomes events that a thread sends."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from omopcloudetl.openlineage.configuration import make_client
from omopcloudetl.openlineage.sending import Client, Sender

if TYPE_CHECKING:
    from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep
    from omopcloudetl.core.runs import RunRecord, StepRecord
    from omopcloudetl.openlineage.run_events import RunEvents

WAIT_VARIABLE = "OMOPCLOUDETL_OPENLINEAGE_WAIT"
WAIT, WAIT_FOR_ONE = 10.0, 2.0
"""Seconds at the end of a run, for all events and for one."""
WAIT_AFTER_STOP = 0.5
"""Somebody who stops a run waits for it."""

log = logging.getLogger(__name__)


class Reporter:
    """One run that is being told."""

    def __init__(self, plan: CompiledWorkflowPlan, run: RunRecord, open_: Callable[[], Client] = make_client) -> None:
        self._plan = plan
        self._live = run
        self._run = run.model_copy(update={"steps": []})
        self._records = {id(record): record for record in run.steps}
        self._events: RunEvents | None = None
        self._sender = Sender(open_)
        at = datetime.now(UTC)
        self._sender.put(lambda: self._made().run_started(at))

    def knows(self, record: StepRecord) -> bool:
        """Whether a step's record is of this run."""
        return self._records.get(id(record)) is record

    def step_started(self, step: SqlStep | BulkLoadStep) -> None:
        """A step begins."""
        at = datetime.now(UTC)
        self._sender.put(lambda: self._made().step_started(step, at))

    def step_finished(self, step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
        """A step ended. One that an earlier run completed did nothing, so that there is nothing to tell."""
        at, ended = datetime.now(UTC), record.model_copy()
        stopped = self._live.state == "interrupted"  # said of the run before its steps are stopped
        if ended.state == "skipped":
            if ended.error is None:
                return
            self.step_started(step)
        self._sender.put(lambda: self._made().step_finished(step, ended, at, stopped=stopped))

    def run_finished(self, run: RunRecord) -> None:
        """The run is over: tell it, wait for what is not sent yet, and warn of what was not sent."""
        at, ended = datetime.now(UTC), run.model_copy(update={"ledger": []})
        self._sender.put(lambda: self._made().run_finished(ended, at))
        stopped = run.error is not None or run.state not in {"done", "failed"}
        problem = self._sender.finish(*((WAIT_AFTER_STOP, WAIT_AFTER_STOP) if stopped else _limits()))
        if problem is not None:
            log.warning("OpenLineage: %s", problem)

    def _made(self) -> RunEvents:
        """What makes the events; imported by the thread, because that takes a third of a second."""
        if self._events is None:
            from omopcloudetl.openlineage.run_events import RunEvents

            self._events = RunEvents(self._plan, self._run)
        return self._events


def _limits() -> tuple[float, float]:
    """Seconds to wait for all events, and for one."""
    asked = os.environ.get(WAIT_VARIABLE)
    if not asked:
        return WAIT, WAIT_FOR_ONE
    try:
        seconds = max(0.0, float(asked))
    except ValueError:
        log.warning("OpenLineage: %s is %r; write a number of seconds", WAIT_VARIABLE, asked)
        return WAIT, WAIT_FOR_ONE
    return seconds, seconds
