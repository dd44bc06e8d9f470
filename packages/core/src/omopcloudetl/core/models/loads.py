"""What a workflow may say about the files of a load: their format, their spelling, how many rows may be rejected."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import ALLOWED, AT, HELP, NonEmpty, StrictModel, as_list

FileFormat = Literal["csv", "tsv", "athena", "parquet", "json", "ndjson"]
Encoding = Literal["utf-8", "utf-16", "latin-1"]
LogicalType = Literal["text", "integer", "number", "boolean", "date", "timestamp"]

DELIMITER_PATTERN = r"^[^\r\n\"]$"
QUOTE_PATTERN = r"^[!-/:-@\[-`{-~]?$"


DIRECTIVES = "aAbBdfHIjmMpSyY%"


def _time_format(value: str) -> str:
    """A format without `%`, or with a directive that engines read differently, is a mistake."""
    directives = re.findall(r"%-?(.?)", value)
    if not directives or not set(directives) <= set(DIRECTIVES):
        allowed = tuple(f"%{letter}" for letter in DIRECTIVES)
        help_ = 'write for example "%d.%m.%Y", or "%Y-%m-%d %H:%M:%S"'
        raise PydanticCustomError("time_format", "is no format of a date or timestamp", {ALLOWED: allowed, HELP: help_})
    return value


TimeFormat = Annotated[str, AfterValidator(_time_format)]
"""A format of a date or timestamp in the directives of C's `strptime`: `%d.%m.%Y`."""


class Column(StrictModel):
    """A column of a source file; the text is kept as delivered and read as `type` where it is used."""

    type: LogicalType = "text"
    format: Annotated[tuple[TimeFormat, ...], BeforeValidator(as_list)] = ()
    """How a date or timestamp is written, as in `%d.%m.%Y %H:%M`, or several ways; ISO 8601 without it."""
    optional: StrictBool = False
    """An optional column may be missing from the file; it is NULL then."""
    other_names: Annotated[tuple[NonEmpty, ...], BeforeValidator(as_list)] = ()
    """What a file may call the column instead, as other versions of its source do; the first that is there is taken."""

    @model_validator(mode="after")
    def _format_of_a_time(self) -> Column:
        if self.format and self.type not in {"date", "timestamp"}:
            message = "is for columns of type date or timestamp"
            raise PydanticCustomError(
                "column_format", message, {AT: ("format",), HELP: "give the column such a type, or leave it out"}
            )
        return self


class LoadOptions(StrictModel):
    """How files are read; what a table does not say is as its step says."""

    delimiter: Annotated[str, Field(pattern=DELIMITER_PATTERN)] | None = None
    """What stands between the values of `csv`: one character, a comma by default."""
    quote: Annotated[str, Field(pattern=QUOTE_PATTERN)] | None = None
    """What values of `csv` and `tsv` are quoted with, `"` by default; an empty text for files that quote nothing."""
    encoding: Encoding | None = None
    """How text files are encoded: `utf-8` by default."""
    null: Annotated[tuple[NonEmpty, ...], BeforeValidator(as_list)] | None = None
    """Texts that, unquoted, mean that there is no value; an empty value always does."""
    header: StrictBool | None = None
    """`false` for files of `csv` and `tsv` whose first line is data: the declared columns name the values, in order."""
    max_rejected: Annotated[int, Field(ge=0, strict=True)] | None = None
    """How many malformed records of a table's files may be set aside; none by default."""
    keep_rejected_text: StrictBool | None = None
    """Whether the text of rejected records is kept in `work.rejected_rows`; it is patient data."""
    in_place: StrictBool | None = None
    """Whether a table of `source` is a view of its `parquet` files, which are read where they are; else a copy."""


def bare_type(value: object) -> object:
    """Let the type alone stand for a column."""
    return {"type": value} if isinstance(value, str) else value


class LoadTable(LoadOptions):
    """One table of a bulk load: its file or glob below the step's `from`, its declared columns, its options."""

    file: NonEmpty
    columns: dict[str, Annotated[Column, BeforeValidator(bare_type)]] = {}
    format: FileFormat | None = None
    """The format of this table's files where it is not the step's."""

    @model_validator(mode="after")
    def _one_column_a_name(self) -> LoadTable:
        taken = {name.lower(): name for name in self.columns}
        for name, column in self.columns.items():
            for i, other in enumerate(column.other_names):
                owner = taken.setdefault(other.strip().lower(), name)
                if owner != name or other.strip().lower() == name.lower():
                    message = "is a name of the column '{column}' already"
                    help_ = "a name in a file is one column; leave it out here, or there"
                    context = {AT: ("columns", name, "other_names", i), HELP: help_, "column": owner}
                    raise PydanticCustomError("column_names", message, context)
        return self


def bare_file(value: object) -> object:
    """Let the file alone stand for a table."""
    return {"file": value} if isinstance(value, str) else value
