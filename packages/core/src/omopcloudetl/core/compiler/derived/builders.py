"""Compiles `kind: derived`: calls the builder that the mapping names."""

from __future__ import annotations

from typing import assert_never

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.condition_era import condition_era
from omopcloudetl.core.compiler.derived.cost import cost
from omopcloudetl.core.compiler.derived.death import death
from omopcloudetl.core.compiler.derived.dose_era import dose_era
from omopcloudetl.core.compiler.derived.drug_era import drug_era
from omopcloudetl.core.compiler.derived.observation_period import observation_period
from omopcloudetl.core.compiler.derived.payer_plan_period import payer_plan_period
from omopcloudetl.core.compiler.derived.visits import visits
from omopcloudetl.core.compiler.staged import CompiledMapping
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.cost import CostMapping
from omopcloudetl.core.models.death import DeathMapping
from omopcloudetl.core.models.derived import DerivedMapping
from omopcloudetl.core.models.eras import ConditionEraMapping, DoseEraMapping, DrugEraMapping
from omopcloudetl.core.models.observation_period import ObservationPeriodMapping
from omopcloudetl.core.models.payer_plan_period import PayerPlanPeriodMapping
from omopcloudetl.core.models.visits import VisitsMapping


def derived_mapping(compilation: Compilation, loaded: LoadedMapping, model: DerivedMapping) -> CompiledMapping | None:
    """Add the steps of a derived mapping up to its stage; its last step is the stage, unless that is a late one.

    None where its table is no table of the CDM.
    """
    match model:
        case ObservationPeriodMapping():
            return observation_period(compilation, loaded, model)
        case ConditionEraMapping():
            return condition_era(compilation, loaded, model)
        case DrugEraMapping():
            return drug_era(compilation, loaded, model)
        case DoseEraMapping():
            return dose_era(compilation, loaded, model)
        case DeathMapping():
            return death(compilation, loaded, model)
        case PayerPlanPeriodMapping():
            return payer_plan_period(compilation, loaded, model)
        case CostMapping():
            return cost(compilation, loaded, model)
        case VisitsMapping():
            return visits(compilation, loaded, model)
        case _:
            assert_never(model)
