"""The base of every model that is read from a user's file, and the small types they share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

LOGICAL_SCHEMAS = ("source", "vocab", "cdm", "work")
NAME_PATTERN = r"^[a-z][a-z0-9_]*$"

AT, ALLOWED, HELP = "at", "allowed", "help"
"""Keys of an error's context: where below the complaining model the mistake is, what may stand there, what to do."""


class StrictModel(BaseModel):
    """Frozen, refuses unknown keys, and never turns one type into another without being told to."""

    # Most models are read as a part of another, whose validator holds theirs: their own is only built on use.
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)

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
        allowed = tuple(f"{schema}.NAME" for schema in LOGICAL_SCHEMAS)
        raise PydanticCustomError("logical_table", "is not a logical table", {ALLOWED: allowed})
    return f"{schema}.{table}"


def _logical_schema(value: str) -> str:
    if value not in LOGICAL_SCHEMAS:
        raise PydanticCustomError("logical_schema", "is no logical schema", {ALLOWED: LOGICAL_SCHEMAS})
    return value


Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=50)]
"""A name of ours: lower case letters, digits and underscores; it becomes part of table names."""

TooLong = Literal["truncate", "quarantine", "error"]
"""What becomes of a text that is longer than its field: it is cut, its row is set aside, or the run stops."""

LogicalSchema = Annotated[str, AfterValidator(_logical_schema)]
"""One of source, vocab, cdm and work."""

LogicalTable = Annotated[str, AfterValidator(_logical_table)]
"""`schema.table` over the logical schemas source, vocab, cdm and work, in lower case."""

Sql = Annotated[str, Field(min_length=1)]
"""A scalar SQL expression over the mapping's aliases."""

NonEmpty = Annotated[str, Field(min_length=1)]

ConceptId = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
"""The id of a concept, 0 for none."""

Days = Annotated[int, Field(ge=0, le=36_525, strict=True)]
"""A number of days."""


def with_kind(value: object) -> object:
    """Give what has no `kind` an empty one: the error about it then says which kinds there are."""
    return {**value, "kind": ""} if isinstance(value, dict) and value.get("kind") is None else value


def as_list(value: object) -> object:
    """Let a single value stand where a list is expected."""
    return value if isinstance(value, list | tuple) or value is None else [value]
