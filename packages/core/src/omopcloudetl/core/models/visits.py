"""`builder: visits`: how encounters of a source become visits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import ALLOWED, AT, HELP, ConceptId, Days, NonEmpty, Sql, StrictModel
from omopcloudetl.core.models.source_rows import SourceRows
from omopcloudetl.core.models.values import ColumnValue, ConstantValue, Key

NOT_GIVEN = ConstantValue(constant=None)


class VisitPolicy(StrictModel):
    """Which encounters are one visit, and which concept the visit has."""

    classes: Annotated[dict[str, ConceptId], Field(min_length=1)]
    """Class of the source, as delivered → concept of the domain Visit. A class that is not named has concept 0."""
    stays: tuple[NonEmpty, ...] = ()
    """Classes of encounters that are stays, such as inpatient ones. A visit of several has the concept and the source
    value of the class that is named first here."""
    multi_day_stays: bool = True
    """Whether an encounter of any class is a stay if it ends on a later day than it starts."""
    stay_concept_id: ConceptId = 9201
    """The concept of a stay without an encounter of the classes under `stays`; 9201 is Inpatient Visit."""
    gap_days: Days = 1
    """Stays are one visit if the later starts at most so many days after the earlier ends. With 1, stays that
    overlap or follow each other within a day; with 0, stays that share a day."""
    emergency: tuple[NonEmpty, ...] = ()
    """Classes of encounters that, on the first day of a stay, are how the stay began."""
    emergency_stay_concept_id: ConceptId = 262
    """Instead of `stay_concept_id`, where a stay began with an emergency; 262 is Emergency Room and Inpatient Visit."""
    by_day: tuple[NonEmpty, ...] = ()
    """Classes whose encounters outside of stays are one visit for each person, day and concept. Encounters of other
    classes are one visit each."""

    @model_validator(mode="after")
    def _known_classes(self) -> VisitPolicy:
        for key in ("stays", "emergency", "by_day"):
            for i, name in enumerate(getattr(self, key)):
                if name not in self.classes:
                    help_ = "give it a concept under `classes:`; 0 if there is none"
                    context = {AT: (key, i), ALLOWED: tuple(self.classes), HELP: help_}
                    raise PydanticCustomError("visit_class", "is none of the classes", context)
                if key != "stays" and name in self.stays:
                    context = {AT: (key, i), HELP: "leave it out here or there"}
                    raise PydanticCustomError("visit_class", "is a stay by its class already", context)
        return self


class VisitsMapping(SourceRows):
    """`builder: visits`: encounters become visits, and each encounter a detail of its visit."""

    kind: Literal["derived"]
    builder: Literal["visits"]
    """Fills cdm.visit_occurrence and cdm.visit_detail."""
    key: Key
    """The natural key of an encounter, by which other mappings refer to its visit and to its visit detail."""
    person: Key
    """The natural key of the person; an encounter of an unknown one is quarantined."""
    class_: Sql = Field(alias="class")
    """The class of the encounter as the source has it; it is the source value."""
    start: Sql
    """A date or timestamp; without one, the encounter is quarantined."""
    end: Sql | None = None
    """A date or timestamp; where it is missing, unreadable or before the start, the start stands for it."""
    provider: Key | None = None
    """The natural key of the provider; NULL for an unknown one. A visit has that of its first encounter."""
    care_site: Key | None = None
    """The natural key of the care site; NULL for an unknown one. A visit has that of its first encounter."""
    type_concept_id: ColumnValue
    """Where the record comes from, a concept of the domain 'Type Concept'. A visit has that of its first encounter."""
    admitted_from_concept_id: ColumnValue = NOT_GIVEN
    """Where the person came from; a visit has that of its first encounter."""
    admitted_from_source_value: ColumnValue = NOT_GIVEN
    """Where the person came from, as the source has it."""
    discharged_to_concept_id: ColumnValue = NOT_GIVEN
    """Where the person went; a visit has that of the encounter that ends last."""
    discharged_to_source_value: ColumnValue = NOT_GIVEN
    """Where the person went, as the source has it."""
    policy: VisitPolicy
    """Which encounters are one visit."""
