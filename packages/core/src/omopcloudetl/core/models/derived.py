"""Derived tables (`kind: derived`): a named builder and its policy, for what no single source row says."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from omopcloudetl.core.models.base import Days, StrictModel
from omopcloudetl.core.models.mapping_base import MappingBase
from omopcloudetl.core.models.observation_period import ObservationPeriodMapping
from omopcloudetl.core.models.payer_plan_period import PayerPlanPeriodMapping


class EraPolicy(StrictModel):
    """How single records become eras."""

    gap_days: Days = 30
    """Records of one concept belong to one era if at most so many days lie between the end of the earlier and the
    start of the later. 30 days are the CDM's convention: a gap of 30 days persists, one of 31 does not."""


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
    policy: EraPolicy = EraPolicy()
    """How exposures become eras."""


def with_builder(value: Any) -> Any:
    """Give what has no `builder` an empty one: the error about it then says which builders there are."""
    return {**value, "builder": ""} if isinstance(value, dict) and value.get("builder") is None else value


DerivedMapping = ObservationPeriodMapping | ConditionEraMapping | DrugEraMapping | PayerPlanPeriodMapping
"""A mapping of any builder."""

DerivedDefinition = Annotated[DerivedMapping, Field(discriminator="builder"), BeforeValidator(with_builder)]
