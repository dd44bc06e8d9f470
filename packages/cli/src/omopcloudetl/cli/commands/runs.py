"""`omopcloudetl runs`: what earlier runs did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.options import format_option, project_option
from omopcloudetl.cli.output import emit, warn

if TYPE_CHECKING:
    from omopcloudetl.core.runs import RunRecord


@click.group(invoke_without_command=True)
@project_option
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="Only the newest N."
)
@format_option
@click.pass_context
def runs(context: click.Context, project: Path, limit: int, as_json: bool) -> None:
    """List the runs of a project, or show one, or what happened in it."""
    if context.invoked_subcommand is not None:
        return
    from omopcloudetl.core.projects import list_runs

    records = list_runs(project, limit=limit)

    def document() -> dict[str, object]:
        return {"runs": [_head(record) for record in records]}

    def text() -> None:
        from omopcloudetl.cli.tables import show_runs

        if records:
            show_runs(records)
        else:
            click.echo("no runs yet")

    emit(as_json, document, text)


@runs.command
@click.argument("run_id", metavar="[ID]", required=False)
@project_option
@format_option
def show(run_id: str | None, project: Path, as_json: bool) -> None:
    """Show one run: its steps and when they ran, the rows of the CDM tables and the ledger.

    The beginning of an ID is enough; without one it is the newest run.
    """
    from omopcloudetl.cli.findings import run_document
    from omopcloudetl.cli.projects import find_run

    record = find_run(project, run_id, "ID")
    emit(as_json, lambda: run_document(record), lambda: _show(record))


@runs.command
@click.argument("run_id", metavar="[RUN]", required=False)
@project_option
@format_option
def log(run_id: str | None, project: Path, as_json: bool) -> None:
    """Show what happened in a run, line by line: steps, attempts, warnings; also while it goes on.

    RUN is a run's id, of which the beginning is enough; without one it is the newest run. Times are in UTC.
    """
    from omopcloudetl.cli.projects import run_argument
    from omopcloudetl.core.projects import read_run_log

    with run_argument(run_id, "RUN"):
        found, entries = read_run_log(project, run_id)

    def document() -> dict[str, object]:
        return {"run_id": found, "log": [entry.model_dump(mode="json") for entry in entries]}

    def text() -> None:
        from omopcloudetl.cli.tables import show_log

        show_log(entries)

    emit(as_json, document, text)


def _head(record: RunRecord) -> dict[str, object]:
    from omopcloudetl.cli.findings import run_error

    return record.model_dump(mode="json", exclude={"steps", "ledger", "error"}) | run_error(record)


def _show(record: RunRecord) -> None:
    from omopcloudetl.cli.tables import show_notes, show_result, show_steps, summary
    from omopcloudetl.cli.timelines import show_timeline

    click.echo(f"{record.name} on {record.target} ({record.provider}), CDM {record.cdm_version}")
    click.echo(f"started {record.started_at:%Y-%m-%d %H:%M:%S %Z}, plan {record.plan_hash[:12]}")
    show_steps(record.steps)
    show_timeline(record)
    show_result(record)
    click.echo(f"\n{summary(record)}")
    show_notes(record)
    warn(record.warnings())
