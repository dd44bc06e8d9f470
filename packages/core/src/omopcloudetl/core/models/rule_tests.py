"""Rule tests: what a mapping makes of given rows, written beside its rules under `tests:`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, JsonValue, Tag, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import HELP, ConceptId, LogicalTable, Name, NonEmpty, StrictModel, as_list
from omopcloudetl.core.models.values import Scalar


def as_text(value: object) -> object:
    """Let digits that are not in quotes stand for a text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


RowKey = Annotated[tuple[Scalar, ...], Field(min_length=1), BeforeValidator(as_list)]
"""The parts of a row's natural key."""

RowKeys = Annotated[tuple[RowKey, ...], Field(min_length=1), BeforeValidator(as_list)]
"""One natural key or several; a key of several parts is a list in this list."""

RowReference = Annotated[dict[Name, RowKey], Field(min_length=1, max_length=1)]
"""A table and the natural key of its row, which stands for that row's id: `{person: p1}`."""

Cell = Annotated[
    Annotated[Scalar, Tag("plain()")] | Annotated[RowReference, Tag("reference()")],
    Discriminator(lambda value: "reference()" if isinstance(value, dict) else "plain()"),
]
"""A value of a field."""

Row = dict[str, Cell]
"""Field → value; what is not listed is NULL where it is given, and not compared where it is expected."""

Code = Annotated[str, Field(min_length=1), BeforeValidator(as_text)]
ConceptIds = Annotated[tuple[ConceptId, ...], BeforeValidator(as_list)]
DAY = r"^\d{4}-\d{2}-\d{2}$"
Day = Annotated[str, Field(pattern=DAY)]


def _has(key: str) -> dict[str, JsonValue]:
    """What JSON Schema says of an object that gives a key."""
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}


_SETS_ASIDE: dict[str, JsonValue] = {"required": ["quarantined"], "properties": {"quarantined": {"minItems": 1}}}
_EXPECTS: list[JsonValue] = [{"required": ["expect"]}, _SETS_ASIDE]


class ConceptStub(StrictModel):
    """A concept of a rule test's vocabulary: `{id: 201826, code: 44054006, vocabulary: SNOMED, domain: Condition}`.

    It is standard and maps to itself, unless it says what it maps to.
    """

    model_config = ConfigDict(json_schema_extra={"anyOf": [_has("id"), _has("code")]})

    id: Annotated[int, Field(ge=1, strict=True)] | None = None
    """Its concept_id; any other without it."""
    domain: NonEmpty
    """Its domain, which routes an event."""
    code: Code | None = None
    """Its concept_code; a concept that is only mapped to needs none."""
    vocabulary: NonEmpty = "SNOMED"
    """Its vocabulary_id."""
    name: NonEmpty | None = None
    """Its name; the code without it."""
    concept_class: Annotated[NonEmpty, Field(alias="class")] = "Undefined"
    """Its concept_class_id, such as `Ingredient`."""
    standard: Annotated[bool, Field(strict=True)] | None = None
    """Whether it is a standard concept; without `maps_to` it is."""
    maps_to: ConceptIds = ()
    """The standard concepts it maps to; several make several rows."""
    maps_to_value: ConceptIds = ()
    """The concepts that 'Maps to value' points to."""
    ancestors: ConceptIds = ()
    """Its ancestors, besides itself."""
    valid_start_date: Day = "1970-01-01"
    """From when it is valid."""
    valid_end_date: Day = "2099-12-31"
    """Until when it is valid."""
    invalid: Annotated[str, Field(pattern=r"^[DU]$")] | None = None
    """`D` where it was deleted, `U` where another took its place."""

    @property
    def is_standard(self) -> bool:
        """Whether it is a standard concept."""
        return not self.maps_to if self.standard is None else self.standard

    @model_validator(mode="after")
    def _can_be_found(self) -> ConceptStub:
        if self.id is None and self.code is None:
            raise PydanticCustomError("concept_stub", "needs an id or a code", {HELP: "add `id:`, `code:` or both"})
        return self


class QuarantinedRow(StrictModel):
    """A row that a rule test expects to be set aside."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [_has("key"), _has("reason")]})

    key: RowKey | None = None
    """The parts of its natural key, as `work.quarantine` has them; any without it."""
    reason: NonEmpty | None = None
    """Why, as `work.quarantine` says: `person_id: unknown person`; any without it."""

    @model_validator(mode="after")
    def _something(self) -> QuarantinedRow:
        if self.key is None and self.reason is None:
            help_ = "add `reason:`, `key:` or both"
            raise PydanticCustomError("quarantined_row", "needs a key or a reason", {HELP: help_})
        return self


class RuleTest(StrictModel):
    """What a mapping makes of given rows; `omopcloudetl test` tries it on DuckDB."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [*_EXPECTS, _has("fails")],
            "not": {"allOf": [_has("fails"), {"anyOf": _EXPECTS}]},
        }
    )

    name: NonEmpty
    """What it shows, in a few words."""
    given: dict[LogicalTable, tuple[Row, ...]] = {}
    """Table → its rows. A table that the mapping reads and that is not here has none."""
    concepts: tuple[ConceptStub, ...] = ()
    """The concepts that the vocabulary holds."""
    unknown: dict[Name, RowKeys] = {}
    """CDM table, or mapping of events, → natural keys of rows that are not there. Every other that rows refer to is."""
    expect: Annotated[dict[LogicalTable, tuple[Row, ...]], Field(min_length=1)] = {}
    """CDM table → exactly its rows, in any order; only listed fields are compared."""
    quarantined: tuple[QuarantinedRow, ...] = ()
    """Exactly the rows that are set aside, in any order."""
    fails: NonEmpty | None = None
    """A piece of the message with which the rows stop a run, as a join that makes more rows than it may does."""

    @model_validator(mode="after")
    def _expects(self) -> RuleTest:
        if not self.expect and not self.quarantined and self.fails is None:
            help_ = "add `expect:`, or `quarantined:` for rows that are set aside"
            raise PydanticCustomError("rule_test", "expects nothing, so it cannot fail", {HELP: help_})
        if self.fails is not None and (self.expect or self.quarantined):
            help_ = "leave `expect` and `quarantined` out, or `fails`"
            raise PydanticCustomError("rule_test", "expects rows of a run that stops", {HELP: help_})
        return self


def plain_key(parts: tuple[Any, ...]) -> tuple[str | None, ...]:
    """The parts of a natural key as text, as the compiler compares them."""
    return tuple(plain_text(part) for part in parts)


def plain_text(value: bool | int | float | str | None) -> str | None:
    """A value as a text file would hold it."""
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)
