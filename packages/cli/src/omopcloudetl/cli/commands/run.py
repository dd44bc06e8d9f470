"""`omopcloudetl run`: compiles a project and executes the plan."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.errors import FAILED
from omopcloudetl.cli.options import (
    ProjectOptions,
    RunOptions,
    State,
    format_option,
    project_options,
    run_options,
)
from omopcloudetl.cli.output import emit, shown, this_command, warn

if TYPE_CHECKING:
    from omopcloudetl.cli.run_watch import RunWatch
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.runs import RunRecord
    from omopcloudetl.core.session import Session

UNSEEN = "changed data files are not noticed"
SKIPS = f"skips steps that completed unchanged; {UNSEEN}"
CHANGED = f"Runs what changed since the last run and what depends on it; {UNSEEN}."
SAME_COMMAND = "the same command with --resume"
NOT_BEGUN = "interrupted before the run began: nothing was changed"
LONGEST_COMMAND = 100


def _as_resume(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Let `--changed` stand for `--resume`: it is the same, said of a run that completed."""
    if value and context.params.get("resume"):
        raise click.UsageError("say --resume to go on with a run, or --changed to repeat what changed: not both")
    context.params["resume"] = value or context.params.get("resume", False)


@click.command
@project_options
@click.option("--dry-run", is_flag=True, help="Walk the plan and touch nothing.")
@click.option("--resume", is_flag=True, expose_value=False, callback=_as_resume, help=f"{SKIPS.capitalize()}.")
@click.option("--changed", is_flag=True, expose_value=False, callback=_as_resume, help=CHANGED)
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
    from omopcloudetl.cli.findings import run_document
    from omopcloudetl.cli.projects import compile_and_warn, open_session

    context.ensure_object(State).interrupted = lambda: NOT_BEGUN
    session = open_session(options)
    plan, warnings = compile_and_warn(session, options, as_json=as_json)
    record = run_plan(session, plan, options, watch, dry_run=dry_run, resume=resume)
    emit(as_json, lambda: {**run_document(record), "diagnostics": warnings}, lambda: _show(record, plan, options))
    if record.state == "failed":
        context.exit(FAILED)


def run_plan(
    session: Session,
    plan: CompiledWorkflowPlan,
    options: ProjectOptions,
    watch: RunOptions,
    *,
    dry_run: bool = False,
    resume: bool = False,
) -> RunRecord:
    """Run a plan while it is typed."""
    from omopcloudetl.cli.progress import watching
    from omopcloudetl.cli.run_watch import RunWatch
    from omopcloudetl.core.private_files import only_for_owner

    state = click.get_current_context().ensure_object(State)
    seen = RunWatch(lambda run_id: setattr(state, "run_id", run_id))
    state.interrupted = lambda: _interrupted(seen, options)
    with only_for_owner(), watching(watch) as listeners:
        return session.run(plan, dry_run=dry_run, resume=resume, listeners=[seen, *listeners])


def _interrupted(seen: RunWatch, options: ProjectOptions) -> str:
    if seen.run is None:
        return NOT_BEGUN
    return f"interrupted: {seen.completed()}; to go on: {resume_command(options)}"


def resume_command(options: ProjectOptions) -> str:
    """The command that goes on with a run of these options, to be copied; a long one is not repeated."""
    words = [*this_command().split(), "run"]
    if options.project != Path():
        words += ["--project", shown(options.project)]
    if options.target is not None:
        words += ["--target", options.target]
    for name, value in options.variables.items():
        words += ["--var", f"{name}={value}"]
    command = shlex.join([*words, "--resume"])
    return command if len(command) <= LONGEST_COMMAND or not options.variables else SAME_COMMAND


def show_how_to_go_on(options: ProjectOptions) -> None:
    """What to do after a run failed."""
    click.echo(f"when the cause is gone: {resume_command(options)}")
    click.echo(f"(it {SKIPS})")


def _show(record: RunRecord, plan: CompiledWorkflowPlan, options: ProjectOptions) -> None:
    from omopcloudetl.cli.tables import show_notes, show_plan, show_result, summary

    if record.state == "dry_run":
        click.echo(f"dry run on target {record.target} ({record.provider}): these steps would run, none of them does\n")
        show_plan(plan)
    show_result(record)
    click.echo(f"\n{summary(record)}")
    show_notes(record)
    warn(record.warnings())
    if record.state == "failed":
        show_how_to_go_on(options)
