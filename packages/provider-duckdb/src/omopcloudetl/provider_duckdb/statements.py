"""Builds the statements that fill a table from groups of files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_duckdb import documents, readers, sql
from omopcloudetl.provider_duckdb.casts import converted, value_of
from omopcloudetl.provider_duckdb.contract import as_united, united_types
from omopcloudetl.provider_duckdb.datafiles import FileGroup
from omopcloudetl.provider_duckdb.sql import FileColumn, TableColumn

SourceOf = Callable[[FileGroup], str]
"""What a group's rows are selected from."""


def reading(load: BulkLoadStep, *, parallel: bool = True, with_file: bool = False) -> SourceOf:
    """Select rows from the files themselves."""

    def source(group: FileGroup) -> str:
        if load.format in {"json", "ndjson"}:
            return documents.reader(group, load, with_file=with_file)
        return readers.reader(group.patterns, group.columns, load, parallel=parallel, with_file=with_file)

    return source


def drop_statement(load: BulkLoadStep, is_view: bool | None) -> str | None:
    """What makes room where a view becomes a table, or a table a view; `is_view` is of what is there, if anything."""
    if load.mode == "replace_rows" or is_view is None or is_view == (load.mode == "view"):
        return None
    return f"DROP {'VIEW' if is_view else 'TABLE'} {sql.qualified(load.table)}"


def create_statement(load: BulkLoadStep, groups: Sequence[FileGroup], source_of: SourceOf) -> str:
    """The table, or the view, with every column of the files, and NULL for what may be missing."""
    kind = "VIEW" if load.mode == "view" else "TABLE"
    return f"CREATE OR REPLACE {kind} {sql.qualified(load.table)} AS\n{_delivered_rows(load, groups, source_of)}"


def _delivered_rows(load: BulkLoadStep, groups: Sequence[FileGroup], source_of: SourceOf) -> str:
    names = list(dict.fromkeys(column.name for group in groups for column in group.columns))
    if load.format in {"json", "ndjson"}:  # keys have no order; the declared ones come first
        declared = [column.name.lower() for column in load.columns]
        names = [*(name for name in declared if name in names), *sorted(set(names) - set(declared))]
    absent = [column.name.lower() for column in load.columns if column.name.lower() not in names]
    united = united_types(groups)
    selects = []
    for group in groups:
        at_hand = {column.name: column for column in group.columns}
        values = [_delivered(at_hand.get(name), name, load, united) for name in names]
        values += [f"CAST(NULL AS {sql.TEXT}) AS {sql.identifier(name)}" for name in dict.fromkeys(absent)]
        selects.append(f"SELECT {', '.join(values)} FROM {source_of(group)}")
    return "\nUNION ALL\n".join(selects)


def _delivered(column: FileColumn | None, name: str, load: BulkLoadStep, united: Mapping[str, str]) -> str:
    if column is None:
        # Untyped in Parquet: the files that have the column decide.
        value = "NULL" if load.format == "parquet" else f"CAST(NULL AS {sql.TEXT})"
    else:
        value = value_of(column, load.format)
        if name in united:
            value = as_united(value, column, united[name])
    return f"{value} AS {sql.identifier(name)}"


def insert_statement(
    load: BulkLoadStep, groups: Sequence[FileGroup], table: Sequence[TableColumn], source_of: SourceOf
) -> str:
    """The files' rows, converted to the table's types; NULL where a file lacks a column."""
    delivered = {column.name for group in groups for column in group.columns}
    wanted = [column for column in table if column.name.lower() in delivered]
    selects = []
    for group in groups:
        at_hand = {column.name: column for column in group.columns}
        values = [
            converted(at_hand[column.name.lower()], column, load.format) if column.name.lower() in at_hand else "NULL"
            for column in wanted
        ]
        selects.append(f"SELECT {', '.join(values)} FROM {source_of(group)}")
    names = ", ".join(sql.identifier(column.name) for column in wanted)
    query = "\nUNION ALL\n".join(selects)
    return f"INSERT INTO {sql.qualified(load.table)} ({names})\n{query}"
