"""Finds what a run's report is made from: its record, and the plan that was run."""

from __future__ import annotations

from omopcloudetl.core.errors import PlanError, RunError
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.report.page import make_page
from omopcloudetl.core.run_history import RunHistory


def report_run(
    history: RunHistory, run_id: str | None, plan: CompiledWorkflowPlan | None = None, go_on: str = ""
) -> str:
    """The page of a run; see `projects.make_report`.

    Raises:
        RunError: There is no such run.
        PlanError: The plan is not the one that was run.
    """
    record = history.read_run(run_id)
    if plan is None:
        return make_page(record, _kept_plan(history, record.run_id), go_on=go_on)
    if plan.content_hash != record.plan_hash:
        hashes = f"plan {record.plan_hash[:12]}, and this is plan {plan.content_hash[:12]}"
        raise PlanError(f"run {record.run_id} was made by {hashes}; give the plan of that run, or none")
    return make_page(record, plan, go_on=go_on)


def _kept_plan(history: RunHistory, run_id: str) -> CompiledWorkflowPlan | None:
    """The plan that the store kept; runs of before there was one have none, and the page says so."""
    try:
        return history.plan_of(run_id)
    except RunError:
        return None
