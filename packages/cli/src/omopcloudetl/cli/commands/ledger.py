"""`omopcloudetl ledger`: what became of every source row of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.errors import FAILED
from omopcloudetl.cli.options import project_option, remember_form
from omopcloudetl.cli.output import typed, warn, write_json
from omopcloudetl.core.errors import RunError, UnknownNameError

if TYPE_CHECKING:
    from omopcloudetl.core.ledger import LedgerEntry
    from omopcloudetl.core.runs import RunRecord


@click.command
@click.argument("run_id", metavar="[RUN]", required=False)
@project_option
@click.option("--mapping", "mappings", metavar="NAME", multiple=True, help="Only this one; may be given several times.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    callback=remember_form,
    is_eager=True,
    help="Text for people, one JSON document, or CSV with a line for each entry.",
)
@click.pass_context
def ledger(context: click.Context, run_id: str | None, project: Path, mappings: tuple[str, ...], form: str) -> None:
    """Show what became of every source row: written, set aside and why, left out, merged.

    RUN is a run's id, of which the beginning is enough; without one it is the newest run. What is shown is the
    ledger that the run's record keeps, so that no database is opened.
    """
    from omopcloudetl.cli.ledgers import ledger_csv, ledger_document, show_run_ledger, unbalanced
    from omopcloudetl.cli.projects import find_run
    from omopcloudetl.core.ledger import pivot_ledger

    record = find_run(project, run_id, "RUN")
    entries = _entries(record, project, mappings)
    match form:
        case "json":
            write_json(ledger_document(record, entries))
        case "csv":
            click.echo(ledger_csv(record, entries), nl=False)
        case _:
            show_run_ledger(record, entries)
    wrong = unbalanced(pivot_ledger(entries))
    if wrong:
        warn(f"the ledger does not balance: {words}" for words in wrong)
        context.exit(FAILED)


def _entries(record: RunRecord, project: Path, mappings: tuple[str, ...]) -> list[LedgerEntry]:
    if not record.ledger:
        raise RunError(_without_ledger(record, project))
    try:
        return record.ledger_entries(*mappings)
    except UnknownNameError as error:
        raise click.BadParameter(str(error), param_hint="--mapping") from None


def _without_ledger(record: RunRecord, project: Path) -> str:
    """Why a run has no ledger, and which one has."""
    from omopcloudetl.core.projects import list_runs

    why = {"dry_run": "it was a dry run", "running": "it has not ended", "done": "it has no mappings"}
    step = next((step for step in record.steps if step.name == "ledger" and step.error), None)
    reason = step.error if step is not None else why.get(record.state, record.error or "it failed before")
    other = next((run.run_id for run in list_runs(project) if run.ledger), None)
    place = "" if project == Path() else f" --project {typed(project)}"
    hint = f"; the newest that has one: omopcloudetl ledger {other}{place}" if other else ""
    return f"run {record.run_id} has no ledger: {reason}{hint}"
