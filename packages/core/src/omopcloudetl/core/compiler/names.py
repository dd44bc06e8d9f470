"""Finds names that mean nothing: tables that no step makes, and what is declared and never used."""

from __future__ import annotations

from collections.abc import Mapping, Set

from sqlglot import exp

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.errors import Position
from omopcloudetl.core.models.loads import Column
from omopcloudetl.core.models.workflow import BulkLoadStep
from omopcloudetl.core.run_tables import RUN_TABLES

_MADE = ("stage", "delivered", "known", "inputs", "rows", "codes", "event", "key", "group", "registry")
_GENERATED = (*(f"work.{kind}_" for kind in _MADE), "work.ledger", "work.quarantine")


def check_tables(compilation: Compilation, made: Set[str]) -> None:
    """Every table that a step reads is made by one, is declared to be there, or is the vocabulary's."""
    declared = {f"source.{name}" for name in compilation.project.workflow.sources}
    declared |= {step.creates for step in compilation.unread_sql if step.creates}
    declared |= {*RUN_TABLES}  # that they may not be read is told elsewhere
    is_whole = compilation.is_whole
    for table in sorted(
        {table for step in compilation.steps for table in step.reads} - made - declared - {*RUN_TABLES}
    ):
        schema = table.partition(".")[0]
        if not is_whole and table.startswith(_GENERATED):
            continue  # by a mapping that is wrong
        if schema == "work":
            _no_maker(compilation, table, made | declared, help_="make it in a `sql` step with `creates:`")
        elif schema == "source":
            help_ = "load it in a `bulk_load` step; if it is in the database already, name it under `sources:`"
            _no_maker(compilation, table, made | declared, help_=help_)


def _no_maker(compilation: Compilation, table: str, known: Set[str], *, help_: str) -> None:
    schema = f"{table.partition('.')[0]}."
    names = known - {*RUN_TABLES}
    allowed = sorted(name for name in names if name.startswith(schema) and not name.startswith(_GENERATED))
    verb = "loads" if schema == "source." else "makes"
    message = f"no step {verb} the table {table}"
    compilation.problem(
        "unknown-table", message, _read_at(compilation, table), found=table, allowed=allowed, help=help_
    )


def check_read_before_written(compilation: Compilation) -> None:
    """A CDM table that is read and that nothing fills is empty, unless another project fills it."""
    filled = {table for step in compilation.steps for table in step.writes}
    for table in sorted(compilation.read_at.keys() - filled):
        if table.startswith("cdm.") and any(table in step.reads for step in compilation.steps):
            compilation.problem(
                "not-written",
                f"no step writes the table {table}, so what is read is what the database holds already",
                _read_at(compilation, table),
                help="add the mapping that fills it",
                severity="warning",
            )


def _read_at(compilation: Compilation, table: str) -> Position:
    place = compilation.read_at.get(table)
    if place is not None:
        return place
    step = next(step for step in compilation.steps if table in step.reads)
    return Position(step.origin.file, step.origin.line)


def check_variables(compilation: Compilation) -> None:
    """A variable that nothing reads is a name misspelt elsewhere, or a rest."""
    document = compilation.project.workflow_document
    for name in compilation.project.workflow.variables:
        if name not in compilation.used_variables:
            where = document.at_key("variables", name)
            message = f"the variable '{name}' is used by no step and no rule"
            compilation.problem("unused-name", message, where, help="leave it out", severity="warning")


def check_columns(compilation: Compilation) -> None:
    """Two declared columns of one name, whose case does not matter, contradict each other."""
    workflow = compilation.project.workflow
    places: list[tuple[tuple[str | int, ...], Mapping[str, Column]]] = [
        (("steps", i, "tables", name, "columns"), table.columns)
        for i, step in enumerate(workflow.steps)
        if isinstance(step, BulkLoadStep)
        for name, table in step.tables.items()
    ]
    places += [(("sources", name, "columns"), table.columns) for name, table in workflow.sources.items()]
    for path, columns in places:
        seen: dict[str, str] = {}
        for column in columns:
            first = seen.setdefault(column.lower(), column)
            if first != column:
                message = f"'{column}' and '{first}' are one column: the case of a header does not matter"
                where = compilation.project.workflow_document.at_key(*path, column)
                compilation.problem("duplicate-name", message, where, found=column, help="leave one of them out")


def check_joins(scope: Scope) -> None:
    """A join that says `one` has a condition on its own table, and is there for some rule if all could be read."""
    needed = scope.needed(set(scope.used))
    for alias, join in scope.rows.joins.items():
        if join.cardinality == "many":
            continue  # it may be there to multiply rows
        on = scope.joins[alias]
        if not isinstance(on, exp.Null) and alias not in scope.aliases_in(on):
            scope.compilation.problem(
                "join-condition",
                f"the condition does not mention '{alias}', so every row of {join.table} joins every row",
                scope.at("joins", alias, "on"),
                help=f"compare a column of {alias}, or say `cardinality: many`",
            )
        elif alias not in needed and scope.knows_rules:
            message = f"no rule reads a column of the join '{alias}'"
            where = scope.at_key("joins", alias)
            scope.compilation.problem("unused-name", message, where, help="leave it out", severity="warning")
