"""Derived tables (`kind: derived`): a named builder and its policy, for what no single source row says."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from omopcloudetl.core.models.cost import CostMapping
from omopcloudetl.core.models.death import DeathMapping
from omopcloudetl.core.models.eras import ConditionEraMapping, DoseEraMapping, DrugEraMapping
from omopcloudetl.core.models.observation_period import ObservationPeriodMapping
from omopcloudetl.core.models.payer_plan_period import PayerPlanPeriodMapping
from omopcloudetl.core.models.visits import VisitsMapping


def with_builder(value: Any) -> Any:
    """Give what has no `builder` an empty one: the error about it then says which builders there are."""
    return {**value, "builder": ""} if isinstance(value, dict) and value.get("builder") is None else value


DerivedMapping = (
    ObservationPeriodMapping
    | ConditionEraMapping
    | DrugEraMapping
    | DoseEraMapping
    | DeathMapping
    | PayerPlanPeriodMapping
    | CostMapping
    | VisitsMapping
)
"""A mapping of any builder."""

DerivedDefinition = Annotated[DerivedMapping, Field(discriminator="builder"), BeforeValidator(with_builder)]
