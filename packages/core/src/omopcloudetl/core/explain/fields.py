"""Explains a field: what the specification says of it, and every mapping, SQL file and load that fills it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlglot import exp, parse

from omopcloudetl.core.compiler.scope import AUTHOR_DIALECT
from omopcloudetl.core.explain.context import Context, place_of
from omopcloudetl.core.explain.model import FieldExplanation, Filling, Id, Part, ReadColumn
from omopcloudetl.core.explain.rules import extra_column, id_path, rows_of
from omopcloudetl.core.explain.statements import (
    CODES,
    EVENTS,
    KEYS,
    OF_SOURCE,
    STAGES,
    assigned,
    columns_read,
    fills,
    made_of,
    target_of,
)
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.mapping import EventMapping, TableMapping
from omopcloudetl.core.models.values import ColumnValue, EventReferenceValue, IdValue
from omopcloudetl.core.models.workflow import SqlStep as SqlFileStep
from omopcloudetl.core.plan import BulkLoadStep, SqlStep
from omopcloudetl.core.specification.models import CdmField, CdmTable

STATEMENT = "the statement"
_HOW = {
    "registry": "a new key gets the next number, and keeps it",
    "ordinal": "the rows are numbered in the order of their natural key at each run",
    "hash": "63 bits of the MD5 of the natural key",
}


def explain_field(context: Context, table: str, name: str, also: tuple[str, ...] = ()) -> FieldExplanation:
    """Where a field of a CDM, vocabulary or source table comes from."""
    specified = context.specified(table)
    field = specified.by_name[name] if specified else None
    loads = [step for step in context.writers(table) if isinstance(step, BulkLoadStep)]
    columns = [column for load in loads for column in load.columns if column.name.lower() == name]
    known = context.read_column(table, name)
    fillings = tuple(fillings_of(context, table, name))
    return FieldExplanation(
        table=table,
        field=name,
        type=known.type,
        required=field is not None and field.required,
        key=_key(field),
        domain=field.foreign_key.domain if field and field.foreign_key else None,
        filled_by=fillings,
        loaded_by=context.lines(loads),
        needed_by=next((column.needed_by for column in columns if column.needed_by), None),
        note=_note(table, context, fillings, loads),
        also=also,
    )


def fillings_of(context: Context, table: str, name: str, *, brief: bool = False) -> Iterator[Filling]:
    """What every mapping and SQL file that writes a table puts into a field; `brief` leaves out the SQL."""
    for step in context.writers(table):
        if not isinstance(step, SqlStep):
            continue
        mappings = context.mappings_of(step)
        specified = context.specified(table)
        if mappings and specified is not None:
            for loaded in mappings:
                yield _of_mapping(context, step, loaded, specified, name, brief=brief)
        elif not mappings:
            yield from _of_file(context, step, table, name)


def _key(field: CdmField | None) -> str | None:
    if field is None:
        return None
    if field.primary_key and field.foreign_key is None:
        return "primary key"
    if field.foreign_key is None:
        return None
    target = f"{field.foreign_key.table}.{field.foreign_key.field}"
    return f"primary key, {target}" if field.primary_key else target


def _note(table: str, context: Context, fillings: tuple[Filling, ...], loads: list[BulkLoadStep]) -> str | None:
    if any(filling.is_filled for filling in fillings) or loads:
        return None
    if fillings:
        return "nothing fills it"
    if table.startswith("source."):
        return "the table is in the database already; no step loads it"
    return f"no step writes {table}"


# -- mappings


def _of_mapping(
    context: Context, step: SqlStep, loaded: LoadedMapping, table: CdmTable, name: str, *, brief: bool
) -> Filling:
    stage = f"work.stage_{loaded.model.name}"
    taken = context.sql.contribution(step, stage, name)
    parts = [node.name for node in taken.find_all(exp.Column) if node.table == "stage"] if taken is not None else []
    head = Filling(
        by=loaded.model.name, place=context.place(loaded), step=step.name, stage=f"stage_{loaded.model.name}"
    )
    if parts:
        rules = dict.fromkeys(rule for part in parts for rule in context.rules.of_mapping(loaded, part))
        as_it_is = taken is None or isinstance(taken, exp.Column)
        written_as = None if taken is None or as_it_is else context.sql.text(taken)
        head = replace(head, rules=tuple(rules), written_as=written_as)
        return head if brief else _with_sql(context, head, loaded, table.name, tuple(dict.fromkeys(parts)))
    event = _event_of(loaded, table.name, name)
    if event is not None:
        return _of_event(context, step, head, loaded, (table.name, name, event), brief=brief)
    key = table.primary_key
    if key is not None and key.name == name and table.has_own_id:
        head = _with_id(context, head, loaded, table.name, name)
        return head if brief else _with_sql(context, head, loaded, table.name)
    if isinstance(taken, exp.Column):  # of a table that is joined where the rows are written
        rule = context.rules.rule(loaded.document, id_path(loaded.model, name))
        head = replace(head, rules=(rule,), written_as=context.sql.text(taken))
        through = tuple(map(_through, columns_read(taken)[1]))
        return head if brief else replace(_with_sql(context, head, loaded, table.name), through=through)
    return replace(head, note=_left_out(taken))


def _event_of(loaded: LoadedMapping, table: str, name: str) -> str | None:
    """The mapping of events that a field refers to."""
    model = loaded.model
    columns: Mapping[str, ColumnValue] = {}
    if isinstance(model, TableMapping | EventMapping):
        columns = model.columns if isinstance(model, TableMapping) else model.columns.get(table, {})
    value = columns.get(name)
    return value.event if isinstance(value, EventReferenceValue) else None


def _of_event(
    context: Context, step: SqlStep, head: Filling, loaded: LoadedMapping, field: tuple[str, str, str], *, brief: bool
) -> Filling:
    """A field whose events are joined where the table is written; `field` is table, name, and mapping of events."""
    table, name, event = field
    head = replace(head, rules=context.rules.of_mapping(loaded, extra_column(loaded.model, table, name)))
    found = context.sql.joined(step, f"{EVENTS}{event}", name)
    key = context.sql.contribution(step, f"work.{head.stage}", found[1]) if found else None
    if found is None or not isinstance(key, exp.Column):
        return head
    head = replace(head, written_as=context.sql.text(found[0]))
    if brief:
        return head
    head = _with_sql(context, head, loaded, table, (key.name,))
    return replace(head, through=(*head.through, _through(f"{EVENTS}{event}")))


def _left_out(taken: exp.Expr | None) -> str:
    """What a field holds that a mapping does not fill."""
    if isinstance(taken, exp.Literal) and taken.name == "0":
        return "left out: 0, as the CDM requires a concept"
    return "left out: NULL"


def _with_sql(
    context: Context, head: Filling, loaded: LoadedMapping, table: str, parts: Sequence[str] | None = None
) -> Filling:
    """With the SQL of columns of the mapping's stage, or of its natural key, and all that it tells."""
    stage = context.stage_step(head.by)
    columns = context.sql.stage_columns(stage, f"work.{stage.name}")
    keys = [part for part in columns if part.startswith("key_") and part.removeprefix("key_").isdigit()]
    own = [part for part in columns if OF_SOURCE not in part]
    within = context.sql.inputs(stage)
    made = _made_of(context, columns, (keys or own) if parts is None else parts, within)
    return replace(
        head,
        rows=rows_of(loaded.model, table),
        quarantine=_reasons(columns, [f"{table}_id"] if parts is None else parts, within),
        sql=made.sql,
        reads=made.reads,
        through=made.through,
    )


class _Made(NamedTuple):
    """What columns of a stage are made of."""

    sql: tuple[Part, ...]
    reads: tuple[ReadColumn, ...]
    through: tuple[str, ...]


def _made_of(
    context: Context, columns: dict[str, exp.Expr], parts: Iterable[str], within: Mapping[str, exp.Expr]
) -> _Made:
    names = [name for part in parts for name in columns if name.partition(OF_SOURCE)[0] == part]
    nodes = [(name, columns[name]) for name in names]
    found = [columns_read(node, within) for _, node in nodes]
    read = dict.fromkeys(column for columns_, _ in found for column in columns_)
    looked_up = dict.fromkeys(table for _, tables in found for table in tables)
    return _Made(
        sql=tuple(Part(part, context.sql.text(node.unalias())) for part, node in nodes),
        reads=tuple(context.read_column(*column) for column in read),
        through=tuple(map(_through, looked_up)),
    )


def _through(table: str) -> str:
    if table.startswith(CODES):
        return f"{table}: codes and their concepts, from vocab.concept, concept_relationship and source_to_concept_map"
    if table.startswith(EVENTS):
        return f"{table}: the rows of the mapping {table.removeprefix(EVENTS)} by its natural key"
    if table.startswith(STAGES):
        return f"{table}: the rows of the mapping {table.removeprefix(STAGES)}, which are of the same source rows"
    return f"{table}: ids of cdm.{table.removeprefix(KEYS)} by its natural key"


def _reasons(columns: dict[str, exp.Expr], parts: Iterable[str], within: Mapping[str, exp.Expr]) -> tuple[str, ...]:
    """Why a row without one of these values is quarantined."""
    own = [node for name, node in columns.items() if name.partition(OF_SOURCE)[0] == "row_reason"]
    reasons = [made for node in own for made in made_of(node, within)]
    literals = [node for reason in reasons for node in reason.find_all(exp.Literal, bfs=False)]  # as they are written
    texts = [node.name for node in literals if node.is_string]
    return tuple(dict.fromkeys(text for text in texts if text.partition(":")[0] in parts))


def _with_id(context: Context, head: Filling, loaded: LoadedMapping, table: str, name: str) -> Filling:
    """With how the rows get their ids, and the rule of their natural key."""
    registry = f"work.registry_{table}"
    strategy = "registry" if registry in context.steps[head.step].writes else "ordinal"
    value = loaded.model.columns.get(name) if isinstance(loaded.model, TableMapping) else None
    if isinstance(value, IdValue) and value.strategy == "hash":
        strategy = "hash"
    rule = context.rules.rule(loaded.document, id_path(loaded.model, name))
    id_ = Id(strategy, _HOW[strategy], registry if strategy == "registry" else None)
    return replace(head, rules=(rule,), id=id_)


# -- SQL files


def _of_file(context: Context, step: SqlStep, table: str, name: str) -> Iterator[Filling]:
    """Each statement of a SQL file that writes the table, with what it puts into the field."""
    specified = context.specified(table)
    order = list(specified.by_name) if specified else []
    places = _places(context, step)
    for number, statement in enumerate(step.statements):
        tree = context.sql.tree(statement)
        if target_of(tree) != table:
            continue
        place = places[number] if number < len(places) else place_of(step)
        head = Filling(by=step.name, place=place, step=step.name)
        value = assigned(tree, name, order)
        if value is not None:
            read = [context.read_column(*column) for column in columns_read(value)[0]]
            parts = (Part(name, context.sql.text(value)), Part(STATEMENT, statement.sql))
            yield replace(head, sql=parts, reads=tuple(read))
        elif fills(tree, name) is False:
            yield replace(head, note="this statement does not write it")
        else:
            yield replace(head, sql=(Part(STATEMENT, statement.sql),))


def _places(context: Context, step: SqlStep) -> list[str]:
    """Where each statement of a step's SQL file begins, as `file:line`; none for a step without a file."""
    files = {s.name: s.file for s in context.project.workflow.steps if isinstance(s, SqlFileStep)}
    file = files.get(step.name)
    if file is None:
        return []
    found = []
    for tree in parse(context.project.sql_files[file], read=AUTHOR_DIALECT):
        if tree is not None:
            lines = [int(node.meta["line"]) for node in tree.find_all(exp.Identifier) if "line" in node.meta]
            found.append(f"{file}:{min(lines, default=1)}")
    return found
