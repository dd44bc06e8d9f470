"""Explains a table: the steps that make, write and read it, and who fills each of its fields."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from omopcloudetl.core.explain.context import Context, place_of
from omopcloudetl.core.explain.fields import fillings_of
from omopcloudetl.core.explain.model import FieldLine, Filling, TableExplanation
from omopcloudetl.core.explain.statements import target_of
from omopcloudetl.core.plan import BulkLoadStep, SqlStep


def explain_table(context: Context, table: str, also: tuple[str, ...] = ()) -> TableExplanation:
    """Who makes, writes and reads a table, and who fills its fields."""
    writers = context.writers(table)
    mappings = dict.fromkeys(
        (loaded.model.name, context.place(loaded)) for step in writers for loaded in context.mappings_of(step)
    )
    return TableExplanation(
        table=table,
        made_by=context.lines(context.makers(table)),
        written_by=context.lines(writers),
        mappings=tuple(mappings),
        fields=tuple(_field(context, table, name) for name in columns_of(context, table)),
        read_by=context.lines(step for step in context.readers(table) if step not in writers),
        note=None if writers else _unwritten(table),
        also=also,
    )


def columns_of(context: Context, table: str) -> list[str]:
    """The columns of a table as far as the specification, the workflow, loads and SQL files tell; in their order."""
    specified = context.specified(table)
    if specified is not None:
        return list(specified.by_name)
    names = [name.lower() for name in context.declared.get(table, ((), {}))[1]]
    for step in context.writers(table):
        match step:
            case BulkLoadStep():
                names += [column.name.lower() for column in step.columns]
            case SqlStep():
                names += _made(context, step, table)
    return list(dict.fromkeys(names))


def _made(context: Context, step: SqlStep, table: str) -> Iterable[str]:
    """The columns of a table that a query makes, where it names all of them."""
    for _, tree in context.sql.trees(step, table):
        if isinstance(tree, exp.Create) and target_of(tree) == table and isinstance(tree.expression, exp.Query):
            names = tree.expression.named_selects
            yield from () if "*" in names else names


def _field(context: Context, table: str, name: str) -> FieldLine:
    specified = context.specified(table)
    field = specified.by_name[name] if specified else None
    fillings = list(fillings_of(context, table, name, brief=True))
    filled = [place for filling in fillings for place in _who(filling)]
    left_out = next((filling.note for filling in fillings if filling.note and not filling.is_filled), None)
    loads = [step for step in context.writers(table) if isinstance(step, BulkLoadStep)]
    needed = (column.needed_by for step in loads for column in step.columns if column.name.lower() == name)
    reader = next(filter(None, needed), None)
    known = context.read_column(table, name)
    filled += [(step.name, known.declared_at or place_of(step)) for step in loads]
    return FieldLine(
        name=name,
        type=known.type,
        required=field is not None and field.required,
        filled_by=tuple(dict.fromkeys(filled)),
        note=f"read first at {reader}" if reader else left_out if not filled else None,
    )


def _who(filling: Filling) -> list[tuple[str, str]]:
    if not filling.is_filled:
        return []
    return [(filling.by, filling.rules[0].place if filling.rules else filling.place)]


def _unwritten(table: str) -> str:
    if table.startswith("source."):
        return "the table is in the database already; no step loads it"
    return "no step writes it, so that it stays as it is"
