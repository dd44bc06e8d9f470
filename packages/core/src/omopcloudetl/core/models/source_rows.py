"""The rows of the source that a mapping accounts for: `from`, `joins`, `where`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import HELP, LogicalTable, Name, Sql, StrictModel, TooLong
from omopcloudetl.core.models.mapping_base import MappingBase


class Join(StrictModel):
    """A table joined to the mapping's rows; a row without a match is kept, its columns are NULL."""

    table: LogicalTable
    """The table that is joined, under the alias that is the key."""
    on: Sql
    """The condition, over this alias and those before it."""
    cardinality: Literal["one", "many"]
    """How many rows may match one row: `one` is checked when the mapping runs."""


def _one_table(value: dict[str, str]) -> dict[str, str]:
    if len(value) > 1:
        raise PydanticCustomError("from_table", "names one table", {HELP: "put the others under `joins:`"})
    return value


class RowsOfTable(StrictModel):
    """Rows of one table, with what is joined to each and which of them are left out."""

    from_: Annotated[dict[Name, LogicalTable], Field(alias="from"), AfterValidator(_one_table)] = {}
    """One alias and the table whose rows this mapping accounts for; without it the mapping makes one row."""
    joins: dict[Name, Join] = {}
    """Alias → a further table; always a left join."""
    where: Sql | None = None
    """Rows for which this is not true are left out on purpose, and counted in the ledger."""


class SourceRows(MappingBase, RowsOfTable):
    """The rows of the source that a mapping accounts for."""

    too_long: TooLong | None = None
    """A text that is longer than its field is cut, quarantines its row, or stops the run; else as the project says."""
