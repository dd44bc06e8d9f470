"""JSON Schemas of the files a user writes, for editors; made from the models that read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from omopcloudetl.core.models.base import LOGICAL_SCHEMAS
from omopcloudetl.core.models.docstrings import field_meanings
from omopcloudetl.core.models.loads import LogicalType
from omopcloudetl.core.models.mapping import DMLDefinition
from omopcloudetl.core.models.project import ProjectConfig
from omopcloudetl.core.models.workflow import WorkflowConfig
from omopcloudetl.core.specification.overlay_model import Overlay

FILE_KINDS: Mapping[str, tuple[Any, str]] = {
    "project": (ProjectConfig, "project.yaml"),
    "workflow": (WorkflowConfig, "The workflow of a project"),
    "mapping": (DMLDefinition, "A mapping"),
    "overlay": (Overlay, "An overlay of a CDM specification"),
}
"""Kind of file → its model and its title."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEXT: JsonSchemaValue = {"type": "string", "minLength": 1}
_BARE: Mapping[str, list[JsonSchemaValue]] = {
    "_bare_file": [_TEXT],
    "_bare_source": [_TEXT],
    "_bare_target": [_TEXT],
    "_bare_value": [_TEXT],
    "as_text": [{"type": "number"}],
    "bare_file": [_TEXT],
    "bare_name": [_TEXT],
    "bare_type": [{"enum": list(get_args(LogicalType))}],
    "_spelled_out": [_TEXT, {"type": "number"}, {"type": "boolean"}, {"type": "null"}],
    "_vocabularies": [_TEXT],
}
"""Function that reads a short form → what may stand there instead of the long one."""
_LISTED = {"null", "array"}
"""What is never taken for a list of one."""
_NOTHING_ELSE = {"with_kind", "with_builder", "_plain"}


class UnknownFormError(Exception):
    """A model reads a short form of which no schema is known; the message names the function."""


def file_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a kind of file, one of `FILE_KINDS`."""
    model, title = FILE_KINDS[kind]
    schema = TypeAdapter(model).json_schema(by_alias=True, mode="validation", schema_generator=_Generator)
    schema.pop("title", None)
    return {"$schema": DIALECT, "$id": f"urn:omopcloudetl:{kind}", "title": title, **schema}


class _Generator(GenerateJsonSchema):
    """Knows the short forms of the models, the texts that functions check, and what the fields mean."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        model = schema["cls"]
        for name, meaning in field_meanings(model).items():
            key = model.model_fields[name].alias or name
            about = made["properties"][key]
            title = {"title": about.pop("title")} if "title" in about else {}  # stays last, as Pydantic writes it
            made["properties"][key] = about | {"description": meaning} | title
        return made

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        name = getattr(schema["function"]["function"], "__name__", "")
        long = self.generate_inner(schema["schema"])
        if name in _NOTHING_ELSE or "_note_allowed_keys" in name:
            return long
        if name == "as_list":
            return {"anyOf": [_alone(_items(long)), long]}
        if name not in _BARE:
            raise UnknownFormError(f"no schema is known for what {name} reads")
        return {"anyOf": [*_BARE[name], long]}

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        name = getattr(schema["function"]["function"], "__name__", "")
        inner = self.generate_inner(schema["schema"])
        match name:
            case "_logical_table":
                return {**inner, "pattern": _logical_table_pattern()}
            case "_logical_schema":
                return {**inner, "enum": list(LOGICAL_SCHEMAS)}
            case "_one_table":
                return {**inner, "maxProperties": 1}
            case _:
                return inner

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        # Pydantic allows any value under a key that does not match the pattern of names.
        made = super().dict_schema(schema)
        values = made.pop("patternProperties", None)
        if values is None:
            return made
        names = self.generate_inner(schema["keys_schema"])
        return {**made, "propertyNames": names, "additionalProperties": next(iter(values.values()))}

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        # The tags of forms that are told apart by a function are no words of a file.
        made = super().tagged_union_schema(schema)
        if callable(schema["discriminator"]):
            made.pop("discriminator", None)
        return made


def _items(schema: JsonSchemaValue) -> JsonSchemaValue:
    return cast(JsonSchemaValue, schema.get("items", {}))


def _alone(schema: JsonSchemaValue) -> JsonSchemaValue:
    """What stands for a list of one: no list, and not nothing, although a list may hold them."""
    forms = schema.get("anyOf")
    return {**schema, "anyOf": [form for form in forms if form.get("type") not in _LISTED]} if forms else schema


def _logical_table_pattern() -> str:
    """`schema.table` over the logical schemas, whose case does not matter."""
    schemas = ("".join(f"[{letter}{letter.upper()}]" for letter in name) for name in LOGICAL_SCHEMAS)
    return rf"^({'|'.join(schemas)})\.[^.]+$"
