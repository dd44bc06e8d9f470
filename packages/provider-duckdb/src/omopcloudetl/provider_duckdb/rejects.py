"""Sets malformed records aside: stages files with one thread and accounts for every line of them.

The engine can skip what it cannot read, but it is silent where a file ends inside quotes. So the lines of
what was read and of what was rejected are held against the lines of the file, and a load that does not add
up fails. Everything here happens in the load's transaction, in temporary tables that go with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep, RejectOptions
from omopcloudetl.provider_duckdb import documents, engine_rejects, readers
from omopcloudetl.provider_duckdb.casts import refusal, refused
from omopcloudetl.provider_duckdb.datafiles import DataFile, FileGroup, LoadSession
from omopcloudetl.provider_duckdb.filling import Filling
from omopcloudetl.provider_duckdb.sql import FileColumn, TableColumn, identifier, literal, qualified
from omopcloudetl.provider_duckdb.statements import create_statement, drop_statement, insert_statement
from omopcloudetl.provider_duckdb.unfinished import CUT_OFF, ends_within

REJECTED = 'temp."omopcloudetl rejected"'
LINES = 'temp."omopcloudetl lines"'
NUMBER = '"omopcloudetl number"'
"""The place of a record among those of its file that could be read, from 1."""
EXAMPLES = 3


@dataclass(frozen=True)
class Staged:
    """The readable records of a file, in a temporary table."""

    file: DataFile
    columns: tuple[FileColumn, ...]
    table: str


def load_with_rejects(
    load: BulkLoadStep, groups: Sequence[FileGroup], table: Sequence[TableColumn], filling: Filling
) -> LoadMetrics:
    """Load what can be read and keep what cannot.

    Raises `LoadError` if more is rejected than the load allows, or if not every line is accounted for.
    """
    return filling.run(lambda: _load(filling.session, load, groups, table))


def _load(
    session: LoadSession, load: BulkLoadStep, groups: Sequence[FileGroup], table: Sequence[TableColumn]
) -> tuple[int, int]:
    """Returns how many rows were loaded and how many rejected."""
    assert load.rejects is not None
    columns = "file VARCHAR, line BIGINT, reason VARCHAR, text VARCHAR"
    session.execute(f"CREATE OR REPLACE TEMP TABLE {REJECTED} ({columns})")
    files = [(file, group.columns) for group in groups for file in group.files]
    staged = [
        _stage(session, load, Staged(file, columns, f'temp."omopcloudetl file {number}"'), table)
        for number, (file, columns) in enumerate(files)
    ]
    rejected = _refuse_too_many(session, load.rejects)
    forget_rejects(session, load)
    _keep_rejects(session, load, load.rejects)
    rows = _fill(session, load, staged, table)
    for name in (*(one.table for one in staged), REJECTED):
        session.execute(f"DROP TABLE {name}")
    return rows, rejected


def forget_rejects(session: LoadSession, load: BulkLoadStep) -> None:
    """Take away what an earlier run of the step rejected."""
    if load.rejects is not None:
        session.execute(f"DELETE FROM {qualified(load.rejects.table)} WHERE load_step = {literal(load.name)}")


def _keep_rejects(session: LoadSession, load: BulkLoadStep, options: RejectOptions) -> None:
    table = literal(".".join(load.table[-2:]))
    text = "text" if options.keep_text else "NULL"
    session.execute(
        f"INSERT INTO {qualified(options.table)} (load_step, table_name, file, line, reason, text)"
        f" SELECT {literal(load.name)}, {table}, file, line, reason, {text} FROM {REJECTED}"
    )


def _fill(session: LoadSession, load: BulkLoadStep, staged: Sequence[Staged], table: Sequence[TableColumn]) -> int:
    sources = {one.file.path: one.table for one in staged}
    groups = [FileGroup((one.file,), one.columns) for one in staged]

    def source_of(group: FileGroup) -> str:
        return sources[group.files[0].path]

    drop = drop_statement(load, session.is_view(load.table))
    if drop is not None:
        session.execute(drop)
    if load.mode == "create":
        return session.execute(create_statement(load, groups, source_of)).rows_affected or 0
    session.execute(f"DELETE FROM {qualified(load.table)}")
    return session.execute(insert_statement(load, groups, table, source_of)).rows_affected or 0


def _refuse_too_many(session: LoadSession, options: RejectOptions) -> int:
    count = engine_rejects.number_of(session, f"SELECT count(*) FROM {REJECTED}")
    if count > options.max_rejected:
        examples = session.fetch(f"SELECT file, line, reason FROM {REJECTED} ORDER BY file, line LIMIT {EXAMPLES}")
        shown = "".join(
            f"\n  {file}, {f'line {line}' if line else 'a line'}: {reason}" for file, line, reason in examples
        )
        more = f"\n  and {count - len(examples):,} more" if count > len(examples) else ""
        raise LoadError(f"{count:,} malformed records, {options.max_rejected:,} may be rejected:{shown}{more}")
    return count


def _stage(session: LoadSession, load: BulkLoadStep, staged: Staged, table: Sequence[TableColumn]) -> Staged:
    engine_rejects.forget(session)
    if load.format == "ndjson":
        _stage_objects(session, load, staged)
    else:
        _stage_records(session, load, staged)
    _reject_values(session, load, staged, table)
    engine_rejects.forget(session)
    return staged


def _stage_records(session: LoadSession, load: BulkLoadStep, staged: Staged) -> None:
    source = readers.reader([staged.file.pattern], staged.columns, load, parallel=False, more=engine_rejects.STORE)
    records = f"SELECT row_number() OVER () AS {NUMBER}, * FROM {source}"
    session.execute(f"CREATE OR REPLACE TEMP TABLE {staged.table} AS {records}")
    lines = f"SELECT COALESCE(sum({readers.spanned_lines(staged.columns)}), 0) FROM {staged.table}"
    header = [] if load.text.names else [column.delivered for column in staged.columns]
    read = engine_rejects.number_of(session, lines) + readers.lines_of_header(header)
    engine_rejects.account_for_lines(session, load, staged.file, staged.columns, read)
    _refuse_cut_off(session, load, staged.file, engine_rejects.TOO_SHORT)
    _reject_unread(session, load, staged)


def _stage_objects(session: LoadSession, load: BulkLoadStep, staged: Staged) -> None:
    source = readers.lines_reader([staged.file.pattern], load.text.encoding, parallel=False, more=engine_rejects.STORE)
    lines = f"SELECT row_number() OVER () AS {NUMBER}, line FROM {source}"
    session.execute(f"CREATE OR REPLACE TEMP TABLE {LINES} AS {lines}")
    _reject_unread(session, load, staged)
    problems = f"SELECT *, {documents.PROBLEM} AS problem FROM {LINES} WHERE {documents.NOT_BLANK}"
    last = f"SELECT line FROM ({problems}) WHERE problem IS NOT NULL ORDER BY {NUMBER} DESC LIMIT 1"
    _refuse_cut_off(session, load, staged.file, last)
    _reject(session, staged, _line(0), "problem", "line", f"({problems}) WHERE problem IS NOT NULL")
    objects = f"(SELECT * FROM ({problems}) WHERE problem IS NULL)"
    values = documents.values_of(objects, staged.columns, kept=[NUMBER])
    session.execute(f"CREATE OR REPLACE TEMP TABLE {staged.table} AS SELECT * FROM {values}")
    session.execute(f"DROP TABLE {LINES}")


def _refuse_cut_off(session: LoadSession, load: BulkLoadStep, file: DataFile, last: str) -> None:
    """Raise `LoadError` if the last record that is too short is where a file ends: who knows what is missing."""
    found = session.fetch(last, limit=1)
    if found and ends_within(file, str(found[0][0]), load.text.encoding):
        raise LoadError(f"{file.label}: its last record cannot be read, and {CUT_OFF}")


def _reject_unread(session: LoadSession, load: BulkLoadStep, staged: Staged) -> None:
    """Reject what the engine could not read."""
    _reject(session, staged, "line", "reason", "text", f"({engine_rejects.query(load)})")


def _reject_values(session: LoadSession, load: BulkLoadStep, staged: Staged, table: Sequence[TableColumn]) -> None:
    """Reject records with a value that its column's type cannot hold."""
    targets = {column.name.lower(): column for column in table}
    pairs = [(column, targets[column.name]) for column in staged.columns if column.name in targets]
    cases = [
        f"WHEN {refused(column, target, load.format)} THEN {literal(refusal(column, target, load.format))}"
        for column, target in pairs
    ]
    if not cases:
        return
    problem = f"CASE {' '.join(cases)} END"
    if not engine_rejects.number_of(session, f"SELECT count(*) FROM {staged.table} WHERE {problem} IS NOT NULL"):
        return
    values = ", ".join(f"COALESCE({identifier(column.name)}, '')" for column in staged.columns)
    text = f"array_to_string([{values}], {literal(load.text.delimiter)})"
    has_header = load.format != "ndjson" and not load.text.names
    is_known = load.format == "ndjson" or not engine_rejects.has_blank_lines(session, load, staged.file)
    line = _line(int(has_header)) if is_known else "NULL"
    _reject(session, staged, line, problem, text, f"{staged.table} WHERE {problem} IS NOT NULL")
    session.execute(f"DELETE FROM {staged.table} WHERE {problem} IS NOT NULL")


def _line(header: int) -> str:
    """The line of a record that could be read, as the engine counts: behind it come those that could not."""
    before = f"SELECT line - {header} - row_number() OVER (ORDER BY line) AS before FROM ({engine_rejects.LINES})"
    return f"{NUMBER} + {header} + (SELECT count(*) FROM ({before}) WHERE before < {NUMBER})"


def _reject(session: LoadSession, staged: Staged, line: str, reason: str, text: str, source: str) -> None:
    values = f"{literal(staged.file.label)}, {line}, {reason}, {text}"
    session.execute(f"INSERT INTO {REJECTED} SELECT {values} FROM {source}")
