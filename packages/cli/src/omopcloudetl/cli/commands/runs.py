"""`omopcloudetl runs`: what earlier runs did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.options import format_option, project_option
from omopcloudetl.cli.output import emit

if TYPE_CHECKING:
    from omopcloudetl.core.runs import RunRecord


@click.group(invoke_without_command=True)
@project_option
@format_option
@click.pass_context
def runs(context: click.Context, project: Path, as_json: bool) -> None:
    """List the runs of a project, or show one."""
    if context.invoked_subcommand is not None:
        return
    from omopcloudetl.cli.projects import state_folder
    from omopcloudetl.core.run_store import list_runs

    records = list_runs(state_folder(project))

    def document() -> dict[str, object]:
        heads = [record.model_dump(mode="json", exclude={"steps", "ledger"}) for record in records]
        return {"runs": heads}

    def text() -> None:
        from omopcloudetl.cli.tables import show_runs

        if records:
            show_runs(records)
        else:
            click.echo("no runs yet")

    emit(as_json, document, text)


@runs.command
@click.argument("run_id", metavar="ID")
@project_option
@format_option
def show(run_id: str, project: Path, as_json: bool) -> None:
    """Show one run: its steps, the rows of the CDM tables and the ledger."""
    from omopcloudetl.cli.projects import state_folder
    from omopcloudetl.core.run_store import read_run

    record = read_run(state_folder(project), run_id)
    emit(as_json, lambda: record.model_dump(mode="json"), lambda: _show(record))


def _show(record: RunRecord) -> None:
    from omopcloudetl.cli.tables import show_result, show_steps, summary

    click.echo(f"{record.name} on {record.target} ({record.provider}), CDM {record.cdm_version}")
    click.echo(f"started {record.started_at:%Y-%m-%d %H:%M:%S %Z}, plan {record.plan_hash[:12]}")
    show_steps(record.steps)
    show_result(record)
    click.echo(f"\n{summary(record)}")
