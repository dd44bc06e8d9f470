"""`omopcloudetl demo`: a project with demo data, made and run in one go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.errors import FAILED
from omopcloudetl.cli.messages import tell
from omopcloudetl.cli.options import (
    ProjectOptions,
    RunOptions,
    State,
    format_option,
    run_options,
)
from omopcloudetl.cli.output import emit, shown, this_command, typed, warn
from omopcloudetl.cli.projects import PROJECT_FILE

if TYPE_CHECKING:
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.runs import RunRecord
    from omopcloudetl.core.session import Session

TEMPLATE = "synthea"


@click.command
@click.argument("directory", metavar="[DIR]", type=click.Path(path_type=Path), default=Path("omop-demo"))
@run_options
@format_option
@click.pass_context
def demo(context: click.Context, directory: Path, watch: RunOptions, as_json: bool) -> None:
    """Make a project with demo data, run it, show what came out.

    DIR is omop-demo unless it is given. A demo project that is there already is run again. The CDM
    is a DuckDB file in DIR; nothing but DIR is touched.
    """
    from omopcloudetl.cli.commands.compile import write_plan
    from omopcloudetl.cli.commands.run import run_plan
    from omopcloudetl.cli.findings import run_document
    from omopcloudetl.cli.projects import compile_and_warn, open_session

    context.ensure_object(State).project = directory
    new = prepare(directory)
    if not watch.quiet:
        made = "made from" if new else "was there already:"
        text = f"project {shown(directory)} {made} template {TEMPLATE}"
        tell(text, "project_made" if new else "project_found", project=shown(directory), template=TEMPLATE)
    options = ProjectOptions(directory, target=None, variables={})
    session = open_session(options)
    plan, warnings = compile_and_warn(session, options, as_json=as_json)
    plan_file = directory / "plan.json"
    write_plan(plan, plan_file)
    record = run_plan(session, plan, options, watch)
    places = _places(session, plan, plan_file)
    emit(
        as_json,
        lambda: {**places, "diagnostics": warnings, "run": run_document(record)},
        lambda: _show(record, options, places),
    )
    if record.state == "failed":
        context.exit(FAILED)


def prepare(directory: Path) -> bool:
    """Make the demo's project and data unless they are there; returns whether it was made.

    A folder that holds anything else is a wrong argument.
    """
    from omopcloudetl.core.projects import create_demo
    from omopcloudetl.core.templates import TemplateError

    try:
        return create_demo(directory)
    except TemplateError as error:
        words = str(error)
        if (directory / PROJECT_FILE).exists():
            words += f"; name another folder, or run this one with: {this_command()} run --project {typed(directory)}"
        raise click.UsageError(words) from None


def _places(session: Session, plan: CompiledWorkflowPlan, plan_file: Path) -> dict[str, str]:
    """Where a user finds what was made; of the connection's settings only a path is shown."""
    path = session.project.target.connection.get("path")
    place = f" ({shown(session.root / path)})" if isinstance(path, str) and "$" not in path else ""
    return {
        "project": shown(session.root),
        "database": f"{plan.provider}{place}",
        "schemas": ", ".join(sorted(set(plan.schemas.values()))),
        "plan": shown(plan_file),
    }


def _show(record: RunRecord, options: ProjectOptions, places: dict[str, str]) -> None:
    from omopcloudetl.cli.commands.run import show_how_to_go_on
    from omopcloudetl.cli.tables import show_result, show_table, summary

    show_result(record)
    click.echo(f"\n{summary(record)}")
    warn(record.warnings())
    if record.state == "failed":
        show_how_to_go_on(options)
    show_table("Where things are", ("", ""), list(places.items()))
    directory = options.project
    project = typed(directory)
    command = this_command()
    edit = f"edit {shown(directory / 'mappings')}, then {command} run --project {project}"
    click.secho("\nNext", bold=True)
    click.echo(f"see the SQL    {command} compile --project {project} --sql")
    click.echo(f"see the runs   {command} runs --project {project}")
    click.echo(f"change a rule  {edit}")
    click.echo(f"use your data  {command} init my-cdm --template {TEMPLATE}")
