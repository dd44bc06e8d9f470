"""The ways to fill a column: direct, expression, constant, value_map, concept, id and reference."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from omopcloudetl.core.models.base import Name, NonEmpty, Sql, StrictModel, as_list

COLUMN_PATTERN = r"^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?$"


def _plain(value: object) -> object:
    if isinstance(value, dict | list):
        raise ValueError("must be one plain value: a text, a number, true, false or nothing")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Scalar = Annotated[bool | int | float | str | None, BeforeValidator(_plain)]
Key = Annotated[tuple[Sql, ...], BeforeValidator(as_list), Field(min_length=1)]


class DirectValue(StrictModel):
    """A source column copied as it is: `{direct: p.id}`."""

    direct: Annotated[str, Field(pattern=COLUMN_PATTERN)]


class ExpressionValue(StrictModel):
    """A scalar SQL expression: `{expression: extract(year from p.birthdate)}`, or just the text."""

    expression: Sql


class ConstantValue(StrictModel):
    """The same value in every row: `{constant: 32817}`, or just the number."""

    constant: Scalar


class ValueMap(StrictModel):
    """One value for each listed value of an expression: `{value_map: p.gender, map: {M: 8507}, else: 0}`."""

    value_map: Sql
    map: Annotated[dict[str, Scalar], Field(min_length=1)]
    otherwise: Annotated[Scalar, Field(alias="else")] = None


class ConceptValue(StrictModel):
    """The concept of a code, 0 when there is none: `{concept: p.speciality, vocabulary: Medicare Specialty}`.

    A column holds one concept, so of several standard concepts the one with the lowest id is taken.
    """

    concept: Sql
    vocabulary: Vocabulary
    domain: str | None = None
    """Only standard concepts of this domain."""
    take: Literal["standard", "source"] = "standard"
    """`standard`: follow 'Maps to'; `source`: the concept of the code itself."""


class IdValue(StrictModel):
    """The row's own id, numbered from its natural key: `{id: [p.id]}`.

    `registry` keeps a key table that only grows, so old rows keep their ids when data are added;
    `ordinal` numbers the rows by their natural key at each run; `hash` takes 63 bits of the key's MD5.
    """

    id: Key
    strategy: Literal["registry", "ordinal", "hash"] = "registry"


class ReferenceValue(StrictModel):
    """The id of another CDM table's row, by its natural key: `{reference: person, key: c.patient}`."""

    reference: Name
    key: Key


_KINDS = ("direct", "expression", "constant", "value_map", "concept", "id", "reference")


def _kind_of(value: Any) -> str | None:
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
    | Annotated[ReferenceValue, Tag("reference()")],
    Discriminator(
        _kind_of,
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
        lambda v: _kind_of(v) if isinstance(v, dict | StrictModel) else "names()",
        custom_error_type="vocabulary_kind",
        custom_error_message="must be a vocabulary_id, a list of them, a value_map or an expression",
        custom_error_context={"allowed": "value_map, expression"},
    ),
    BeforeValidator(_vocabularies),
]

ConceptValue.model_rebuild()
