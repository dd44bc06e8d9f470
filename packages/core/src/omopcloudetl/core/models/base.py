"""The base of every model that is read from a user's file, and the small types they share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

LOGICAL_SCHEMAS = ("source", "vocab", "cdm", "work")


class StrictModel(BaseModel):
    """Frozen, refuses unknown keys, and never turns one type into another without being told to."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _note_allowed_keys(cls, data: Any, info: ValidationInfo) -> Any:
        """Tell the reader of a file which keys this mapping may have, so that its errors can name them."""
        if isinstance(info.context, dict) and isinstance(data, dict):
            info.context[id(data)] = tuple(field.alias or name for name, field in cls.model_fields.items())
        return data


def _logical_table(value: str) -> str:
    schema, _, table = value.lower().partition(".")
    if schema not in LOGICAL_SCHEMAS or not table or "." in table:
        allowed = ", ".join(f"{s}.NAME" for s in LOGICAL_SCHEMAS)
        raise ValueError(f"'{value}' is not a logical table name; write one of {allowed}")
    return f"{schema}.{table}"


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=50)]
"""A name of ours: lower case letters, digits and underscores; it becomes part of table names."""

LogicalTable = Annotated[str, AfterValidator(_logical_table)]
"""`schema.table` over the logical schemas source, vocab, cdm and work, in lower case."""

Sql = Annotated[str, Field(min_length=1)]
"""A scalar SQL expression over the mapping's aliases."""


def as_list(value: object) -> object:
    """Let a single value stand where a list is expected."""
    return value if isinstance(value, list | tuple) or value is None else [value]
