"""Looks, in an open session, whether the server can read the files of loads: the role's rights, then each file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.findings import Finding
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.core.text import plural
from omopcloudetl.provider_postgres.datafiles import LoadSession
from omopcloudetl.provider_postgres.server_files import STREAM, ServerFiles, grants

FILES = "input files"
SHOWN = 5
MAY_COPY = "SELECT pg_has_role('pg_read_server_files', 'USAGE')"


def examined(session: LoadSession, loads: Sequence[BulkLoadStep], base: Path) -> list[Finding]:
    """One finding, of the first thing that is wrong; none where nothing is loaded."""
    if not loads:
        return []
    if not session.fetch(MAY_COPY, limit=1)[0][0]:
        user = session.config.user
        found = f"the server reads them, and the role {user} has no right to let it"
        return [Finding(FILES, "problem", found, f"let an administrator say: {grants(user)}; or {STREAM}")]
    files = ServerFiles(session)
    try:
        missing, count = _looked_for(files, loads, base)
    except LoadError as error:
        found, _, ways = str(error).partition("\n")
        help_ = ways.replace("\n", "; ") or f"put it where the server reads it, or {STREAM}"
        return [Finding(FILES, "problem", found, help_)]
    if not missing:
        return [Finding(FILES, "ok", f"the server can read {plural(count, 'file')}")]
    more = [f"and {len(missing) - SHOWN} more"] if len(missing) > SHOWN else []
    listed = "\n".join([f"{plural(len(missing), 'file')} missing on the server", *missing[:SHOWN], *more])
    return [Finding(FILES, "problem", listed, f"put them where the server reads them, or {STREAM}")]


def _looked_for(files: ServerFiles, loads: Sequence[BulkLoadStep], base: Path) -> tuple[list[str], int]:
    """The files that are not there, and how many can be read; raises `LoadError` for one that cannot."""
    missing: list[str] = []
    count = 0
    for load in loads:
        found = next((there for uri in (load.uri, *load.others) if (there := files.find(uri, base))), [])
        for file in found:
            files.head(file, 1)
        count += len(found)
        if not found and not load.optional:
            missing.append(f"{load.uri} ({load.origin.file}:{load.origin.line})")
    return missing, count
