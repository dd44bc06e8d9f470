"""Spells how a file's column becomes a table's: strict casts, and the condition under which they fail."""

from __future__ import annotations

from omopcloudetl.core.models.loads import FileFormat
from omopcloudetl.provider_duckdb.sql import TEXT, FileColumn, TableColumn, identifier, literal

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}
# Where nothing and an empty text look the same.
EMPTY_FOR_NULL = {"csv", "tsv", "athena"}
WHOLE_NUMBER = r"\s*[+-]?[0-9]+\s*"


def converted(source: FileColumn, target: TableColumn, format_: FileFormat) -> str:
    """The expression that turns a file's column into a table's; it fails on what it cannot read."""
    value = value_of(source, format_)
    if source.type != TEXT:
        cast = f"CAST({value} AS {target.type})"
        if target.type not in INTEGERS or source.type in INTEGERS:
            return cast
        return (
            f"CASE WHEN {value} <> trunc({value}) THEN error('a fraction') ELSE {cast} END"
            if _is_fractional(source)
            else cast
        )
    if target.type == TEXT:
        # Athena's files hold concepts whose name or code is empty: a required text stays empty.
        keep_empty = target.required and format_ in EMPTY_FOR_NULL
        return f"COALESCE({value}, '')" if keep_empty else value
    value = f"NULLIF({value}, '')"
    if target.type in INTEGERS:
        # The engine would read '1.5' as 2; the mark makes the cast fail.
        whole = f"regexp_full_match({value}, {literal(WHOLE_NUMBER)})"
        return f"CAST(CASE WHEN {whole} THEN {value} ELSE '?' || {value} END AS {target.type})"
    if _is_athena_date(target, format_):
        return f"CAST(strptime({value}, '%Y%m%d') AS {target.type})"
    return f"CAST({value} AS {target.type})"


def unreadable(source: FileColumn, target: TableColumn, format_: FileFormat) -> str:
    """A condition that holds where `converted` fails."""
    value = value_of(source, format_)
    if source.type != TEXT:
        fraction = f" OR {value} <> trunc({value})" if _is_fractional(source) else ""
        failed = f"TRY_CAST({value} AS {target.type}) IS NULL"
        return f"{value} IS NOT NULL AND ({failed}{fraction if target.type in INTEGERS else ''})"
    failed = f"TRY_CAST({value} AS {target.type}) IS NULL"
    if target.type in INTEGERS:
        failed += f" OR NOT regexp_full_match({value}, {literal(WHOLE_NUMBER)})"
    elif _is_athena_date(target, format_):
        failed = f"try_strptime({value}, '%Y%m%d') IS NULL"
    return f"{value} <> '' AND ({failed})"


def refused(source: FileColumn, target: TableColumn, format_: FileFormat) -> str:
    """A condition that holds where the table would take no value of a text."""
    value = value_of(source, format_)
    conditions = [unreadable(source, target, format_)] if target.type != TEXT else []
    if target.required:
        is_empty = f"{value} IS NULL" + (f" OR {value} = ''" if target.type != TEXT else "")
        conditions += [] if target.type == TEXT and format_ in EMPTY_FOR_NULL else [is_empty]
    return " OR ".join(f"({condition})" for condition in conditions) or "false"


def refusal(source: FileColumn, target: TableColumn, format_: FileFormat) -> str:
    """Why, in words that hold nothing of the value."""
    form = " of the form YYYYMMDD" if _is_athena_date(target, format_) else ""
    return f"column '{source.name}' holds no {target.type}{form}"


def value_of(column: FileColumn, format_: FileFormat) -> str:
    """The column as the reader of its file calls it."""
    return identifier(column.delivered if format_ == "parquet" else column.name)


def _is_fractional(source: FileColumn) -> bool:
    return source.type in {"FLOAT", "DOUBLE"} or source.type.startswith("DECIMAL")


def _is_athena_date(target: TableColumn, format_: FileFormat) -> bool:
    return format_ == "athena" and (target.type == "DATE" or target.type.startswith("TIMESTAMP"))
