"""Loads files into a table: Spark reads them by their paths, and the table changes in one commit."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from omopcloudetl.core.connection import LoadDone, LoadMetrics
from omopcloudetl.core.errors import LoadError, StatementError
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_spark import states
from omopcloudetl.provider_spark.files import DataFile, FileColumns, find, is_elsewhere, is_listed, is_missing
from omopcloudetl.provider_spark.quotes import refuse_unclosed
from omopcloudetl.provider_spark.reading import read_as, reader_options
from omopcloudetl.provider_spark.rejects import RECORD, Records, refuse_too_many, set_aside
from omopcloudetl.provider_spark.sessions import LoadSession
from omopcloudetl.provider_spark.sql import identifier, literal, names, qualified
from omopcloudetl.provider_spark.views import new_name, view_of

WAY_OUT = "load them again when the delivery is complete; until then the table holds what was read"
READERS = {"csv": "csv", "tsv": "csv", "athena": "csv", "parquet": "parquet"}


def load_files(session: LoadSession, load: BulkLoadStep, base: Path, done: LoadDone | None) -> LoadMetrics:
    """Load a step's files, then call `done`; raises `LoadError`."""
    start = time.perf_counter()
    if load.format not in READERS or load.mode == "view" or load.text.null:
        raise LoadError(f"this provider loads no {load.format} in this way")
    found = _find(session, load, base)
    try:
        read = [_read_columns(session, load, file) for file in found]
        columns = [one for one in read if one is not None]
        rejected = _fill(session, load, columns)
    except StatementError as error:
        raise LoadError(f"{load.uri}: {error}") from error
    _refuse_change(session, load, base, found)
    rows = session.fetch(f"SELECT COUNT(*) AS row_count FROM {qualified(load.table)}")[0][0]
    metrics = LoadMetrics(
        seconds=time.perf_counter() - start,
        rows_loaded=int(str(rows)),
        rows_rejected=rejected,
        files=len(columns),
        bytes_read=sum(file.size for file in found) if all(map(is_listed, found)) else None,
        files_digest=_digest(found) if found and all(map(is_listed, found)) else None,
    )
    if done is not None:
        done(metrics)
    return metrics


def _find(session: LoadSession, load: BulkLoadStep, base: Path) -> list[DataFile]:
    """The files at the first of the load's places that has any; one error names all that are missing.

    Of other loads' files only those are looked for that can be seen from here: each look by Spark is a job.
    """
    found = _first(session, load, base)
    missing = [] if found or load.optional else [_last(load.uri)]
    missing += [
        _last(other.uris[0]) + (f", which {other.needed_by} reads" if other.needed_by else "")
        for other in load.beside
        if not any(is_elsewhere(uri) or find(session, uri, base) for uri in other.uris)
    ]
    if missing:
        listed = "".join(f"\n  {one}" for one in missing)
        count = "a file is" if len(missing) == 1 else f"{len(missing)} files are"
        raise LoadError(f"{count} missing in {load.uri.rpartition('/')[0] or '.'}:{listed}")
    return found


def _first(session: LoadSession, load: BulkLoadStep, base: Path) -> list[DataFile]:
    return next((there for uri in (load.uri, *load.others) if (there := find(session, uri, base))), [])


def _refuse_change(session: LoadSession, load: BulkLoadStep, base: Path, found: Sequence[DataFile]) -> None:
    """Raise if a file that can be listed changed, came or went since the load began: it is not done then."""
    now = _first(session, load, base)
    changed = sorted({file.label for file in set(now) ^ set(found)})
    if found and changed:
        listed = "".join(f"\n  {label}" for label in changed[:5])
        raise LoadError(f"files changed while the load read {load.uri}:{listed}\n{WAY_OUT}")


def _read_columns(session: LoadSession, load: BulkLoadStep, file: DataFile) -> FileColumns | None:
    """What a file's columns are called; None for one that was not listed, may be missing, and is."""
    found = _columns_found(session, load, file)
    if not found and load.optional and not is_listed(file):
        return None
    if not found:
        raise LoadError(f"{file.label} is missing, or has no columns")
    if load.text.names:
        if len(found) != len(load.text.names):
            raise LoadError(f"{file.label} has {len(found)} columns, and {len(load.text.names)} are declared")
        given = dict(zip(load.text.names, found, strict=True))
    else:
        given = {}
        for name in found:
            if name.strip().lower() in given:
                raise LoadError(f"{file.label} has the column '{name.strip().lower()}' twice")
            given[name.strip().lower()] = name
    return FileColumns(file, new_name(), _by_other_names(load, given, file))


def _columns_found(session: LoadSession, load: BulkLoadStep, file: DataFile) -> list[str]:
    options = reader_options(load, multiline=session.config.multiline)
    try:
        return [name for name, _ in session.file_columns(file.path, READERS[load.format], options)]
    except StatementError as error:
        if is_missing(error):
            return []
        raise


def _by_other_names(load: BulkLoadStep, given: dict[str, str], file: DataFile) -> dict[str, str]:
    """The columns by the names that rules use; raises `LoadError` for those that are needed and not there."""
    for column in load.columns:
        other = next((name.lower() for name in column.other_names if name.lower() in given), None)
        if column.name.lower() not in given and other is not None:
            given = {column.name.lower() if name == other else name: found for name, found in given.items()}
    missing = [column for column in load.columns if not column.optional and column.name.lower() not in given]
    if missing:
        listed = "".join(
            f"\n  {column.name}" + (f", which {column.needed_by} reads" if column.needed_by else "")
            for column in missing
        )
        raise LoadError(f"{file.label} lacks columns:{listed}")
    return given


def _fill(session: LoadSession, load: BulkLoadStep, columns: Sequence[FileColumns]) -> int:
    """Write the table by views of the files, in one commit; returns how many records were set aside before."""
    table = session.columns(load.table) if load.mode == "replace_rows" else None
    records = [Records(one.file.label, one.view, one.names, dict(table or ())) for one in columns]
    with _views(session, load, columns, keep_unfit=load.rejects is not None):
        rejected = 0 if load.rejects is None else set_aside(session, load, records)
        try:
            session.execute(_statement(session.config.format, load, records, table))
        except StatementError as error:
            told = error
        else:
            refuse_unclosed(session, load, columns)
            return rejected
    if load.rejects is None and states.is_malformed(told):
        # Spark does not say in which file: they are read again to tell.
        with _views(session, load, columns, keep_unfit=True):
            refuse_too_many(session, records, 0)
    raise told


@contextmanager
def _views(
    session: LoadSession, load: BulkLoadStep, columns: Sequence[FileColumns], *, keep_unfit: bool
) -> Iterator[None]:
    """A view of each file; with a column for records that do not fit, if they are kept."""
    with ExitStack() as views:
        for one in columns:
            given = reader_options(load, multiline=session.config.multiline) | {"path": one.file.path}
            typed = ""
            if keep_unfit:
                given |= {"columnNameOfCorruptRecord": RECORD, "mode": "PERMISSIVE"}
                typed = f" ({', '.join(f'{identifier(name)} STRING' for name in (*one.names.values(), RECORD))})"
            listed = ", ".join(f"{literal(key)} {literal(text)}" for key, text in given.items())
            views.enter_context(
                view_of(session, f"{typed} USING {READERS[load.format].upper()} OPTIONS ({listed})", one.view)
            )
        yield


def _statement(
    table_format: str, load: BulkLoadStep, records: Sequence[Records], table: Sequence[tuple[str, str]] | None
) -> str:
    """The one statement that writes the table: an existing one of these columns, or one that is made."""
    types = dict(table or ())
    wanted = list(types) or list(dict.fromkeys(name for one in records for name in one.names))
    wanted += [name for column in load.columns if table is None and (name := column.name.lower()) not in wanted]
    only_fit = load.rejects is not None
    queries = [_select(one, wanted, only_fit=only_fit) for one in records] or [_nothing(wanted, types)]
    head = f"INSERT OVERWRITE {qualified(load.table)} ({names(wanted)}) "
    if table is None:
        head = f"CREATE OR REPLACE TABLE {qualified(load.table)} USING {table_format.upper()} AS "
    return head + " UNION ALL ".join(queries)


def _select(one: Records, wanted: Sequence[str], *, only_fit: bool) -> str:
    """The columns of a file under the table's names; what it lacks is NULL."""
    values = []
    for name in wanted:
        there, type_ = one.names.get(name.lower()), one.types.get(name, "string")
        value = f"CAST(NULL AS {type_})" if there is None else read_as(identifier(there), type_, name)
        values.append(f"{value} AS {identifier(name)}")
    where = f" WHERE {one.problem} IS NULL" if only_fit else ""
    return f"SELECT {', '.join(values)} FROM {identifier(one.view)}{where}"


def _nothing(wanted: Sequence[str], types: Mapping[str, str]) -> str:
    values = (f"CAST(NULL AS {types.get(name, 'string')}) AS {identifier(name)}" for name in wanted)
    return f"SELECT {', '.join(values)} WHERE FALSE"


def _digest(found: Sequence[DataFile]) -> str:
    """The same as long as names, sizes and times are."""
    digest = hashlib.sha256()
    for file in sorted(found, key=lambda file: file.label):
        digest.update(f"{file.label}\0{file.size}\0{file.modified}\n".encode())
    return digest.hexdigest()


def _last(uri: str) -> str:
    return uri.rpartition("/")[2]
