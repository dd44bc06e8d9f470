"""`omopcloudetl test`: runs the tests that mappings have beside their rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.errors import FAILED
from omopcloudetl.cli.options import ProjectOptions, format_option, project_options
from omopcloudetl.cli.output import emit
from omopcloudetl.core.errors import UnknownNameError

if TYPE_CHECKING:
    from omopcloudetl.core.rule_tests.report import RuleTestReport


@click.command
@click.argument("mappings", nargs=-1, metavar="[MAPPING]...")
@project_options
@click.option("-v", "--verbose", is_flag=True, help="A line for each test, also for those that passed.")
@format_option
@click.pass_context
def test(
    context: click.Context, mappings: tuple[str, ...], options: ProjectOptions, verbose: bool, as_json: bool
) -> None:
    """Run the rule tests of mappings, or of all of them.

    MAPPING is a mapping's name or its file. Each is compiled alone, for a DuckDB in memory, whatever the target; no
    database of the project is opened. Rows that differ are shown. The exit code is 1 if a test failed.
    """
    report = _run(mappings, options)

    def text() -> None:
        from omopcloudetl.cli.errors import show_diagnostics
        from omopcloudetl.cli.rule_tests import show_report

        show_diagnostics(report.warnings, options.project)
        show_report(report, verbose=verbose)

    emit(as_json, report.to_json, text)
    if not report.passed:
        context.exit(FAILED)


def _run(mappings: tuple[str, ...], options: ProjectOptions) -> RuleTestReport:
    from omopcloudetl.core.projects import check_rules

    try:
        return check_rules(options.project, *mappings, target=options.target, variables=options.variables)
    except UnknownNameError as error:
        raise click.BadParameter(str(error), param_hint="MAPPING") from None
