"""Loads files into a table: checks what they hold, builds the statements, explains failures."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from omopcloudetl.core.connection import LoadDone, LoadMetrics
from omopcloudetl.core.errors import DatabaseError, LoadError, StatementError
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_duckdb import contract, files, readers, sql
from omopcloudetl.provider_duckdb.casts import unreadable, value_of
from omopcloudetl.provider_duckdb.datafiles import FileGroup, LoadSession
from omopcloudetl.provider_duckdb.engine_rejects import count_lines
from omopcloudetl.provider_duckdb.filling import Filling
from omopcloudetl.provider_duckdb.packed import refuse_damaged
from omopcloudetl.provider_duckdb.places import choose_uri
from omopcloudetl.provider_duckdb.problems import engine_words, explained, is_about_csv
from omopcloudetl.provider_duckdb.rejects import forget_rejects, load_with_rejects
from omopcloudetl.provider_duckdb.snapshots import Snapshot
from omopcloudetl.provider_duckdb.sql import FileColumn, TableColumn
from omopcloudetl.provider_duckdb.statements import (
    SourceOf,
    create_statement,
    drop_statement,
    insert_statement,
    reading,
)
from omopcloudetl.provider_duckdb.unfinished import cut_off_by

LINE_BREAK = re.compile(r"[\r\n]")
DELIMITED = {"csv", "tsv", "athena"}


def load_files(session: LoadSession, load: BulkLoadStep, base: Path, done: LoadDone | None) -> LoadMetrics:
    """Load a step's files, and call `done` in the load's transaction; raises `LoadError`.

    A malformed line fails the load unless some may be rejected. The one leniency is the engine's: a
    delimiter at the very end of a line, with nothing behind it, is no value.
    """
    begin = time.perf_counter()
    uri = choose_uri(session, load, base)
    if uri is None:
        return Filling(session, None, (), done, begin).run(lambda: _empty(session, load))
    snapshot = Snapshot.take(session, uri, base)
    with ExitStack() as stack:
        found = files.find_files(session, uri, base, stack)
        try:
            return _load(session, load, Filling(session, snapshot, found, done, begin))
        except DatabaseError as error:
            snapshot.explain(session, error)
            raise


def _empty(session: LoadSession, load: BulkLoadStep) -> tuple[int, int]:
    """What a load without files leaves of its table."""
    forget_rejects(session, load)
    session.execute(f"DELETE FROM {sql.qualified(load.table)}")
    return 0, 0


def _load(session: LoadSession, load: BulkLoadStep, filling: Filling) -> LoadMetrics:
    """Check the files and fill the table."""
    found = filling.files
    for file in found:
        if file.size is not None and load.format != "parquet":
            refuse_damaged(file.path, file.label, session.refuse_if_cancelled)
    groups = files.group_by_columns(session, found, load)
    table = session.table_columns(load.table) if load.mode == "replace_rows" else []
    if load.mode == "replace_rows":
        contract.refuse_other_table(load, groups, table)
    contract.refuse_broken_contract(load, groups, table)
    _refuse_swallowed(session, load, groups)
    return _write(load, groups, table, filling)


def _refuse_swallowed(session: LoadSession, load: BulkLoadStep, groups: Sequence[FileGroup]) -> None:
    """Raise for a header over lines behind which the engine finds no row, as where line breaks are of two kinds."""
    if load.format not in DELIMITED or load.text.names:
        return
    for group in groups:
        if not any(LINE_BREAK.search(column.delivered) for column in group.columns):
            continue
        for file in group.files:
            if _is_swallowed(session, load, replace(group, files=(file,))):
                message = "the name of a column holds a line break of another kind than those at the ends of lines"
                raise LoadError(f"{file.label}: {message}; the engine cannot read that: take it out of the name")


def _is_swallowed(session: LoadSession, load: BulkLoadStep, group: FileGroup) -> bool:
    """Whether a file without rows has more lines than its header."""
    with suppress(StatementError):
        ((rows,),) = session.fetch(f"SELECT count(*) FROM {reading(load)(group)}")
        if rows:
            return False
        try:
            return not all(_is_read_to_its_end(session, load, [group]))
        except StatementError:
            return True
    return False  # the load itself tells what is malformed


def _write(
    load: BulkLoadStep, groups: Sequence[FileGroup], table: Sequence[TableColumn], filling: Filling
) -> LoadMetrics:
    """Fill the table, in the fastest way that can read the files."""
    session = filling.session
    try:
        try:
            return filling.run(lambda: (_run(session, load, groups, table, reading(load)), 0))
        except StatementError as error:
            session.refuse_if_cancelled()  # it is no mistake in a file
            if load.rejects is not None:
                return load_with_rejects(load, groups, table, filling)
            # Several threads cannot always find where a record starts when values span lines. The
            # engine notices and gives up; one thread reads every file that is well-formed. But one
            # thread is silent where the file ends inside quotes, so the lines are counted first.
            if load.format not in DELIMITED or not is_about_csv(error):
                raise
            if not all(_is_read_to_its_end(session, load, groups)):
                raise
            return filling.run(lambda: (_run(session, load, groups, table, reading(load, parallel=False)), 0))
    except StatementError as error:
        session.refuse_if_cancelled()
        problem = _unreadable_value(session, load, groups, table)
        raise LoadError(problem or _explained(error, load, groups)) from error


def _explained(error: StatementError, load: BulkLoadStep, groups: Sequence[FileGroup]) -> str:
    """Where and why a file cannot be read."""
    files_ = {file.path: file for group in groups for file in group.files}
    told = explained(error, {path: file.label for path, file in files_.items()}, has_header=not load.text.names)
    cut_off = cut_off_by(engine_words(error), files_, load.text.encoding)
    return f"{told}; {cut_off}" if cut_off else told


def _is_read_to_its_end(session: LoadSession, load: BulkLoadStep, groups: Sequence[FileGroup]) -> Iterator[bool]:
    """For each group, whether one thread accounts for every line of its files."""
    for group in groups:
        query = readers.lines_query(group.patterns, group.columns, load)
        read = session.fetch(query, limit=1)[0][0]
        yield read == sum(count_lines(session, load, file) for file in group.files)


def _run(
    session: LoadSession,
    load: BulkLoadStep,
    groups: Sequence[FileGroup],
    table: Sequence[TableColumn],
    source_of: SourceOf,
) -> int:
    """Fill the table within a transaction; returns how many rows it has."""
    drop = drop_statement(load, session.is_view(load.table))
    if drop is not None:
        session.execute(drop)
    forget_rejects(session, load)
    if load.mode != "replace_rows":
        return _created(session, load, groups, source_of)
    session.execute(f"DELETE FROM {sql.qualified(load.table)}")
    return session.execute(insert_statement(load, groups, table, source_of)).rows_affected or 0


def _created(session: LoadSession, load: BulkLoadStep, groups: Sequence[FileGroup], source_of: SourceOf) -> int:
    """Make the table or the view anew; returns how many rows it has."""
    copied = session.execute(create_statement(load, groups, source_of)).rows_affected or 0
    if load.mode != "view":
        return copied
    patterns = [pattern for group in groups for pattern in group.patterns]
    return int(str(session.fetch(readers.parquet_rows_query(patterns))[0][0]))


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
    value = value_of(column, load.format)
    source = reading(load, parallel=False, with_file=True)(group)
    rows = session.fetch(
        f"SELECT {sql.identifier(sql.FILE_COLUMN)}, CAST({value} AS VARCHAR) FROM {source}"
        f" WHERE {unreadable(column, target, load.format)} LIMIT 1",
        limit=1,
    )
    if not rows:
        return None
    labels = {file.path: file.label for file in group.files}
    label = labels.get(str(rows[0][0]), rows[0][0])
    form = " of the form YYYYMMDD" if load.format == "athena" and target.type == "DATE" else ""
    return f"{label}: column '{column.name}' holds {rows[0][1]!r}, which is no {target.type}{form}"
