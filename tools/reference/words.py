"""Says in a user's words what a key of a file may hold, from the type of the model's field."""

from __future__ import annotations

import datetime
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MinLen
from pydantic import BaseModel, BeforeValidator, Tag
from pydantic.fields import FieldInfo

from omopcloudetl.core.models import base, project, rule_tests, values, workflow

NAMED: tuple[tuple[object, str], ...] = (
    (base.Name, "name"),
    (base.LogicalTable, "`schema.table`"),
    (base.LogicalSchema, "`source`, `vocab`, `cdm` or `work`"),
    (base.Sql, "SQL expression"),
    (values.Key, "SQL expression, or a list of them"),
    (rule_tests.Row, "field → value"),
    (rule_tests.RowKey, "value, or a list of them"),
    (rule_tests.RowKeys, "natural key, or a list of them"),
    (project.PhysicalSchema, "`schema` or `catalog.schema`"),
    (values.ColumnValue, "[column value](column-values.md)"),
    (values.Vocabulary, "[vocabulary](column-values.md#vocabulary)"),
    (workflow.WorkflowStep, "[step](#steps)"),
)
"""Types with words of their own, by identity; any other is spelled out."""

PLAIN: Mapping[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    datetime.date: "day, as 2020-12-31",
    type(None): "nothing",
}

SHORT_FORMS: Mapping[str, str] = {
    "_bare_value": "SQL expression",
    "_bare_type": "type",
    "_bare_file": "file",
    "bare_file": "file",
    "as_text": "number",
    "_bare_source": "`bundled` or `ohdsi`",
}
"""Validators that let something short stand for keys, and what it is."""

SCALAR = "text, number, `true`, `false` or nothing"

Anchors = Mapping[type[BaseModel], str]
"""Where each model is described."""


def in_words(type_: Any, anchors: Anchors) -> str:
    """What a key of this type may hold; raises `KeyError` for a type or a model that has no words yet."""
    for named, words in NAMED:
        if type_ is named:
            return words
    origin, parts = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return _annotated(parts[0], parts[1:], anchors)
    if origin is Literal:
        return _one_of([f"`{part}`" for part in parts])
    if origin in {Union, types.UnionType}:
        return _one_of([in_words(part, anchors) for part in parts if part is not type(None)])
    if origin is dict:
        keys = "key" if parts[0] is str else in_words(parts[0], anchors)
        return f"for each {keys}: {in_words(parts[1], anchors)}"
    if origin is tuple:
        return f"list of {in_words(parts[0], anchors)}"
    if isinstance(type_, type) and issubclass(type_, BaseModel):
        return f"[keys]({anchors[type_]})"
    return PLAIN[type_]


def _annotated(type_: Any, metadata: tuple[object, ...], anchors: Anchors) -> str:
    flat = [item for part in metadata for item in (part.metadata if isinstance(part, FieldInfo) else [part])]
    before = [getattr(item.func, "__name__", "") for item in flat if isinstance(item, BeforeValidator)]
    is_collection = get_origin(type_) in {dict, tuple} and not any(isinstance(item, Tag) for item in flat)
    words = SCALAR if values._plain.__name__ in before else in_words(type_, anchors)
    if base.as_list.__name__ in before:
        words = f"{words.removeprefix('list of ')}, or a list of them"
    words = ", or ".join([*(SHORT_FORMS[name] for name in before if name in SHORT_FORMS), words])
    limits = [f"from {item.ge}" for item in flat if isinstance(item, Ge)]
    limits += [f"to {item.le}" for item in flat if isinstance(item, Le)]
    limits += ["at least one" for item in flat if isinstance(item, MinLen) and is_collection]
    return f"{words}, {' '.join(limits)}" if limits else words


def _one_of(words: list[str]) -> str:
    words = list(dict.fromkeys(words))
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
