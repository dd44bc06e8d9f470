"""`omopcloudetl doctor`: looks at all that a run needs, and says what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.errors import FAILED
from omopcloudetl.cli.options import ProjectOptions, format_option, project_options
from omopcloudetl.cli.output import emit, plural, printable

if TYPE_CHECKING:
    from omopcloudetl.core.findings import Finding, Report

COLORS = {"ok": "green", "warning": "yellow", "problem": "red", "skipped": "bright_black"}


@click.command
@project_options
@click.option("--all-targets", is_flag=True, help="Look at every target that can be run.")
@format_option
@click.pass_context
def doctor(context: click.Context, options: ProjectOptions, all_targets: bool, as_json: bool) -> None:
    """Look at all that a run needs, and say what is wrong.

    Packages, plugins, files, secrets, connections, rights, disk. Nothing that is made to look stays, and no secret
    is shown. The exit code is 1 if there is a problem.
    """
    from omopcloudetl.core.private_files import only_for_owner
    from omopcloudetl.core.projects import examine_project

    if all_targets and options.target is not None:
        raise click.UsageError("give --target or --all-targets, not both")
    with only_for_owner():
        report = examine_project(
            options.project, target=options.target, all_targets=all_targets, variables=options.variables
        )
    emit(as_json, report.to_json, lambda: _show(report))
    if not report.healthy:
        context.exit(FAILED)


def _show(report: Report) -> None:
    target: str | None = None
    for finding in report.findings:
        if finding.target != target:
            target = finding.target
            click.secho(f"\ntarget {target}", bold=True)
        _show_finding(finding)
    problems, warnings = len(report.of("problem")), len(report.of("warning"))
    click.echo(f"\n{plural(problems, 'problem')}, {plural(warnings, 'warning')}")


def _show_finding(finding: Finding) -> None:
    first, *rest = printable(finding.found).splitlines() or [""]
    click.echo(f"{click.style(f'{finding.outcome:7}', fg=COLORS[finding.outcome])}  {finding.check}: {first}")
    for line in rest:
        click.echo(f"         {line}")
    if finding.help and finding.outcome != "ok":
        click.echo(f"         help: {printable(finding.help)}")
