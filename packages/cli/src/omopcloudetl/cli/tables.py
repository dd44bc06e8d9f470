"""Tables for people: plans, runs and ledgers as aligned text, folded only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC
from textwrap import indent
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from omopcloudetl.cli.output import one_line, plural, printable
from omopcloudetl.core.errors import abbreviated
from omopcloudetl.core.ledger import LedgerRow, earlier_rows, pivot_ledger, quarantine_reasons
from omopcloudetl.core.text import in_time

if TYPE_CHECKING:
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.run_store import LogEntry
    from omopcloudetl.core.runs import LedgerEntry, RunRecord, StepRecord

Cell = str | int | float | None
UNBOUNDED = 10_000  # a file or a pipe has no width; lines stay whole for grep
WIDE_LEDGER = 115
WIDE_RUNS = 100
FATES = ("source", "fan-out", "excluded", "merged", "quarantined")
PRESENT = "present"  # only where rows are appended
STATE_STYLES = {"failed": "bold red", "died": "bold red", "interrupted": "bold red", "skipped": "yellow"}
LEVEL_STYLES = {"error": "red", "warning": "yellow"}


def show_table(
    title: str, headers: Sequence[str], rows: Sequence[Sequence[Cell]], *, gap: int = 2, whole: int = 0
) -> None:
    """Print a table to stdout; columns of numbers are aligned to the right, the first `whole` are never folded."""
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    table.show_header = any(headers)
    for index, header in enumerate(headers):
        numbers = not any(isinstance(row[index], str) and row[index] for row in rows)
        table.add_column(header, justify="right" if numbers else "left", overflow="fold", no_wrap=index < whole)
    for row in rows:
        table.add_row(*map(_cell, row))
    console = _console()
    with console.capture() as captured:
        if title:
            console.print(Text(f"\n{title}", style="bold"))
        console.print(table)
    lines = (line.rstrip() for line in captured.get().splitlines())  # cells are padded
    click.echo("\n".join(lines), color=True)  # the console knows where colours may be


def terminal_width() -> int | None:
    """The columns of the terminal; None where stdout is none."""
    return _console().width if sys.stdout.isatty() else None


def _console() -> Console:
    width = None if sys.stdout.isatty() else UNBOUNDED
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def _cell(value: Cell) -> Text:
    match value:
        case None:
            return Text("")
        case float():
            return Text(f"{value:,.2f}")
        case int():
            return Text(f"{value:,}")
        case str():
            return Text(printable(value), style=STATE_STYLES.get(value, ""))


def show_plan(plan: CompiledWorkflowPlan) -> None:
    """The steps of a plan in an order in which they could run."""
    rows = [
        (
            index,
            step.name,
            len(step.statements) if step.kind == "sql" else None,
            f"{step.origin.file}:{step.origin.line}",
            step.summary,
        )
        for index, step in enumerate(plan.steps, 1)
    ]
    show_table("", ("#", "step", "statements", "from", "what it does"), rows)


def show_result(record: RunRecord) -> None:
    """The CDM tables, the ledger, and what failed."""
    if record.table_rows:
        filled = [(table, count) for table, count in record.table_rows.items() if count]
        if filled:
            show_table("CDM tables", ("table", "rows"), filled)
        empty = len(record.table_rows) - len(filled)
        if not filled:
            click.echo(f"\nno rows in any of {plural(empty, 'CDM table')}")
        elif empty:
            click.echo(f"and {plural(empty, 'empty table')}")
    if record.ledger:
        show_ledger(record.ledger)
    show_failures(record)


def show_ledger(entries: Sequence[LedgerEntry]) -> None:
    """What became of the rows of each mapping, then the reasons for quarantine."""
    show_fates(pivot_ledger(entries))
    earlier = earlier_rows(entries)
    if earlier:
        show_table("Rows of earlier runs", ("table", "kept", "deleted"), earlier)
    reasons = quarantine_reasons(entries)
    if reasons:
        show_table("Quarantined", ("mapping", "reason", "rows"), reasons)


def show_fates(lines: Sequence[LedgerRow]) -> None:
    """What became of the rows of each mapping, as wide as there is room for."""
    if _console().width < WIDE_LEDGER:
        _show_narrow_ledger(lines)
    else:
        _show_wide_ledger(lines)


def _show_wide_ledger(lines: Sequence[LedgerRow]) -> None:
    """One line for each mapping and table that it wrote."""
    fates = _fate_names(lines)
    rows: list[tuple[Cell, ...]] = []
    for line in lines:
        first: tuple[Cell, ...] = (line.mapping, *_fates(line, fates))
        for table in _tables_of(line) or [""]:
            written = (line.written.get(table, 0), table, line.unmapped.get(table, 0))
            rows.append((*first, *written))
            first = (None,) * len(first)
    show_table("Ledger", ("mapping", *fates, "written", "to", "concept 0"), rows)


def _show_narrow_ledger(lines: Sequence[LedgerRow]) -> None:
    """One line for each mapping, and below it one for each table that it wrote."""
    rows: list[tuple[Cell, ...]] = []
    fates = _fate_names(lines)
    nothing = (None,) * len(fates)
    for line in lines:
        tables = _tables_of(line)
        alone = tables == [line.mapping]  # person writes person: one line says it all
        unmapped = line.unmapped.get(line.mapping, 0) if alone else None
        rows.append((line.mapping, *_fates(line, fates), sum(line.written.values()), unmapped))
        for table in () if alone else tables:
            written = (line.written[table], line.unmapped.get(table, 0))
            rows.append((f" {table}", *nothing, *written))
    headers = ("mapping", *fates, "written", "concept 0")
    folded = [header.replace("-", "-\n").replace(" ", "\n") for header in headers]
    show_table("Ledger", folded, rows, gap=1)


def _fate_names(lines: Sequence[LedgerRow]) -> tuple[str, ...]:
    return (*FATES, PRESENT) if any(line.present for line in lines) else FATES


def _fates(line: LedgerRow, names: Sequence[str]) -> tuple[int, ...]:
    found = (line.source, line.fan_out, line.excluded, line.merged, line.quarantined, line.present)
    return found[: len(names)]


def _tables_of(line: LedgerRow) -> list[str]:
    return sorted(line.written, key=lambda name: (-line.written[name], name))


def show_failures(record: RunRecord) -> None:
    """The steps that failed, with the whole of their error, each error once, and how many waited for them."""
    console = _console()
    failed: dict[str, list[StepRecord]] = {}
    for step in record.failed:
        failed.setdefault(step.error or "no reason was given", []).append(step)
    for error, steps in failed.items():
        names = abbreviated(tuple(step.name for step in steps))
        console.print(Text(f"\nfailed: {names}", style="bold red"))
        console.print(Text(printable(indent(error, "  "))))
        if steps[0].origin:
            more = " and others" if len(steps) > 1 else ""
            console.print(Text(printable(f"  from {steps[0].origin}{more}")))
    if record.error and not record.failed:
        console.print(Text(printable(f"\n{record.error}"), style="bold red"))
    show_skipped(record)


def show_skipped(record: RunRecord) -> None:
    """The steps that did not run, by the reason."""
    console = _console()
    for reason, names in record.skipped().items():
        console.print(Text(printable(f"\nskipped: {abbreviated(tuple(names))}"), style="yellow"))
        console.print(Text(printable(f"  {one_line(reason)}")))


def show_notes(record: RunRecord) -> None:
    """What the steps found that is good to know, a line each."""
    for text in record.notes():
        click.echo(printable(f"note: {one_line(text)}"))


def show_steps(steps: Sequence[StepRecord]) -> None:
    """What happened to each step; the number of tries only where one was not enough."""
    tried = any(len(step.attempts) > 1 for step in steps)
    rows: list[tuple[Cell, ...]] = [
        (
            step.name,
            step.outcome,
            step.rows,
            step.seconds,
            *((len(step.attempts) or None,) if tried else ()),
            one_line(step.error or ""),
        )
        for step in steps
    ]
    show_table("Steps", ("step", "state", "rows", "seconds", *(("tries",) if tried else ()), "error"), rows)


def show_runs(records: Sequence[RunRecord]) -> None:
    """One line for each run; the hash of its plan only where there is room for it."""
    headers: tuple[str, ...] = ("run", "started (UTC)", "state", "target", "steps", "seconds", "plan")
    rows: list[tuple[Cell, ...]] = [
        (
            record.run_id,
            f"{record.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            record.state,
            record.target,
            count_done(record),
            record.seconds,
            record.plan_hash[:12],
        )
        for record in records
    ]
    columns = len(headers) - (_console().width < WIDE_RUNS)
    show_table("", headers[:columns], [row[:columns] for row in rows], whole=3)


def show_log(entries: Sequence[LogEntry]) -> None:
    """One line for each entry: when, what, where, and its details as far as they have a value."""
    console = _console()
    for entry in entries:
        details = (f"{name}={_detail(value)}" for name, value in entry.details.items() if value is not None)
        words = [entry.event, *([entry.step] if entry.step else []), *details]
        at = f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{entry.at.microsecond // 1000:03}"
        line = printable(f"{at} {entry.level:7} {' '.join(words)}")
        console.print(Text(line, style=LEVEL_STYLES.get(entry.level, "")), soft_wrap=True)


def _detail(value: str | int | float | bool | None) -> str:
    match value:
        case float():
            return f"{value:.3f}"
        case str():
            return one_line(value)
        case _:
            return str(value)


def count_done(record: RunRecord) -> str:
    """`12 of 14`."""
    done = sum(step.state == "done" for step in record.steps)
    return f"{done} of {len(record.steps)}"


def summary(record: RunRecord) -> str:
    """The outcome of a run in one line."""
    if record.state == "dry_run":
        return f"dry run: {plural(len(record.steps), 'step')}, nothing was touched"
    counts = [f"{count_done(record)} steps"]
    for outcome in ("failed", "skipped", "unchanged"):
        count = sum(step.outcome == outcome for step in record.steps)
        counts += [f"{count} {outcome}"] if count else []
    repeated = sum(len(step.attempts) > 1 for step in record.steps)
    counts += [f"{repeated} tried again"] if repeated else []
    counts += [in_time(record.seconds)] if record.seconds is not None else []
    return f"run {record.run_id} {record.state}: {', '.join(counts)}"
