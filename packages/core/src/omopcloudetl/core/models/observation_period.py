"""`builder: observation_period`: which records say that a person was under observation, and for how long."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import AT, HELP, ConceptId, Days, StrictModel, as_list
from omopcloudetl.core.models.mapping_base import MappingBase

PeriodSource = Literal[
    "enrollment",
    "visits",
    "events",
    "death",
    "payer_plan_period",
    "visit_occurrence",
    "visit_detail",
    "condition_occurrence",
    "drug_exposure",
    "procedure_occurrence",
    "device_exposure",
    "measurement",
    "observation",
    "specimen",
    "note",
    "episode",
]
"""A CDM table whose records have days, or a word for several of them."""

PERIOD_SOURCES: dict[str, tuple[str, ...]] = {
    "enrollment": ("payer_plan_period",),
    "visits": ("visit_occurrence", "visit_detail"),
    "events": (
        "condition_occurrence",
        "drug_exposure",
        "procedure_occurrence",
        "device_exposure",
        "measurement",
        "observation",
        "specimen",
        "note",
    ),
}
"""What the words stand for; every other source is a table of that name."""


class ObservationPeriodPolicy(StrictModel):
    """Which records a person's observation periods are made of, and what bounds them."""

    sources: Annotated[tuple[PeriodSource, ...], Field(min_length=1), BeforeValidator(as_list)] = ("visits", "events")
    """Whose records count, from their first day to their last: `enrollment` (payer_plan_period), `visits`
    (visit_occurrence, visit_detail), `events` (conditions, drugs, procedures, devices, measurements, observations,
    specimens, notes), or single tables. `death` makes the day of death a record of its own."""
    gap_days: Annotated[Days, Field(ge=1)] | None = None
    """Records belong to one period if at most so many days lie between the end of the earlier and the start of the
    later; without it each person has one period, from the first record to the last. OHDSI's working group on EHR data
    recommends 547."""
    days_before_birth: Days | None = 0
    """A period begins at the earliest so many days before birth; `null`: birth is no bound."""
    days_after_death: Days | None = 60
    """A period ends at the latest so many days after death; `null`: death is no bound."""
    days_after_last: Days = 0
    """How many days a period goes on after its last record, within its bounds. With `gap_days` it must be less."""
    not_before: date | None = None
    """Nothing before this day counts: the day since which the source records all care."""
    not_after: date | None = None
    """Nothing after this day counts: the day on which the data were extracted."""
    type_concept_id: ConceptId = 32882
    """How the periods were found: 32882 is 'Standard algorithm from EHR', 32813 'Claim enrolment record'."""

    @model_validator(mode="after")
    def _consistent(self) -> ObservationPeriodPolicy:
        if self.gap_days is not None and self.days_after_last >= self.gap_days:
            context = {AT: ("days_after_last",), HELP: "give fewer days, or greater gap_days"}
            raise PydanticCustomError("period_days", "must be less than gap_days, or periods would touch", context)
        if self.not_before is not None and self.not_after is not None and self.not_before > self.not_after:
            context = {AT: ("not_after",), HELP: "write a later day"}
            raise PydanticCustomError("period_days", "must not be before not_before", context)
        return self


class ObservationPeriodMapping(MappingBase):
    """`builder: observation_period`: spans in which what happens to a person is expected to be recorded.

    Periods of one person never overlap and never touch: at least one day lies between them.
    """

    kind: Literal["derived"]
    builder: Literal["observation_period"]
    """Periods of all persons, from the CDM tables that the policy names."""
    policy: ObservationPeriodPolicy = ObservationPeriodPolicy()
    """Which records count, and what bounds the periods."""
