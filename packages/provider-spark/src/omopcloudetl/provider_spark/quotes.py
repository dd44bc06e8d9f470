"""Notices a quoted value that does not end, for which readers take the rest of the file, and lose its records."""

from __future__ import annotations

from collections.abc import Sequence

from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_spark.files import FileColumns
from omopcloudetl.provider_spark.sessions import LoadSession
from omopcloudetl.provider_spark.sql import identifier, literal, qualified
from omopcloudetl.provider_spark.views import view_of

_BREAK = literal("\n")


def refuse_unclosed(session: LoadSession, load: BulkLoadStep, files: Sequence[FileColumns]) -> None:
    """Raise `LoadError` if a file of a load ends within a quoted value.

    Only its last column hides that: where any other takes the rest of the file, its record lacks values. The last
    record's then has line breaks, and the file an odd number of quotes. Files are read again only where a value of
    their last columns has line breaks.
    """
    if load.format == "parquet" or not load.text.quote or not session.config.multiline:
        return
    if files and _may_be(session, load, files):
        for number in _ending_in_lines(session, files):
            if _has_odd_quotes(session, files[number], load.text.quote):
                column = list(files[number].names)[-1]
                raise LoadError(
                    f"{files[number].file.label}: a quoted value of '{column}', its last column, does not end, and what"
                    " follows was taken for a part of it; close the quote and load the file again, until then the table"
                    " holds what was read"
                )


def _may_be(session: LoadSession, load: BulkLoadStep, files: Sequence[FileColumns]) -> bool:
    """Whether a value of a last column has line breaks, as far as the table tells; a value of another type has none."""
    types = dict(session.columns(load.table))
    last = dict.fromkeys(list(one.names)[-1] for one in files)
    if any(name not in types for name in last):
        return True
    texts = [name for name in last if types[name] == "string"]
    found = " OR ".join(f"INSTR({identifier(name)}, {_BREAK}) > 0" for name in texts)
    return bool(texts) and bool(session.fetch(f"SELECT 1 FROM {qualified(load.table)} WHERE {found}", limit=1))


def _ending_in_lines(session: LoadSession, files: Sequence[FileColumns]) -> list[int]:
    """The places of the files whose last record has line breaks in its last value."""
    queries = []
    for number, one in enumerate(files):
        value = identifier(list(one.names.values())[-1])
        records = f"SELECT {value} AS value, MONOTONICALLY_INCREASING_ID() AS place FROM {identifier(one.view)}"
        queries.append(f"SELECT {number} AS number, MAX_BY(value, place) AS value FROM ({records}) AS records")
    last = " UNION ALL ".join(queries)
    rows = session.fetch(f"SELECT number FROM ({last}) AS last WHERE INSTR(value, {_BREAK}) > 0 ORDER BY number")
    return [int(str(number)) for (number,) in rows]


def _has_odd_quotes(session: LoadSession, one: FileColumns, quote: str) -> bool:
    quotes = f"SUM(LENGTH(value) - LENGTH(REPLACE(value, {literal(quote)}, '')))"
    with view_of(session, f" USING TEXT OPTIONS (path {literal(one.file.path)})") as view:
        return int(str(session.fetch(f"SELECT {quotes} FROM {view}")[0][0])) % 2 == 1
