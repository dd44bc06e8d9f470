"""The ways to fill a column: direct, expression, constant, value_map, concept, id, reference and event."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import HELP, Name, NonEmpty, Sql, StrictModel, as_list

COLUMN_PATTERN = r"^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?$"


def _plain(value: object) -> object:
    if isinstance(value, dict | list):
        message = "must be one plain value: a text, a number, true, false or nothing"
        raise PydanticCustomError("plain_value", message, {HELP: "write one value, no list and no keys"})
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("plain_value", "must be a finite number", {HELP: "write its digits"})
    return value


Scalar = Annotated[bool | int | float | str | None, BeforeValidator(_plain)]
Key = Annotated[tuple[Sql, ...], Field(min_length=1), BeforeValidator(as_list)]


class DirectValue(StrictModel):
    """A source column copied as it is: `{direct: p.id}`."""

    direct: Annotated[str, Field(pattern=COLUMN_PATTERN)]
    """`alias.column`."""


class ExpressionValue(StrictModel):
    """A scalar SQL expression: `{expression: extract(year from p.birthdate)}`, or just the text."""

    expression: Sql
    """In DuckDB's dialect of SQL, over the mapping's aliases, whatever the target."""


class ConstantValue(StrictModel):
    """The same value in every row: `{constant: 32817}`, or just the number."""

    constant: Scalar
    """A number for a number field, a text for a text or date field."""


class ValueMap(StrictModel):
    """One value for each listed value of an expression: `{value_map: p.gender, map: {M: 8507}, else: 0}`."""

    value_map: Sql
    """What is looked up, as text and as delivered."""
    map: Annotated[dict[str, Scalar], Field(min_length=1)]
    """Value of the source → value of the field."""
    otherwise: Annotated[Scalar, Field(alias="else")] = None
    """The value for everything that is not listed, NULL included."""


class ConceptValue(StrictModel):
    """The concept of a code, 0 when there is none: `{concept: p.speciality, vocabulary: Medicare Specialty}`.

    A column holds one concept, so of several standard concepts the one with the lowest id is taken.
    """

    concept: Sql
    """The code as the source has it."""
    vocabulary: Vocabulary
    """Where the code is looked up, also among your own in `source_to_concept_map`."""
    domain: str | None = None
    """Only standard concepts of this domain."""
    take: Literal["standard", "source"] = "standard"
    """`standard`: follow 'Maps to'; `source`: the concept of the code itself."""


class IdValue(StrictModel):
    """The row's own id, numbered from its natural key: `{id: [p.id]}`."""

    id: Key
    """The natural key."""
    strategy: Literal["registry", "ordinal", "hash"] = "registry"
    """`registry`: a key table that only grows, so old rows keep their ids when data are added; `ordinal`: rows
    are numbered by their contents at each run; `hash`: 63 bits of the key's MD5."""


class ReferenceValue(StrictModel):
    """The id of another CDM table's row, by its natural key: `{reference: person, key: c.patient}`."""

    reference: Name
    """The table, without its schema; a mapping must give its ids by registry."""
    key: Key
    """The natural key that this mapping gives to `id`; a row of an unknown one gets NULL."""


class EventReferenceValue(StrictModel):
    """The row that another mapping of `kind: event` made: `{event: medications, key: [m.patient, m.code, m.start]}`.

    A code with several standard concepts makes several rows, perhaps in several tables; the one with the lowest
    concept stands for them all, so that what refers to the event refers to it once.
    """

    event: Name
    """The mapping that made the row."""
    key: Key
    """The natural key of its source row, in the order of that mapping's `key`; of an unknown one it is NULL."""
    take: Literal["id", "table", "domain", "domain_concept_id", "field_concept_id"] = "id"
    """`id` for `cost_event_id`, `measurement_event_id` and the like; `domain` for `cost_domain_id`; `field_concept_id`,
    the concept of the table's id in the vocabulary 'CDM', for `meas_event_field_concept_id` and the like;
    `domain_concept_id` for `fact_relationship`."""
    pair: bool = False
    """Where several source rows share the key: whether the rows that refer to them take one each, in the order of
    their contents, instead of all the first."""


_KINDS = ("direct", "expression", "constant", "value_map", "concept", "id", "reference", "event")


def kind_of(value: Any) -> str | None:
    """The tag of the kind; tags are no words a user writes, so that they are not taken for keys."""
    holds = value.__contains__ if isinstance(value, dict) else lambda kind: hasattr(value, kind)
    kinds = [kind for kind in _KINDS if holds(kind)]
    return f"{kinds[0]}()" if len(kinds) == 1 else None


def _spelled_out(value: object) -> object:
    """A bare string is an expression; a bare number, boolean or null is a constant."""
    if isinstance(value, str):
        return {"expression": value}
    if value is None or isinstance(value, bool | int | float):
        return {"constant": value}
    return value


ColumnValue = Annotated[
    Annotated[DirectValue, Tag("direct()")]
    | Annotated[ExpressionValue, Tag("expression()")]
    | Annotated[ConstantValue, Tag("constant()")]
    | Annotated[ValueMap, Tag("value_map()")]
    | Annotated[ConceptValue, Tag("concept()")]
    | Annotated[IdValue, Tag("id()")]
    | Annotated[ReferenceValue, Tag("reference()")]
    | Annotated[EventReferenceValue, Tag("event()")],
    Discriminator(
        kind_of,
        custom_error_type="column_value_kind",
        custom_error_message="must be filled in exactly one way",
        custom_error_context={"allowed": ", ".join(_KINDS)},
    ),
    BeforeValidator(_spelled_out),
]


def _vocabularies(value: object) -> object:
    """A bare string is one vocabulary, a list is an order of preference, a mapping is a value of the row."""
    if isinstance(value, str):
        return [value]
    return value


Vocabulary = Annotated[
    Annotated[tuple[NonEmpty, ...], Tag("names()"), Field(min_length=1)]
    | Annotated[ValueMap, Tag("value_map()")]
    | Annotated[ExpressionValue, Tag("expression()")],
    Discriminator(
        lambda v: kind_of(v) if isinstance(v, dict | StrictModel) else "names()",
        custom_error_type="vocabulary_kind",
        custom_error_message="must be a vocabulary_id, a list of them, a value_map or an expression",
        custom_error_context={"allowed": "value_map, expression"},
    ),
    BeforeValidator(_vocabularies),
]

ConceptValue.model_rebuild()


class CodeLookup(StrictModel):
    """A code of the source and the vocabulary it belongs to."""

    code: Sql
    """The code as the source has it."""
    vocabulary: Vocabulary
    """Where the code is looked up, also among your own in `source_to_concept_map`."""
    domain: str | None = None
    """Only standard concepts of this domain."""
    name: Sql | None = None
    """What the source calls the code, for those who map it: `omopcloudetl vocab coverage` shows it."""
