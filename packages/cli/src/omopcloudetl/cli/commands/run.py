"""`omopcloudetl run`: compiles a project and executes the plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.errors import FAILED
from omopcloudetl.cli.options import (
    ProjectOptions,
    RunOptions,
    format_option,
    project_options,
    run_options,
)
from omopcloudetl.cli.output import emit, typed

if TYPE_CHECKING:
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.runs import RunRecord
    from omopcloudetl.core.session import Session


@click.command
@project_options
@click.option("--dry-run", is_flag=True, help="Walk the plan and touch nothing.")
@click.option("--resume", is_flag=True, help="Skip what the last run completed unchanged.")
@run_options
@format_option
@click.pass_context
def run(
    context: click.Context,
    options: ProjectOptions,
    watch: RunOptions,
    dry_run: bool,
    resume: bool,
    as_json: bool,
) -> None:
    """Compile a project and run it on its target.

    Running twice leaves the same CDM as running once. The exit code is 1 if a step failed.
    """
    from omopcloudetl.cli.projects import open_session

    session = open_session(options)
    plan = session.compile()
    record = run_plan(session, plan, watch, dry_run=dry_run, resume=resume)
    emit(as_json, lambda: record.model_dump(mode="json"), lambda: _show(record, plan, options))
    if record.state == "failed":
        context.exit(FAILED)


def run_plan(
    session: Session,
    plan: CompiledWorkflowPlan,
    watch: RunOptions,
    *,
    dry_run: bool = False,
    resume: bool = False,
) -> RunRecord:
    """Run a plan while it is typed."""
    from omopcloudetl.cli.progress import watching

    with watching(watch) as listeners:
        return session.run(plan, dry_run=dry_run, resume=resume, listeners=listeners)


def _show(record: RunRecord, plan: CompiledWorkflowPlan, options: ProjectOptions) -> None:
    from omopcloudetl.cli.tables import show_plan, show_result, summary

    if record.state == "dry_run":
        show_plan(plan)
    show_result(record)
    click.echo(f"\n{summary(record)}")
    if record.state == "failed":
        where = "" if options.project == Path() else f" --project {typed(options.project)}"
        click.echo(f"when the cause is gone: omopcloudetl run{where} --resume")
