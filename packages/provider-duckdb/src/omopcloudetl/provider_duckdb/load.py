"""Loads files into a table: checks what they hold, builds the statements, explains failures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from omopcloudetl.core.connection import ExecutionMetrics, LoadMetrics
from omopcloudetl.core.errors import LoadError, StatementError
from omopcloudetl.core.plan import BulkLoadStep, LoadColumn
from omopcloudetl.provider_duckdb import files, sql, textfile
from omopcloudetl.provider_duckdb.files import DataFile, FileGroup
from omopcloudetl.provider_duckdb.problems import explained, is_about_csv
from omopcloudetl.provider_duckdb.sql import FileColumn, TableColumn


class LoadSession(files.Session, Protocol):
    """The part of a connection that loading needs."""

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run one statement."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit at the end of the block, roll back if it raises."""

    def table_columns(self, table: Sequence[str]) -> list[TableColumn]:
        """The columns of a table, in order; empty when there is no such table."""


def load_files(session: LoadSession, load: BulkLoadStep, base: Path) -> LoadMetrics:
    """Load a step's files; raises `LoadError`.

    A malformed line fails the load, so no row is ever rejected. The one leniency is the engine's: a
    delimiter at the very end of a line, with nothing behind it, is no value.
    """
    start = time.perf_counter()
    found = files.find_files(session, load.uri, base)
    groups = files.group_by_columns(session, found, load.format)
    table = session.table_columns(load.table) if load.mode == "replace_rows" else []
    if load.mode == "replace_rows":
        _refuse_other_table(load, found, groups, table)
    _refuse_missing_columns(load, groups, table)
    rows = _write(session, load, groups, table)
    sizes = [file.size for file in found if file.size is not None]
    return LoadMetrics(
        seconds=time.perf_counter() - start,
        rows_loaded=rows,
        rows_rejected=0,
        files=len(found),
        bytes_read=sum(sizes) if len(sizes) == len(found) else None,
    )


def _write(
    session: LoadSession,
    load: BulkLoadStep,
    groups: Sequence[FileGroup],
    table: Sequence[TableColumn],
) -> int:
    labels = {file.path: file.label for group in groups for file in group.files}
    try:
        try:
            return _run(session, load, groups, table, parallel=True)
        except StatementError as error:
            # Several threads cannot always find where a record starts when values span lines. The
            # engine notices and gives up; one thread reads every file that is well-formed. But one
            # thread is silent where the file ends inside quotes, so the lines are counted first.
            if not is_about_csv(error) or not all(_is_read_to_its_end(session, load, groups)):
                raise
            return _run(session, load, groups, table, parallel=False)
    except StatementError as error:
        problem = _unreadable_value(session, load, groups, table)
        raise LoadError(problem or explained(error, labels)) from error


def _is_read_to_its_end(session: LoadSession, load: BulkLoadStep, groups: Sequence[FileGroup]) -> Iterator[bool]:
    """For each group, whether one thread accounts for every line of its files."""
    for group in groups:
        if not all(file.is_plain for file in group.files):
            yield False  # nobody can count its lines
            return
        query = sql.lines_query(group.patterns, group.columns, load.format)
        read = session.fetch(query, limit=1)[0][0]
        yield read == sum(textfile.count_lines(file.path) for file in group.files)


def _run(
    session: LoadSession,
    load: BulkLoadStep,
    groups: Sequence[FileGroup],
    table: Sequence[TableColumn],
    *,
    parallel: bool,
) -> int:
    if load.mode == "create":
        return session.execute(create_statement(load, groups, parallel=parallel)).rows_affected or 0
    insert = insert_statement(load, groups, table, parallel=parallel)
    with session.transaction():
        session.execute(f"DELETE FROM {sql.qualified(load.table)}")
        return session.execute(insert).rows_affected or 0


def create_statement(load: BulkLoadStep, groups: Sequence[FileGroup], *, parallel: bool) -> str:
    """The table with every column of the files, and NULL for what may be missing."""
    names = list(dict.fromkeys(column.name for group in groups for column in group.columns))
    absent = [column.name.lower() for column in load.columns if column.name.lower() not in names]
    selects = []
    for group in groups:
        at_hand = {column.name: column for column in group.columns}
        values = [_delivered(at_hand.get(name), name, load) for name in names]
        values += [_delivered(None, name, load, type_=sql.TEXT) for name in dict.fromkeys(absent)]
        source = sql.reader(group.patterns, group.columns, load.format, parallel=parallel)
        selects.append(f"SELECT {', '.join(values)} FROM {source}")
    query = "\nUNION ALL\n".join(selects)
    return f"CREATE OR REPLACE TABLE {sql.qualified(load.table)} AS\n{query}"


def _delivered(column: FileColumn | None, name: str, load: BulkLoadStep, type_: str | None = None) -> str:
    if column is None:
        # Untyped in Parquet: the files that have the column decide.
        type_ = type_ or (None if load.format == "parquet" else sql.TEXT)
        value = f"CAST(NULL AS {type_})" if type_ else "NULL"
    else:
        value = sql.identifier(column.delivered if load.format == "parquet" else column.name)
    return f"{value} AS {sql.identifier(name)}"


def insert_statement(
    load: BulkLoadStep, groups: Sequence[FileGroup], table: Sequence[TableColumn], *, parallel: bool
) -> str:
    """The files' rows, converted to the table's types; NULL where a file lacks a column."""
    delivered = {column.name for group in groups for column in group.columns}
    wanted = [column for column in table if column.name.lower() in delivered]
    selects = []
    for group in groups:
        at_hand = {column.name: column for column in group.columns}
        values = [
            sql.converted(at_hand[column.name.lower()], column, load.format)
            if column.name.lower() in at_hand
            else "NULL"
            for column in wanted
        ]
        source = sql.reader(group.patterns, group.columns, load.format, parallel=parallel)
        selects.append(f"SELECT {', '.join(values)} FROM {source}")
    names = ", ".join(sql.identifier(column.name) for column in wanted)
    query = "\nUNION ALL\n".join(selects)
    return f"INSERT INTO {sql.qualified(load.table)} ({names})\n{query}"


def _refuse_other_table(
    load: BulkLoadStep,
    found: Sequence[DataFile],
    groups: Sequence[FileGroup],
    table: Sequence[TableColumn],
) -> None:
    name = ".".join(load.table)
    if not table:
        raise LoadError(f"the table {name} does not exist; {found[0].label} cannot be loaded")
    names = {column.name.lower() for column in table}
    if not any(column.name in names for group in groups for column in group.columns):
        raise LoadError(f"{found[0].label} has no column of the table {name}, which has {_listed(names)}")


def _refuse_missing_columns(load: BulkLoadStep, groups: Sequence[FileGroup], table: Sequence[TableColumn]) -> None:
    """Raise one error for everything that is missing in any file."""
    required = [column.name.lower() for column in table if column.required]
    problems = [
        f"{file.label} has no column '{name}', which {reader} needs"
        for group in groups
        for file in group.files
        for name, reader in _missing(group, load.columns, required, ".".join(load.table))
    ]
    if problems:
        raise LoadError("\n".join(problems))


def _missing(
    group: FileGroup, columns: Iterable[LoadColumn], required: Iterable[str], table: str
) -> list[tuple[str, str]]:
    names = {column.name for column in group.columns}
    readers = dict.fromkeys(required, f"the table {table}")
    for column in columns:
        if column.needed_by and not column.optional:
            readers[column.name.lower()] = column.needed_by
    return [(name, reader) for name, reader in readers.items() if name not in names]


def _unreadable_value(
    session: LoadSession,
    load: BulkLoadStep,
    groups: Sequence[FileGroup],
    table: Sequence[TableColumn],
) -> str | None:
    """Look for a value that does not fit its column's type; None if that is not what went wrong."""
    types = {column.name.lower(): column for column in table}
    for group in groups:
        for column in group.columns:
            target = types.get(column.name)
            if target is None or target.type == column.type:
                continue
            try:
                problem = _example(session, load, group, column, target)
            except StatementError:
                return None  # the file itself is malformed; the first error says where
            if problem:
                return problem
    return None


def _example(
    session: LoadSession,
    load: BulkLoadStep,
    group: FileGroup,
    column: FileColumn,
    target: TableColumn,
) -> str | None:
    value = sql.identifier(column.delivered if load.format == "parquet" else column.name)
    source = sql.reader(group.patterns, group.columns, load.format, parallel=False, with_file=True)
    rows = session.fetch(
        f"SELECT {sql.identifier(sql.FILE_COLUMN)}, CAST({value} AS VARCHAR) FROM {source}"
        f" WHERE {sql.unreadable(column, target, load.format)} LIMIT 1",
        limit=1,
    )
    if not rows:
        return None
    labels = {file.path: file.label for file in group.files}
    label = labels.get(str(rows[0][0]), rows[0][0])
    form = " of the form YYYYMMDD" if load.format == "athena" and target.type == "DATE" else ""
    return f"{label}: column '{column.name}' holds {rows[0][1]!r}, which is no {target.type}{form}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
