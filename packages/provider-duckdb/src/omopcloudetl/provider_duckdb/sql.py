"""Spells the pieces of DuckDB SQL that loads are built from: names, literals, readers, casts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

FileFormat = Literal["csv", "tsv", "athena", "parquet"]

# A record may be this long. The engine derives its buffer from it; a buffer of our own choice could
# make it lose a longer last line without a word (DuckDB issue 25825).
MAX_RECORD = 16_000_000
# Four control characters that stand together in no text.
NO_DELIMITER = "\x1d\x1e\x1d\x1f"
# Name of the reader's column that tells the file; only used to explain an error.
FILE_COLUMN = "omopcloudetl file"

TEXT = "VARCHAR"
INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}
WHOLE_NUMBER = r"\s*[+-]?[0-9]+\s*"


@dataclass(frozen=True)
class FileColumn:
    """A column of a file: its name there, its name in tables, its type."""

    delivered: str
    name: str
    type: str


@dataclass(frozen=True)
class TableColumn:
    """A column of the table that is loaded."""

    name: str
    type: str
    required: bool


def identifier(name: str) -> str:
    """A quoted name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A quoted string."""
    return "'" + text.replace("'", "''") + "'"


def qualified(table: Iterable[str]) -> str:
    """A quoted name of one, two or three parts."""
    return ".".join(identifier(part) for part in table)


def header_query(path: str) -> str:
    """A query for the first lines of a text file, one row each, as they are."""
    line = FileColumn("line", "line", TEXT)
    # Not strict: lines may end in several ways where values span lines.
    options = {"header": "false", "strict_mode": "false"}
    return f"SELECT line FROM {_csv([path], [line], NO_DELIMITER, '', options)} LIMIT 100"


def reader(
    paths: Sequence[str],
    columns: Sequence[FileColumn],
    format_: FileFormat,
    *,
    parallel: bool = True,
    with_file: bool = False,
    header: bool = True,
) -> str:
    """The table function that reads files of one set of columns; nothing is left to be guessed."""
    if format_ == "parquet":
        return f"read_parquet({_parquet_arguments(paths, with_file=with_file)})"
    delimiter = "," if format_ == "csv" else "\t"
    quote = "" if format_ == "athena" else '"'
    options = {"parallel": str(parallel).lower(), "header": str(header).lower()}
    if with_file:
        options["filename"] = literal(FILE_COLUMN)
    return _csv(paths, columns, delimiter, quote, options)


def lines_query(paths: Sequence[str], columns: Sequence[FileColumn], format_: FileFormat) -> str:
    """A query for the number of lines, blank ones left out, that the records of files come from."""
    names = [identifier(column.name) for column in columns]
    # The only column's NULL is a blank line; any other record has a delimiter.
    own = f"CASE WHEN {names[0]} IS NULL THEN 0 ELSE 1 END" if len(names) == 1 else "1"
    breaks = [f"COALESCE(len(regexp_extract_all({name}, '[\\r\\n]+')), 0)" for name in names]
    source = reader(paths, columns, format_, parallel=False, header=False)
    return f"SELECT COALESCE(sum({' + '.join([own, *breaks])}), 0) FROM {source}"


def parquet_columns_query(path: str) -> str:
    """A query for names and types of a Parquet file's columns."""
    return f"DESCRIBE SELECT * FROM read_parquet({_parquet_arguments([path])})"


def parquet_names_query(path: str) -> str:
    """A query for every name in a Parquet file's schema, as it is written there."""
    return f"SELECT name FROM parquet_schema({literal(path)})"


def _parquet_arguments(paths: Sequence[str], *, with_file: bool = False) -> str:
    files = f", filename={literal(FILE_COLUMN)}" if with_file else ""
    return f"[{', '.join(map(literal, paths))}], hive_partitioning=false{files}"


def _csv(
    paths: Sequence[str],
    columns: Sequence[FileColumn],
    delimiter: str,
    quote: str,
    more: Mapping[str, str],
) -> str:
    types = ", ".join(f"{literal(column.name)}: '{TEXT}'" for column in columns)
    options: dict[str, str] = {
        "columns": f"{{{types}}}",
        "auto_detect": "false",
        "delim": literal(delimiter),
        "quote": literal(quote),
        "escape": literal(quote),
        "comment": "''",
        "skip": "0",
        "nullstr": "''",
        # An empty value is NULL, a quoted empty value is the empty text.
        "allow_quoted_nulls": "false",
        "null_padding": "false",
        "strict_mode": "true",
        "ignore_errors": "false",
        "encoding": "'utf-8'",
        "hive_partitioning": "false",
        "max_line_size": str(MAX_RECORD),
    }
    options |= more
    files = ", ".join(map(literal, paths))
    return f"read_csv([{files}], {', '.join(f'{key}={value}' for key, value in options.items())})"


def converted(source: FileColumn, target: TableColumn, format_: FileFormat) -> str:
    """The expression that turns a file's column into a table's; it fails on what it cannot read."""
    value = _value(source, format_)
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
        keep_empty = target.required and format_ != "parquet"
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
    value = _value(source, format_)
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


def _value(source: FileColumn, format_: FileFormat) -> str:
    return identifier(source.delivered if format_ == "parquet" else source.name)


def _is_fractional(source: FileColumn) -> bool:
    return source.type in {"FLOAT", "DOUBLE"} or source.type.startswith("DECIMAL")


def _is_athena_date(target: TableColumn, format_: FileFormat) -> bool:
    return format_ == "athena" and (target.type == "DATE" or target.type.startswith("TIMESTAMP"))
