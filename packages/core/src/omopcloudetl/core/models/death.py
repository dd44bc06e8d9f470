"""`builder: death`: who died when, and of what, from several sources."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import HELP, Sql, StrictModel, TooLong
from omopcloudetl.core.models.mapping_base import MappingBase
from omopcloudetl.core.models.source_rows import RowsOfTable
from omopcloudetl.core.models.values import CodeLookup, ColumnValue, ConstantValue, Key


class DeathPolicy(StrictModel):
    """Which of several records of a person's death counts for what."""

    date: Literal["latest", "earliest"] = "latest"
    """Which date counts of several in one source; an earlier source goes before a later one."""
    cause: Literal["first_known", "of_the_date"] = "first_known"
    """`first_known`: the cause of the first source that has one; `of_the_date`: only the one beside the date."""
    before_birth: Literal["quarantine", "keep"] = "quarantine"
    """What becomes of a date before the person's birth, as far as `cdm.person` knows that."""


class DeathSource(RowsOfTable):
    """Rows that say who died, or of what."""

    says: Literal["death", "cause"] = "death"
    """`cause`: a row is no evidence of a death, it only says the cause of one that another source has."""
    key: Key
    """The natural key of a row, by which the quarantine names it."""
    person: Key
    """The natural key of the person; a row of an unknown one is quarantined."""
    date: Sql | None = None
    """The date or timestamp of death, or a year or month, of which it is the last day; for `says: cause`, when that was
    said: the last one counts."""
    cause: CodeLookup | None = None
    """The code that says the cause."""
    type_concept_id: ColumnValue = ConstantValue(constant=None)
    """Where the record comes from, as a concept of the domain 'Type Concept'."""

    @model_validator(mode="after")
    def _says_what_it_says(self) -> DeathSource:
        missing = "date" if self.says == "death" else "cause"
        if getattr(self, missing) is None:
            what = f"says a {self.says}, and has no `{missing}:`"
            raise PydanticCustomError("death_source", what, {HELP: f"add `{missing}:`"})
        return self


class DeathMapping(MappingBase):
    """`builder: death`: one row for each person who died, from the first source that knows it."""

    kind: Literal["derived"]
    builder: Literal["death"]
    """Records of deaths become cdm.death."""
    sources: Annotated[tuple[DeathSource, ...], Field(min_length=1)]
    """Where deaths are recorded, in order of precedence: the most reliable first."""
    too_long: TooLong | None = None
    """What becomes of a code that is longer than its field; else as the project says."""
    policy: DeathPolicy = DeathPolicy()
    """Which of several records counts."""
