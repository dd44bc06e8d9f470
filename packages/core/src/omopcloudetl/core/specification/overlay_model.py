"""Overlays: files that add tables and fields to a CDM specification, or change fields of it."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import ALLOWED, AT, Name, NonEmpty, StrictModel, as_list
from omopcloudetl.core.specification.models import TYPE_NAMES, TYPE_PATTERN, VERSION_PATTERN


def _field_type(value: str) -> str:
    name = re.sub(r"\s+", "", value).lower()
    if not re.fullmatch(TYPE_PATTERN, name):
        raise PydanticCustomError("field_type", "is no type of the CDM", {ALLOWED: TYPE_NAMES})
    return name


def _version(value: str) -> str:
    if not VERSION_PATTERN.fullmatch(value):
        raise PydanticCustomError("version", "is no version of the CDM, such as 5.4")
    return value


def _bare_target(value: object) -> object:
    if not isinstance(value, str):
        return value
    table, dot, field = value.partition(".")
    if not dot or not table or not field or "." in field:
        raise PydanticCustomError("foreign_key", "is no target", {ALLOWED: ("TABLE.FIELD",)})
    return {"table": table, "field": field}


FieldType = Annotated[str, AfterValidator(_field_type)]
Version = Annotated[str, AfterValidator(_version)]


class OverlayTarget(StrictModel):
    """What a field points to, and for concepts the domain or class they must have."""

    table: Name
    field: Name
    domain: NonEmpty | None = None
    class_: Annotated[NonEmpty | None, Field(alias="class")] = None


class NewField(StrictModel):
    """A field that the base does not have."""

    type: FieldType
    required: StrictBool = False
    primary_key: StrictBool = False
    foreign_key: Annotated[OverlayTarget | None, BeforeValidator(_bare_target)] = None
    """`table.field`, or a mapping with `table`, `field` and the concepts' `domain` or `class`."""


class AddedField(NewField):
    """A field for a table of the base; it comes after the field named, or last."""

    after: Name | None = None


class ChangedField(StrictModel):
    """What is different of a field that the base has."""

    type: FieldType | None = None
    required: StrictBool | None = None

    @model_validator(mode="after")
    def _changes(self) -> ChangedField:
        if self.type is None and self.required is None:
            raise PydanticCustomError("no_change", "changes nothing; name `type`, `required` or both")
        return self


class OverlayTable(StrictModel):
    """A new table (`schema` and `fields`), or what is different of one of the base (`add`, `change`)."""

    schema_: Annotated[Literal["cdm", "vocab", "results"] | None, Field(alias="schema")] = None
    required: StrictBool = False
    fields: dict[Name, NewField] = {}
    add: dict[Name, AddedField] = {}
    change: dict[Name, ChangedField] = {}

    @property
    def is_new(self) -> bool:
        """Whether the overlay brings the table."""
        return bool(self.fields)

    @model_validator(mode="after")
    def _new_or_not(self) -> OverlayTable:
        old = bool(self.add or self.change)
        if self.is_new == old:
            raise PydanticCustomError(
                "overlay_table", "needs `schema` and `fields` (a new table), or `add` or `change`"
            )
        if self.is_new and self.schema_ is None:
            allowed = ("cdm", "vocab", "results")
            raise PydanticCustomError("overlay_table", "is a new table and needs the key 'schema'", {ALLOWED: allowed})
        if not self.is_new and self.model_fields_set & {"schema_", "required"}:
            at = ("schema",) if self.schema_ is not None else ("required",)
            raise PydanticCustomError("overlay_table", "cannot change in a table of the base", {AT: at})
        return self


class Overlay(StrictModel):
    """One overlay file."""

    name: Name
    description: str | None = None
    base: Annotated[tuple[Version, ...], BeforeValidator(as_list)] = ()
    """The versions it fits; any without this."""
    version: Version | None = None
    """The version it makes out of its base; without this the base's version stays."""
    tables: Annotated[dict[Name, OverlayTable], Field(min_length=1)]
