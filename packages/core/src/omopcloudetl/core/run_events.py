"""The events of a run as objects, for a function that is called with each of them."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep
from omopcloudetl.core.runs import RunRecord, StepRecord
from omopcloudetl.core.text import one_line, plural


@dataclass(frozen=True, repr=False)
class RunStarted:
    """A run begins."""

    plan: CompiledWorkflowPlan
    run: RunRecord
    """The record, which is filled in as the run goes on."""

    def __repr__(self) -> str:
        return f"run {self.run.run_id} of {self.plan.name} on {self.run.target}: {plural(len(self.plan.steps), 'step')}"


@dataclass(frozen=True, repr=False)
class StepStarted:
    """A step begins."""

    step: SqlStep | BulkLoadStep
    record: StepRecord
    """As it was at this moment."""

    def __repr__(self) -> str:
        return f"{self.step.name}: {one_line(self.step.summary)}"


@dataclass(frozen=True, repr=False)
class StepRetried:
    """An attempt at a step failed, and the step will be tried again."""

    step: SqlStep | BulkLoadStep
    record: StepRecord
    """As it was at this moment; its last attempt says what failed."""
    wait: float
    """Seconds until the next attempt."""

    def __repr__(self) -> str:
        attempts = self.record.attempts
        why = one_line(attempts[-1].error or "") if attempts else ""
        return f"{self.step.name}: tried again in {self.wait:.1f} s{f', {why}' if why else ''}"


@dataclass(frozen=True, repr=False)
class StepFinished:
    """A step is done, failed or skipped."""

    step: SqlStep | BulkLoadStep
    record: StepRecord
    """With state, seconds, rows and error."""

    def __repr__(self) -> str:
        parts = [f"{self.step.name}: {self.record.state}"]
        parts += [plural(self.record.rows, "row")] if self.record.rows is not None else []
        parts += [one_line(self.record.error)] if self.record.error else []
        return ", ".join(parts)


@dataclass(frozen=True, repr=False)
class RunFinished:
    """A run is over."""

    plan: CompiledWorkflowPlan
    run: RunRecord
    """The whole record, with ledger and counts."""

    def __repr__(self) -> str:
        return f"run {self.run.run_id} {self.run.state}"


RunEvent = RunStarted | StepStarted | StepRetried | StepFinished | RunFinished
OnEvent = Callable[[RunEvent], object]


class EventCallback:
    """Listens to a run and calls one function with each event, one at a time and in their order.

    An exception of the function becomes a `RuntimeWarning`: who watches a run cannot break it.
    """

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._lock = threading.RLock()

    @hookimpl
    def omopcloudetl_run_started(self, plan: CompiledWorkflowPlan, run: RunRecord) -> None:
        """Tell that the run begins."""
        self._tell(RunStarted(plan, run))

    @hookimpl
    def omopcloudetl_step_started(self, step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
        """Tell that a step begins; its record goes on changing, so the event has a copy."""
        self._tell(StepStarted(step, record.model_copy(deep=True)))

    @hookimpl
    def omopcloudetl_step_retried(self, step: SqlStep | BulkLoadStep, record: StepRecord, wait: float) -> None:
        """Tell that a step will be tried again."""
        self._tell(StepRetried(step, record.model_copy(deep=True), wait))

    @hookimpl
    def omopcloudetl_step_finished(self, step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
        """Tell how a step ended."""
        self._tell(StepFinished(step, record.model_copy(deep=True)))

    @hookimpl
    def omopcloudetl_run_finished(self, plan: CompiledWorkflowPlan, run: RunRecord) -> None:
        """Tell that the run is over."""
        self._tell(RunFinished(plan, run))

    def _tell(self, event: RunEvent) -> None:
        try:
            with self._lock:
                self._on_event(event)
        except Exception as error:  # noqa: BLE001  # a caller's function may raise anything
            warnings.warn(f"on_event failed at '{event!r}': {error!r}", RuntimeWarning, stacklevel=2)
