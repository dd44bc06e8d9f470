"""The builders of eras: spans of a condition, of exposure to an ingredient, of one daily dose of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import AT, HELP, Days, NonEmpty, StrictModel, as_list
from omopcloudetl.core.models.mapping_base import MappingBase

Names = Annotated[tuple[NonEmpty, ...], Field(min_length=1), BeforeValidator(as_list)]
"""One name or several."""


class EraPolicy(StrictModel):
    """How single records become eras."""

    gap_days: Days = 30
    """Records belong to one era if at most so many days lie between the end of the earlier and the start of the later.
    30 days are the CDM's convention: a gap of 30 days persists, one of 31 does not."""


class ExposurePolicy(EraPolicy):
    """When an exposure ends."""

    end: Annotated[
        tuple[Literal["end_date", "days_supply", "start_date"], ...], Field(min_length=1), BeforeValidator(as_list)
    ] = ("end_date", "days_supply", "start_date")
    """Where an exposure's last day is taken from: the first of these that it has, and that is not before its start;
    else its start."""
    first_day_counts: bool = False
    """Whether the first day is one of the days of supply: 30 days from 1 January then end on the 30th, else on the
    31st, as OHDSI's script has it."""

    @model_validator(mode="after")
    def _each_once(self) -> ExposurePolicy:
        for index, name in enumerate(self.end):
            if name in self.end[:index]:
                message, help_ = f"has {name} twice", "leave one of them out"
                raise PydanticCustomError("era_end", message, {AT: ("end", index), HELP: help_})
            if name == "start_date" and index + 1 < len(self.end):
                message, help_ = "is there for every exposure, so that nothing after it counts", "put start_date last"
                raise PydanticCustomError("era_end", message, {AT: ("end", index), HELP: help_})
        return self


class DrugEraPolicy(ExposurePolicy):
    """How exposures become eras of an ingredient."""

    vocabularies: Names = ("RxNorm", "RxNorm Extension")
    """The vocabularies of the ingredients."""
    classes: Names = ("Ingredient",)
    """The concept classes of the ingredients."""


class DoseEraPolicy(ExposurePolicy):
    """How exposures become eras of one daily dose."""

    duration: Annotated[tuple[Literal["days_supply", "dates"], ...], Field(min_length=1), BeforeValidator(as_list)] = (
        "days_supply",
    )
    """How many days an exposure's quantity is taken over: the first of these that it has. `dates` are the days from
    its start to its end date, both included; where an end date only repeats the start, leave it out."""
    units_a_day: Annotated[float, Field(gt=0)] | None = None
    """How many units (tablets, puffs) a day are taken where an exposure has no quantity or no duration. Without it,
    such exposures are left out."""


class ConditionEraMapping(MappingBase):
    """`builder: condition_era`: spans in which a person is taken to have a condition."""

    kind: Literal["derived"]
    builder: Literal["condition_era"]
    """Eras of all of cdm.condition_occurrence."""
    policy: EraPolicy = EraPolicy()
    """How occurrences become eras."""


class DrugEraMapping(MappingBase):
    """`builder: drug_era`: spans in which a person is taken to be exposed to an ingredient."""

    kind: Literal["derived"]
    builder: Literal["drug_era"]
    """Eras of all of cdm.drug_exposure, by ingredient."""
    policy: DrugEraPolicy = DrugEraPolicy()
    """How exposures become eras."""


class DoseEraMapping(MappingBase):
    """`builder: dose_era`: spans in which a person is taken to have one daily dose of an ingredient."""

    kind: Literal["derived"]
    builder: Literal["dose_era"]
    """Eras of all of cdm.drug_exposure whose daily dose is known, by ingredient and dose."""
    policy: DoseEraPolicy = DoseEraPolicy()
    """How exposures become eras."""
