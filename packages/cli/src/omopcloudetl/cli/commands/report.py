"""`omopcloudetl report`: a run as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.options import ProjectOptions, project_option
from omopcloudetl.cli.output import printable, shown

if TYPE_CHECKING:
    from omopcloudetl.core.plan import CompiledWorkflowPlan


@click.command
@click.argument("run_id", metavar="[RUN]", required=False)
@project_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write to FILE, or to stdout for '-'; without this to report-RUN.html in the current folder.",
)
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The run's plan as `compile -o` wrote it, where the run did not keep it.",
)
def report(run_id: str | None, project: Path, output: str | None, plan_file: Path | None) -> None:
    """Write a run's report: one HTML file that needs no other, to read, to print or to send.

    RUN is a run's id, of which the beginning is enough; without one it is the newest run. The page has the run's
    outcome, its timeline, the ledger, the lineage of tables, and every step with its SQL. No database is opened. Only
    the owner may read the file: texts of errors may quote values of patients.
    """
    from omopcloudetl.cli.commands.run import resume_command
    from omopcloudetl.cli.projects import find_run
    from omopcloudetl.core.projects import make_report

    record = find_run(project, run_id, "RUN")
    go_on = resume_command(ProjectOptions(project, record.target, {})) if record.state != "done" else ""
    page = make_report(project, record.run_id, plan=_read(plan_file), go_on=go_on)
    if output == "-":
        click.echo(page.encode(), nl=False)
        return
    path = Path(output or f"report-{record.run_id}.html")
    _write(path, page.encode())
    click.echo(printable(f"report of run {record.run_id} ({record.state}): {shown(path)}"))


def _read(plan_file: Path | None) -> CompiledWorkflowPlan | None:
    if plan_file is None:
        return None
    from omopcloudetl.core.plan import CompiledWorkflowPlan

    try:
        return CompiledWorkflowPlan.from_json(plan_file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise click.BadParameter(f"{plan_file} is not a plan: it is no text", param_hint="--plan") from None


def _write(path: Path, content: bytes) -> None:
    from omopcloudetl.core.private_files import write_private

    try:
        write_private(path, content)
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from None
