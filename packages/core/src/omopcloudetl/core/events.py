"""Tells the listeners among the plugins what happens in a run, without letting them break it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep
from omopcloudetl.core.runs import RunRecord, StepRecord

if TYPE_CHECKING:
    import pluggy


class RunEvents:
    """Calls the run events of every registered plugin; a listener that fails is warned about, not obeyed."""

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._hooks = manager.hook

    def run_started(self, plan: CompiledWorkflowPlan, run: RunRecord) -> None:
        """A run begins."""
        self._tell("omopcloudetl_run_started", plan=plan, run=run)

    def step_started(self, step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
        """A step begins."""
        self._tell("omopcloudetl_step_started", step=step, record=record)

    def step_retried(self, step: SqlStep | BulkLoadStep, record: StepRecord, wait: float) -> None:
        """An attempt at a step failed, and another one begins in so many seconds."""
        self._tell("omopcloudetl_step_retried", step=step, record=record, wait=wait)

    def step_finished(self, step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
        """A step is done, failed or skipped."""
        self._tell("omopcloudetl_step_finished", step=step, record=record)

    def run_finished(self, plan: CompiledWorkflowPlan, run: RunRecord) -> None:
        """A run is over, one way or the other."""
        self._tell("omopcloudetl_run_finished", plan=plan, run=run)

    def _tell(self, hook: str, **arguments: object) -> None:
        # One by one, because pluggy stops at the first listener that fails.
        for listener in getattr(self._hooks, hook).get_hookimpls():
            try:
                listener.function(*(arguments[name] for name in listener.argnames))
            except Exception as error:  # noqa: BLE001  # a listener of a stranger may raise anything
                message = f"{listener.plugin_name}, a listener to {hook}, failed: {error!r}"
                warnings.warn(message, RuntimeWarning, stacklevel=3)
