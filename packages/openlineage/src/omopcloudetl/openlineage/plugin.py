"""Listens to runs and tells them to OpenLineage, where that is configured; without it this does nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from omopcloudetl.core.hookspecs import hookimpl

if TYPE_CHECKING:
    from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep
    from omopcloudetl.core.runs import RunRecord, StepRecord
    from omopcloudetl.openlineage.reporter import Reporter

_reporters: dict[str, Reporter] = {}
"""The runs of this process that are being told, by their ids: hooks of steps are not told their run."""


@hookimpl
def omopcloudetl_run_started(plan: CompiledWorkflowPlan, run: RunRecord) -> None:
    """Begin to tell a run, if anything says where to."""
    from omopcloudetl.openlineage.configuration import is_configured

    if is_configured(os.environ, Path.cwd(), Path.home()):
        from omopcloudetl.openlineage.reporter import Reporter

        _reporters[run.run_id] = Reporter(plan, run)


@hookimpl
def omopcloudetl_step_started(step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
    """Tell that a step begins."""
    for reporter in _of(record):
        reporter.step_started(step)


@hookimpl
def omopcloudetl_step_finished(step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
    """Tell how a step ended."""
    for reporter in _of(record):
        reporter.step_finished(step, record)


@hookimpl
def omopcloudetl_run_finished(run: RunRecord) -> None:
    """Tell how the run ended, and wait a little for what is not sent yet."""
    reporter = _reporters.pop(run.run_id, None)
    if reporter is not None:
        reporter.run_finished(run)


def _of(record: StepRecord) -> list[Reporter]:
    """The run that a step's record is of; the only one that there is, should its records be copies."""
    found = list(_reporters.values())
    return found if len(found) == 1 else [reporter for reporter in found if reporter.knows(record)]
