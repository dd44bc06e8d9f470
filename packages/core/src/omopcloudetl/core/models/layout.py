"""How the CDM's tables of a target lie in their files: partitions, and the columns in whose order rows lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from omopcloudetl.core.models.base import Name, StrictModel, as_list

By = Literal["nothing", "person", "date"]
_COLUMN = "[a-z][a-z0-9_]*"
PARTITION_PATTERN = rf"^(bucket\( *[1-9][0-9]{{0,8}} *, *{_COLUMN} *\)|(year|month|day)\( *{_COLUMN} *\)|{_COLUMN})$"
_PART = re.compile(r"(?:(?P<transform>[a-z]+)\( *)?(?:(?P<number>\d+) *, *)?(?P<column>\w+) *\)?")

PartitionText = Annotated[str, Field(pattern=PARTITION_PATTERN)]
"""`bucket(N, COLUMN)`, `year(COLUMN)`, `month(COLUMN)`, `day(COLUMN)` or a column."""


@dataclass(frozen=True)
class Partition:
    """What rows of one partition have in common."""

    column: str
    transform: str = ""
    """`year`, `month` or `day` of the column, `bucket`, or nothing: its value."""
    buckets: int = 0
    """With `bucket`: how many there are."""


class TableLayout(StrictModel):
    """How one table lies in its files; what is left out it has not, whatever `by` says."""

    partition: Annotated[tuple[PartitionText, ...], BeforeValidator(as_list)] = ()
    """What rows of one folder have in common: `bucket(64, person_id)`, `year(measurement_date)`, `month(…)`, `day(…)`
    or a column."""
    cluster: Annotated[tuple[Name, ...], BeforeValidator(as_list)] = ()
    """Columns in whose order rows lie, so that those of one person, or of one time, are in few files."""

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """The partitions, read."""
        found = [match for text in self.partition if (match := _PART.fullmatch(text))]
        return tuple(Partition(one["column"], one["transform"] or "", int(one["number"] or 0)) for one in found)


class Layout(StrictModel):
    """How the tables of the CDM lie in their files."""

    by: By = "nothing"
    """`person`: rows of tables with a `person_id` lie in the order of persons and days; `date`: of days and persons."""
    tables: dict[Name, TableLayout] = {}
    """Table of the CDM → how it lies; in place of what `by` would say of it."""
