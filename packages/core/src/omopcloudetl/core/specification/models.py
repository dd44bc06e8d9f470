"""A CDM specification: tables, fields, types and keys, and nothing else."""

from __future__ import annotations

import re
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field

TYPE_NAMES = ("integer", "bigint", "float", "date", "datetime", "text", "varchar(n)", "varchar(max)")
TYPE_PATTERN = r"integer|bigint|float|date|datetime|text|varchar\((?:[1-9][0-9]*|max)\)"
VERSION_PATTERN = re.compile(r"\d{1,4}(?:\.\d{1,4}){0,3}")
"""A version of the CDM, such as `5.4`."""


def version_key(version: str) -> tuple[int, ...]:
    """Sorts versions: 5.10 is later than 5.4."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


class SpecificationModel(BaseModel):
    """Frozen facts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ForeignKey(SpecificationModel):
    """What a field points to, and for concepts the domain or class they must have."""

    table: str
    field: str
    domain: str | None = None
    class_: str | None = Field(None, alias="class")


class CdmField(SpecificationModel):
    """A field of a CDM table; `type` is one of integer, bigint, float, date, datetime, varchar(n), text."""

    name: str
    type: str
    required: bool = False
    primary_key: bool = False
    foreign_key: ForeignKey | None = None


class CdmTable(SpecificationModel):
    """A CDM table; `schema` says whether it belongs to the clinical data or the vocabulary."""

    name: str
    schema_: str = Field(alias="schema")
    required: bool = False
    fields: tuple[CdmField, ...]

    @cached_property
    def by_name(self) -> dict[str, CdmField]:
        """The fields by name, in their official order."""
        return {field.name: field for field in self.fields}

    @property
    def primary_key(self) -> CdmField | None:
        """The field that identifies a row, for the tables that have one."""
        keys = self.primary_key_fields
        return keys[0] if len(keys) == 1 else None

    @property
    def primary_key_fields(self) -> tuple[CdmField, ...]:
        """The fields that identify a row together; none, one or several."""
        return tuple(field for field in self.fields if field.primary_key)

    @property
    def has_own_id(self) -> bool:
        """Whether the primary key is the table's own id, not another table's (as death's person_id is)."""
        key = self.primary_key
        return key is not None and key.foreign_key is None


class CdmSpecification(SpecificationModel):
    """One version of the CDM."""

    version: str
    tables: tuple[CdmTable, ...]

    @cached_property
    def by_name(self) -> dict[str, CdmTable]:
        """The tables by name, in their official order."""
        return {table.name: table for table in self.tables}

    def in_schema(self, schema: str) -> list[CdmTable]:
        """The tables of the logical schema `cdm` or `vocab`; results tables count as `cdm`."""
        return [table for table in self.tables if (table.schema_ == "vocab") == (schema == "vocab")]
