"""Spells the engine's table functions for text and Parquet files; nothing is left to be guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from omopcloudetl.core.models.loads import Encoding
from omopcloudetl.core.plan import BulkLoadStep, TextOptions
from omopcloudetl.provider_duckdb.sql import FILE_COLUMN, TEXT, FileColumn, identifier, literal, literals

# A record may be this long. The engine derives its buffer from it; a buffer of our own choice could
# make it lose a longer last line without a word (DuckDB issue 25825).
MAX_RECORD = 16_000_000
# Four control characters that stand together in no text.
NO_DELIMITER = "\x1d\x1e\x1d\x1f"
LINE = FileColumn("line", "line", TEXT)


def reader(
    paths: Sequence[str],
    columns: Sequence[FileColumn],
    load: BulkLoadStep,
    *,
    parallel: bool = True,
    with_file: bool = False,
    more: Mapping[str, str] | None = None,
) -> str:
    """The table function that reads delimited text or Parquet files of one set of columns."""
    if load.format == "parquet":
        return f"read_parquet({_parquet_arguments(paths, with_file=with_file)})"
    options = {"parallel": str(parallel).lower(), "header": str(not load.text.names).lower()}
    if with_file:
        options["filename"] = literal(FILE_COLUMN)
    return _csv(paths, columns, load.text, options | dict(more or {}))


def lines_reader(
    paths: Sequence[str],
    encoding: Encoding,
    *,
    parallel: bool = True,
    with_file: bool = False,
    more: Mapping[str, str] | None = None,
) -> str:
    """The table function that reads text files line by line, as they are; a blank line is NULL."""
    # Not strict: lines may end in several ways where values span lines.
    options = {"header": "false", "strict_mode": "false", "parallel": str(parallel).lower()}
    if with_file:
        options["filename"] = literal(FILE_COLUMN)
    spelling = TextOptions(delimiter=NO_DELIMITER, quote="", encoding=encoding)
    return _csv(paths, [LINE], spelling, options | dict(more or {}))


def header_query(path: str, encoding: Encoding) -> str:
    """A query for the first lines of a text file, one row each, as they are."""
    return f"SELECT line FROM {lines_reader([path], encoding)} LIMIT 100"


def spanned_lines(columns: Sequence[FileColumn]) -> str:
    """How many lines, blank ones left out, a record comes from."""
    names = [identifier(column.name) for column in columns]
    # The only column's NULL is a blank line; any other record has a delimiter.
    own = f"CASE WHEN {names[0]} IS NULL THEN 0 ELSE 1 END" if len(names) == 1 else "1"
    breaks = [f"COALESCE(len(regexp_extract_all({name}, '[\\r\\n]+')), 0)" for name in names]
    return " + ".join([own, *breaks])


def lines_of_header(cells: Sequence[str]) -> int:
    """How many lines a header comes from."""
    return bool(cells) + sum(len(re.findall(r"[\r\n]+", cell)) for cell in cells)


def lines_query(paths: Sequence[str], columns: Sequence[FileColumn], load: BulkLoadStep) -> str:
    """A query for the number of lines, blank ones left out, that the records of files come from."""
    source = reader(paths, columns, load, parallel=False, more={"header": "false"})
    return f"SELECT COALESCE(sum({spanned_lines(columns)}), 0) FROM {source}"


def states_query(pattern: str) -> str:
    """A query for path, size and time of files on another machine; what they hold is not read."""
    return f"SELECT filename, size, epoch_us(last_modified) FROM read_blob({literal(pattern)})"


def glob_query(patterns: Sequence[str]) -> str:
    """A query for the paths of the files that any of some patterns matches."""
    return f"SELECT DISTINCT file FROM glob({literals(patterns)}) ORDER BY file"


def parquet_columns_query(path: str) -> str:
    """A query for names and types of a Parquet file's columns."""
    return f"DESCRIBE SELECT * FROM read_parquet({_parquet_arguments([path])})"


def parquet_names_query(path: str) -> str:
    """A query for every name in a Parquet file's schema, as it is written there."""
    return f"SELECT name FROM parquet_schema({literal(path)})"


def parquet_rows_query(paths: Sequence[str]) -> str:
    """A query for the number of rows that Parquet files say they have; their data are not read."""
    return f"SELECT CAST(COALESCE(sum(num_rows), 0) AS BIGINT) FROM parquet_file_metadata({literals(paths)})"


def _parquet_arguments(paths: Sequence[str], *, with_file: bool = False) -> str:
    files = f", filename={literal(FILE_COLUMN)}" if with_file else ""
    return f"{literals(paths)}, hive_partitioning=false{files}"


def _csv(paths: Sequence[str], columns: Sequence[FileColumn], text: TextOptions, more: Mapping[str, str]) -> str:
    types = ", ".join(f"{literal(column.name)}: '{TEXT}'" for column in columns)
    options: dict[str, str] = {
        "columns": f"{{{types}}}",
        "auto_detect": "false",
        "delim": literal(text.delimiter),
        "quote": literal(text.quote),
        "escape": literal(text.quote),
        "comment": "''",
        "skip": "0",
        "nullstr": literals(["", *text.null]),
        # An empty value is NULL, a quoted empty value is the empty text.
        "allow_quoted_nulls": "false",
        "null_padding": "false",
        "strict_mode": "true",
        "ignore_errors": "false",
        "encoding": literal(text.encoding),
        "hive_partitioning": "false",
        "max_line_size": str(MAX_RECORD),
    }
    options |= more
    return f"read_csv({literals(paths)}, {', '.join(f'{key}={value}' for key, value in options.items())})"
