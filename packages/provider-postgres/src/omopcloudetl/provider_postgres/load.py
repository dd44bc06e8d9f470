"""Loads files into a table with `COPY`: finds them, checks their headers, and explains what the server refuses."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from omopcloudetl.core.connection import LoadDone, LoadMetrics
from omopcloudetl.core.errors import LoadError, StatementError
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_postgres import copying
from omopcloudetl.provider_postgres.client_files import ClientFiles
from omopcloudetl.provider_postgres.contract import read_columns, refuse_broken_contract
from omopcloudetl.provider_postgres.datafiles import DataFile, FileColumns, Files, LoadSession
from omopcloudetl.provider_postgres.server_files import ServerFiles
from omopcloudetl.provider_postgres.sql import qualified

TEXT = {"csv", "tsv", "athena"}
PLACE = re.compile(r"COPY .*?, line (\d+)(?:, column ([^:]*))?")
WAY_OUT = "nothing of them was kept; load them again when the delivery is complete"


def load_files(session: LoadSession, load: BulkLoadStep, base: Path, done: LoadDone | None) -> LoadMetrics:
    """Load a step's files, and call `done`, in one transaction; raises `LoadError`."""
    start = time.perf_counter()
    _refuse_kind(load)
    files: Files = ClientFiles(session) if session.config.client_streaming else ServerFiles(session)
    found = _find(files, load, base)
    columns = [read_columns(files, file, load) for file in found]
    table = session.table_columns(load.table) if load.mode == "replace_rows" else []
    if found:
        refuse_broken_contract(load, columns, table)
    with session.transaction():
        for statement in copying.preparation(load, columns, session.kind_of(load.table)):
            session.execute(statement)
        rows = sum(_copied(session, files, load, one, copying.wanted(one, table)) for one in columns)
        session.execute(f"ANALYZE {qualified(load.table)}")
        _refuse_change(files, load, base, found)
        metrics = LoadMetrics(
            seconds=time.perf_counter() - start,
            rows_loaded=rows,
            rows_rejected=0,
            files=len(found),
            bytes_read=sum(file.size for file in found),
            files_digest=_digest(found) if found else None,
        )
        if done is not None:
            done(metrics)
    return metrics


def _refuse_kind(load: BulkLoadStep) -> None:
    """What the compiler refuses; a plan may come from elsewhere."""
    if load.format not in TEXT or load.mode == "view":
        raise LoadError(f"PostgreSQL loads delimited text, no {load.format}")
    if load.text.encoding == "utf-16" or load.text.null or load.rejects is not None:
        raise LoadError("PostgreSQL's COPY has no UTF-16, no `null` texts and no `max_rejected`")


def _find(files: Files, load: BulkLoadStep, base: Path) -> list[DataFile]:
    """The files at the first of the load's places that has any; one error names all that are missing."""
    found = next((there for uri in (load.uri, *load.others) if (there := files.find(uri, base))), [])
    missing = [] if found or load.optional else [_last(load.uri)]
    missing += [
        _last(other.uris[0]) + (f", which {other.needed_by} reads" if other.needed_by else "")
        for other in load.beside
        if not any(files.find(uri, base) for uri in other.uris)
    ]
    if missing:
        listed = "".join(f"\n  {one}" for one in missing)
        count = "a file is" if len(missing) == 1 else f"{len(missing)} files are"
        folder = load.uri.rpartition("/")[0] or "."
        raise LoadError(f"{count} missing in {folder}:{listed}{files.missing(load.uri, base)}")
    return found


def _copied(session: LoadSession, files: Files, load: BulkLoadStep, one: FileColumns, wanted: copying.Wanted) -> int:
    """Copy one file; what its table does not have is passed over by way of a table of the session."""
    try:
        for statement in wanted.before:
            session.execute(statement)
        rows = files.copy(one.file, wanted.copy(load), copying.options(load, wanted))
        for statement in wanted.after(load):
            session.execute(statement)
    except StatementError as error:
        session.refuse_if_cancelled()  # it is no mistake in a file
        raise LoadError(f"{one.file.label}{_explained(error)}") from error
    return rows


def _explained(error: StatementError) -> str:
    """Line, column and reason; the line itself is left out: it is patient data."""
    cause = error.__cause__
    diag = getattr(cause, "diag", None)
    place = PLACE.search(diag.context or "") if diag is not None else None
    words = str(diag.message_primary) if diag is not None and diag.message_primary else str(error)
    if place is None:
        return f": {words}"
    column = f", column '{place[2]}'" if place[2] else ""
    return f", line {place[1]}{column}: {words}"


def _refuse_change(files: Files, load: BulkLoadStep, base: Path, found: Sequence[DataFile]) -> None:
    """Raise if a file changed, came or went since the load began."""
    if not found:
        return
    now = next((there for uri in (load.uri, *load.others) if (there := files.find(uri, base))), [])
    changed = sorted({file.label for file in set(now) ^ set(found)})
    if changed:
        listed = "".join(f"\n  {label}" for label in changed[:5])
        raise LoadError(f"files changed while the load read {load.uri}:{listed}\n{WAY_OUT}")


def _digest(found: Sequence[DataFile]) -> str:
    """The same as long as names, sizes and times are."""
    digest = hashlib.sha256()
    for line in _states(found):
        digest.update(line)
    return digest.hexdigest()


def _states(found: Sequence[DataFile]) -> Iterator[bytes]:
    for file in sorted(found, key=lambda file: file.label):
        yield f"{file.label}\0{file.size}\0{file.modified}\n".encode()


def _last(uri: str) -> str:
    return uri.rpartition("/")[2]
