"""A run's ledger: as text with its reasons and its balance, as a document, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.output import one_line, plural
from omopcloudetl.cli.tables import Cell, show_fates, show_table
from omopcloudetl.core.ledger import Entry, LedgerEntry, LedgerRow, pivot_ledger

if TYPE_CHECKING:
    from omopcloudetl.core.runs import RunRecord

WITH_REASONS: tuple[Entry, ...] = ("fan_out", "excluded", "merged", "quarantined")
COLUMNS = ("run_id", "mapping", "entry", "target_table", "reason", "row_count")


def show_run_ledger(record: RunRecord, entries: Sequence[LedgerEntry]) -> None:
    """What became of the rows, why, and that it adds up."""
    lines = pivot_ledger(entries)
    started = f"{record.started_at:%Y-%m-%d %H:%M:%S %Z}"
    click.echo(f"{record.name} on {record.target}, run {record.run_id} of {started}: {record.state}")
    show_fates(lines)
    _show("Why", ("mapping", "fate", "table", "reason", "rows"), _reasons(entries))
    _show(
        "Texts cut", ("mapping", "field", "values"), [(x.mapping, *cut) for x in lines for cut in x.truncated.items()]
    )
    earlier = [
        (x.mapping, table, x.kept.get(table, 0), x.deleted.get(table, 0))
        for x in lines
        for table in dict.fromkeys([*x.kept, *x.deleted])
    ]
    _show("Rows of earlier runs", ("mapping", "table", "kept", "deleted"), earlier)
    click.echo(f"\n{balance(lines)}")


def balance(lines: Sequence[LedgerRow]) -> str:
    """The sum of all mappings as an equation."""
    out = {
        "excluded": sum(x.excluded for x in lines),
        "merged": sum(x.merged for x in lines),
        "present": sum(x.present for x in lines),
        "quarantined": sum(x.quarantined for x in lines),
        "written": sum(sum(x.written.values()) for x in lines),
    }
    into = f"{sum(x.source for x in lines):,} source + {sum(x.fan_out for x in lines):,} fan-out"
    parts = " + ".join(f"{count:,} {name}" for name, count in out.items() if count or name != "present")
    return f"balance: {into} {'≠' if unbalanced(lines) else '='} {parts}"


def unbalanced(lines: Sequence[LedgerRow]) -> list[str]:
    """The mappings that do not balance, each with what is wrong; there are none in what a run kept."""
    return [
        f"{line.mapping} {'lacks' if line.balance > 0 else 'has too many:'} {plural(abs(line.balance), 'row')}"
        for line in lines
        if line.balance
    ]


def ledger_document(record: RunRecord, entries: Sequence[LedgerEntry]) -> dict[str, object]:
    """The ledger for programs: one object a mapping, and the entries as `work.ledger` has them."""
    head = record.model_dump(mode="json", include={"run_id", "name", "target", "state", "started_at", "plan_hash"})
    lines = [asdict(line) | {"balance": line.balance} for line in pivot_ledger(entries)]
    return {**head, "mappings": lines, "entries": [entry.model_dump(mode="json") for entry in entries]}


def ledger_csv(record: RunRecord, entries: Sequence[LedgerEntry]) -> str:
    """The ledger's entries as CSV, each with the run's id."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        row = entry.model_dump(mode="json") | {"run_id": record.run_id}
        writer.writerow([row[name] for name in COLUMNS])
    return text.getvalue()


def _reasons(entries: Sequence[LedgerEntry]) -> list[tuple[Cell, ...]]:
    return [
        (x.mapping, x.entry.replace("_", "-"), x.target_table, one_line(x.reason or ""), x.row_count)
        for x in entries
        if x.entry in WITH_REASONS and x.row_count
    ]


def _show(title: str, headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    if rows:
        show_table(title, headers, rows)
