"""`omopcloudetl compile`: turns a project into a plan, to read or to keep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.options import ProjectOptions, format_option, project_options
from omopcloudetl.cli.output import emit, plural

if TYPE_CHECKING:
    from omopcloudetl.core.plan import CompiledWorkflowPlan


@click.command("compile")
@project_options
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write the plan as JSON to FILE, or to stdout for '-'.",
)
@click.option("--sql", is_flag=True, help="Print the plan's SQL as one script.")
@format_option
def compile_command(options: ProjectOptions, output: str | None, sql: bool, as_json: bool) -> None:
    """Compile a project into a plan and show its steps.

    The same files, variables and target give the same plan, byte for byte.
    """
    if sql and (as_json or output == "-"):
        raise click.UsageError("--sql prints to stdout; it goes with neither -o - nor --format json")
    from omopcloudetl.cli.projects import compile_and_warn, open_session

    plan, warnings = compile_and_warn(open_session(options), options, as_json=as_json)
    if output == "-":
        click.echo(plan.to_json().encode(), nl=False)
        return
    if output is not None:
        write_plan(plan, Path(output))
    if sql:
        click.echo(plan.sql())
        return
    emit(as_json, lambda: {**_document(plan, output), "diagnostics": warnings}, lambda: _show(plan, output))


def write_plan(plan: CompiledWorkflowPlan, file: Path) -> None:
    """Write a plan as JSON, for the owner only; what the file system refuses is a message."""
    from omopcloudetl.core.private_files import write_private

    try:
        write_private(file, plan.to_json().encode())
    except OSError as error:
        raise click.FileError(str(file), error.strerror) from None


def _document(plan: CompiledWorkflowPlan, output: str | None) -> dict[str, object]:
    """The plan without its statements; `-o` is for those."""
    head = plan.model_dump(mode="json", exclude={"steps", "ledger", "counted_tables"})
    steps = []
    for step in plan.steps:
        values = step.model_dump(mode="json", exclude={"statements"})
        count = {"statements": len(step.statements)} if step.kind == "sql" else {}
        steps.append(values | count)
    return {**head, "steps": steps, "output": output}


def _show(plan: CompiledWorkflowPlan, output: str | None) -> None:
    from omopcloudetl.cli.tables import show_plan

    show_plan(plan)
    where = f", written to {output}" if output is not None else ""
    steps = f"{plural(len(plan.steps), 'step')} for {plan.provider}, CDM {plan.cdm_version}"
    click.echo(f"\n{plan.name}: {steps}; plan {plan.content_hash[:12]}{where}")
