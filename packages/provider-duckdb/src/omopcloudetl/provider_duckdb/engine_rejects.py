"""Reads the engine's own tables of rejected lines, and holds them against the lines of a file."""

from __future__ import annotations

from collections.abc import Sequence

from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_duckdb import readers, textfile
from omopcloudetl.provider_duckdb.datafiles import DataFile, LoadSession
from omopcloudetl.provider_duckdb.sql import FileColumn

ERRORS, SCANS = "omopcloudetl_errors", "omopcloudetl_scans"
# Of a second look at the same file.
MORE_ERRORS, MORE_SCANS = "omopcloudetl_more_errors", "omopcloudetl_more_scans"
STORE = {
    "ignore_errors": "true",
    "store_rejects": "true",
    "rejects_table": f"'{ERRORS}'",
    "rejects_scan": f"'{SCANS}'",
    "rejects_limit": "0",  # no limit
}
STORE_MORE = STORE | {"rejects_table": f"'{MORE_ERRORS}'", "rejects_scan": f"'{MORE_SCANS}'"}
# The engine keeps no more of a line.
LONGEST_KEPT = 10_000
LINES = f"SELECT DISTINCT line, line_byte_position FROM temp.{ERRORS}"
TOO_SHORT = (
    f"SELECT csv_line FROM temp.{ERRORS} WHERE error_type = 'MISSING COLUMNS' ORDER BY line_byte_position DESC LIMIT 1"
)
_PIECES = r"len(regexp_extract_all(text, '[^\r\n]+'))"


def forget(session: LoadSession) -> None:
    """Take away what was rejected so far."""
    _drop(session, ERRORS, SCANS)
    _drop(session, MORE_ERRORS, MORE_SCANS)


def _drop(session: LoadSession, *tables: str) -> None:
    for table in tables:
        session.execute(f"DROP TABLE IF EXISTS temp.{table}")


def query(load: BulkLoadStep) -> str:
    """A query for the rejected records: line, reason, text; one that is wrong in several ways is one record."""
    width = "\\1 columns are declared" if load.text.names else "the header has \\1"
    count = r"'.*Expected Number of Columns: (\d+) Found: (\d+).*'"
    # One error for each value too many, and one for each that is missing.
    too_many = "max_by(error_message, column_idx) FILTER (error_type = 'TOO MANY COLUMNS')"
    message = f"COALESCE({too_many}, min_by(error_message, column_idx))"
    words = f"regexp_replace({message}, {count}, '\\2 values where {width}')"
    reason = (
        "CASE WHEN bool_or(error_type = 'LINE SIZE OVER MAXIMUM')"
        f" THEN 'it is longer than {readers.MAX_RECORD // 1_000_000} MB'"
        " WHEN bool_or(error_type = 'INVALID ENCODING') THEN 'it is not UTF-8'"
        " WHEN bool_or(error_type = 'UNQUOTED VALUE')"
        " THEN 'a quoted value does not end, or goes on after its closing quote'"
        f" ELSE {words} END"
    )
    record = "trim(any_value(csv_line), chr(10) || chr(13)) AS text"
    return f"SELECT line, {reason} AS reason, {record} FROM temp.{ERRORS} GROUP BY line, line_byte_position"


def account_for_lines(
    session: LoadSession, load: BulkLoadStep, file: DataFile, columns: Sequence[FileColumn], read: int
) -> None:
    """Raise `LoadError` unless every line with anything on it was read, or is rejected.

    One thread is silent where a file ends inside quotes; several threads say where that value begins.
    """
    rejected = number_of(session, f"SELECT COALESCE(sum({_PIECES}), 0) FROM ({query(load)})")
    lost = count_lines(session, load, file) - read - rejected
    if lost > 0:
        source = readers.reader([file.pattern], columns, load, more=STORE_MORE)
        _drop(session, MORE_ERRORS, MORE_SCANS)
        session.fetch(f"SELECT count(*) FROM (SELECT * FROM {source})")
        last = f"(SELECT max(line_byte_position) FROM temp.{MORE_ERRORS})"
        seen = f"(SELECT line_byte_position FROM temp.{ERRORS})"
        size = f"length(csv_line) >= {LONGEST_KEPT} OR {_PIECES.replace('text', 'csv_line')} = {lost}"
        ended = f"line_byte_position = {last} AND line_byte_position NOT IN {seen} AND ({size})"
        kind = "error_type = 'UNQUOTED VALUE'"
        insert = f"INSERT INTO temp.{ERRORS} SELECT * FROM temp.{MORE_ERRORS} WHERE {kind} AND {ended} LIMIT 1"
        if session.execute(insert).rows_affected:
            return
    if lost != 0:
        raise LoadError(
            f"{file.label}: {abs(lost):,} lines are neither read nor rejected; load it without max_rejected to"
            " see the first line that is malformed"
        )


def count_lines(session: LoadSession, load: BulkLoadStep, file: DataFile) -> int:
    """How many lines of a file hold anything."""
    if file.is_plain and load.text.encoding != "utf-16":
        return textfile.count_lines(file.path, file.label)
    return _ask_for_lines(session, load, file)[0]


def has_blank_lines(session: LoadSession, load: BulkLoadStep, file: DataFile) -> bool:
    """Whether a line of a file holds nothing; the engine counts it and makes no record of it."""
    filled, blank = _ask_for_lines(session, load, file)
    return blank > 0 and filled > 0


def _ask_for_lines(session: LoadSession, load: BulkLoadStep, file: DataFile) -> tuple[int, int]:
    """How many lines hold anything, and how many nothing."""
    _drop(session, MORE_ERRORS, MORE_SCANS)
    source = readers.lines_reader([file.pattern], load.text.encoding, parallel=False, more=STORE_MORE)
    filled, blank = session.fetch(f"SELECT count(line), count(*) - count(line) FROM {source}")[0]
    unread = number_of(session, f"SELECT count(DISTINCT line_byte_position) FROM temp.{MORE_ERRORS}")
    _drop(session, MORE_ERRORS, MORE_SCANS)
    return int(str(filled)) + unread, int(str(blank))


def number_of(session: LoadSession, query: str) -> int:
    """The one number that a query finds."""
    return int(str(session.fetch(query, limit=1)[0][0]))
