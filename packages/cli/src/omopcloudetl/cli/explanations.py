"""Shows explanations as text: a heading, then labels on the left and what they are about beside them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import assert_never

import click

from omopcloudetl.cli.output import one_line, plural, printable
from omopcloudetl.core.explain.model import (
    Explanation,
    FieldExplanation,
    FieldLine,
    Filling,
    Load,
    ReadColumn,
    StepExplanation,
    StepLine,
    TableExplanation,
    WorkflowStepExplanation,
)

LABEL = 14
"""Columns before the text of a label."""
CODE = 4
"""Columns before rules and SQL, whose lines are not folded."""
WITHOUT_TERMINAL = 120
LOADS = {"create": "made from the file", "replace_rows": "its rows are replaced", "view": "a view of the file"}
"""What becomes of a table that is loaded, by the load's mode."""


def show_explanation(found: Explanation, *, sql: bool) -> None:
    """Print an explanation, with or without its SQL."""
    match found:
        case FieldExplanation():
            _show_field(found, sql=sql)
        case TableExplanation():
            _show_table(found)
        case StepExplanation():
            _show_step(found, sql=sql)
        case WorkflowStepExplanation():
            _heading(f"step {found.name} of the workflow", found.place)
            _item("", found.summary)
            _steps("becomes", found.steps)
            _item("", "omopcloudetl explain STEP shows one of them")
        case _:
            assert_never(found)
    if found.also:
        click.echo(f"\nof the same name: {', '.join(map(printable, found.also))}")


# -- fields


def _show_field(found: FieldExplanation, *, sql: bool) -> None:
    _heading(f"{found.table}.{found.field}")
    facts = [found.type or "of no declared type"]
    facts += ["required"] if found.required else []
    if found.key is not None:
        facts.append(found.key if found.key.startswith("primary key") else f"points to {found.key}")
    facts += [f"domain {found.domain}"] if found.domain else []
    _item("", ", ".join(facts))
    for step in found.loaded_by:
        _heading(f"step {step.name}", step.place)
        _item("", step.summary)
    if found.needed_by:
        _item("read by", f"first by the rule at {found.needed_by}")
    for filling in found.filled_by:
        if filling.is_filled:
            _show_filling(filling, found.field, sql=sql)
    for note, names in _left_out(found.filled_by).items():
        click.echo()
        _item("", f"{note}, by {', '.join(names)}")
    if found.note:
        click.echo()
        _item("", found.note)


def _left_out(fillings: Iterable[Filling]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for filling in fillings:
        if not filling.is_filled:
            found.setdefault(filling.note or "left out", []).append(filling.by)
    return found


def _show_filling(filling: Filling, field: str, *, sql: bool) -> None:
    _heading(f"{'mapping' if filling.stage else 'step'} {filling.by}", filling.place)
    for rule in filling.rules:
        _item("rule", f"{rule.place}, {rule.key}")
        _code(rule.text)
    if filling.id is not None:
        remembered = f" ({filling.id.registry})" if filling.id.registry else ""
        _item("id", f"{filling.id.strategy}: {filling.id.description}{remembered}")
    for label, column in zip(_once("reads"), filling.reads, strict=False):
        _item(label, _read(column))
    for label, text in zip(_once("through"), filling.through, strict=False):
        _item(label, text)
    for label, text in zip(_once("rows"), filling.rows, strict=False):
        _item(label, text)
    if filling.quarantine:
        _item("quarantine", "; ".join(filling.quarantine))
    if sql:
        _show_sql(filling, field)


def _show_sql(filling: Filling, field: str) -> None:
    for number, part in enumerate(filling.sql):
        where = filling.stage or filling.step
        _item(" " if number else "SQL", f"{part.name} in step {where}:")
        _code(part.sql)
    if filling.written_as is not None:
        _item(" ", f"{field} in step {filling.step}:")
        _code(filling.written_as)


def _read(column: ReadColumn) -> str:
    facts = [column.type] if column.type else []
    facts += [f"declared at {column.declared_at}"] if column.declared_at else []
    if column.made_by and not column.declared_at:
        facts.append(f"from step {' and '.join(column.made_by)}")
    return f"{column.table}.{column.column}: {', '.join(facts)}" if facts else f"{column.table}.{column.column}"


# -- tables


def _show_table(found: TableExplanation) -> None:
    _heading(found.table)
    if found.note:
        _item("", found.note)
    _steps("made by", found.made_by)
    _steps("written by", found.written_by)
    _pairs("mappings", found.mappings)
    _steps("read by", found.read_by)
    if found.fields:
        _heading("fields")
        _field_lines(found.fields)


def _field_lines(fields: Sequence[FieldLine]) -> None:
    """One line for each field and mapping, in columns."""
    rows: list[tuple[str, str, str, str]] = []
    for field in fields:
        facts = f"{field.type or ''}{' *' if field.required else ''}"
        filled = [*field.filled_by] or [(field.note or "left out: NULL", "")]
        for number, (who, place) in enumerate(filled):
            rows.append(("" if number else field.name, "" if number else facts, who, place))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo(printable(f"  {'  '.join([*cells, row[3]])}".rstrip()))
    if any(field.required for field in fields):
        click.echo("  * required")


# -- steps


def _show_step(found: StepExplanation, *, sql: bool) -> None:
    _heading(f"step {found.name}", found.place)
    _item("", found.summary)
    if found.mapping:
        _item("mapping", found.mapping)
    for label, (table, rows) in zip(_once("writes to"), found.gives, strict=False):
        _item(label, f"{table}: {'; '.join(rows)}" if rows else table)
    for label, (table, steps) in zip(_once("reads"), found.reads, strict=False):
        _item(label, f"{table}, from step {' and '.join(steps)}" if steps else table)
    for label, names in (
        ("makes", found.writes),
        ("waits for", found.waits_for),
        ("before", found.waited_for_by),
    ):
        if names:
            _item(label, ", ".join(names))
    _show_content(found, sql=sql)


def _show_content(found: StepExplanation, *, sql: bool) -> None:
    if found.load is not None:
        _show_load(found.load)
        return
    together = found.transaction == "step" and len(found.statements) > 1
    count = plural(len(found.statements), "statement")
    _item("SQL", f"{count}{' in one transaction' if together else ''}")
    for number, statement in enumerate(found.statements, 1):
        kind = f", a check: {statement.check}" if statement.check else ""
        if sql:
            click.echo()
        _item("", f"{number}. {statement.purpose}{kind}")
        if sql:
            click.echo(_indented(statement.sql, 2))


def _show_load(load: Load) -> None:
    how = LOADS[load.mode]
    _item("loads", f"{load.uri} ({load.format}) into {load.table}, {how}")
    for label, (name, value) in zip(_once("options"), load.options.items(), strict=False):
        _item(label, f"{name}: {value!r}")
    if load.columns:
        _heading("columns")
        width = max(len(column.name) for column in load.columns)
        for column in load.columns:
            facts = [column.type or "text", "required" if column.required else "may be missing", column.note or ""]
            click.echo(printable(f"  {column.name.ljust(width)}  {', '.join(filter(None, facts))}"))


# -- lines


def _heading(text: str, place: str = "") -> None:
    click.echo(click.style(f"\n{one_line(text)}", bold=True) + (f"  {printable(place)}" if place else ""))


def _item(label: str, text: str) -> None:
    """A text beside its label, folded at the terminal's width; without a label it stands a little to the left."""
    start = f"  {label.ljust(LABEL - 2)}" if label else "  "
    indent = " " * (LABEL if label else 2)
    room = max(shutil.get_terminal_size((WITHOUT_TERMINAL, 24)).columns - len(indent), 30)
    lines = wrap(one_line(text), room, break_long_words=False, break_on_hyphens=False) or [""]
    click.echo(start + lines[0])
    for line in lines[1:]:
        click.echo(indent + line)


def _code(text: str) -> None:
    click.echo(_indented(text, CODE))


def _indented(text: str, columns: int) -> str:
    return "\n".join(" " * columns + line if line else "" for line in printable(text).splitlines())


def _once(label: str) -> Iterator[str]:
    """The label, then a blank one that keeps the place."""
    yield label
    while True:
        yield " "


def _steps(label: str, steps: Iterable[StepLine]) -> None:
    for text, step in zip(_once(label), steps, strict=False):
        mode = f" ({step.write})" if step.write else ""
        _item(text, f"{step.name}{mode}, {step.place}: {step.summary}")


def _pairs(label: str, pairs: Iterable[tuple[str, str]]) -> None:
    for text, (name, place) in zip(_once(label), pairs, strict=False):
        _item(text, f"{name}, {place}")
