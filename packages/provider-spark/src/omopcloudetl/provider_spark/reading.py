"""How the text of files is read: the reader's options, and how values become what the table's columns are."""

from __future__ import annotations

from sqlglot import exp

from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_spark.casts import try_cast
from omopcloudetl.provider_spark.sql import literal

ENCODINGS = {"utf-8": "UTF-8", "utf-16": "UTF-16LE", "latin-1": "ISO-8859-1"}
NO_QUOTE = "\x01"
"""Sail's reader needs a quote; in files that quote nothing it is a control character that stands in no text."""
_COMPACT_DAY = "^[0-9]{8}$"


def reader_options(load: BulkLoadStep, *, multiline: bool) -> dict[str, str]:
    """What Spark's reader is told, of which a malformed record is an error."""
    if load.format == "parquet":
        return {}
    text = load.text
    return {
        "header": "false" if text.names else "true",
        "sep": text.delimiter,
        "quote": text.quote or NO_QUOTE,
        "escape": text.quote or NO_QUOTE,
        "encoding": ENCODINGS[text.encoding],
        "mode": "FAILFAST",
        "multiLine": str(multiline and bool(text.quote)).lower(),
        "inferSchema": "false",
        "enforceSchema": "false",
        "maxCharsPerColumn": "-1",
    }


def tried(value: str, type_: str) -> str:
    """A text of a file as a column's type, as SQL; NULL where it cannot be read."""
    if type_ == "string":
        return value
    text = exp.Column(this=exp.to_identifier(value.strip("`").replace("``", "`"), quoted=True))
    text.type = exp.DataType.build("text")
    to = exp.DataType.build(type_, dialect="spark")
    read = try_cast(text, to).sql("spark")
    if type_ == "date":
        iso = f"CONCAT(SUBSTRING({value}, 1, 4), '-', SUBSTRING({value}, 5, 2), '-', SUBSTRING({value}, 7, 2))"
        read = f"CASE WHEN {value} RLIKE '{_COMPACT_DAY}' THEN TRY_CAST({iso} AS DATE) ELSE {read} END"
    return read


def read_as(value: str, type_: str, name: str) -> str:
    """A text of a file as a column's type, as SQL; what cannot be read stops the statement, and is not quoted."""
    if type_ == "string":
        return value
    problem = f"RAISE_ERROR({literal(f'a value of {name} is no {type_}')})"
    read = f"COALESCE({tried(value, type_)}, CAST({problem} AS {type_}))"
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE {read} END"
