"""Decides whose stages have the natural key of every row, and not only of those that are set aside.

Texts are the dearest columns of a stage: written, compressed, and read by nobody once the rows are in the CDM. A merge
needs them, and so does what refers to the rows by their key.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from pydantic import BaseModel

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.models.mapping_base import MappingBase
from omopcloudetl.core.models.values import EventReferenceValue

_NAMED = re.compile(r"(?:event|stage)_(\w+)", re.IGNORECASE)
"""A table that has a mapping's keys, however it is quoted."""


def find_kept_keys(compilation: Compilation) -> None:
    """Note each mapping that is merged, that another refers to, or whose tables in `work` some SQL may read."""
    found = compilation.kept_keys
    found.update(name for table in compilation.read_at for name in _NAMED.findall(table))
    carried = {name for costs in compilation.carried_prices.values() for name in costs}
    for loaded in compilation.project.mappings:
        if compilation.dml_steps[loaded.step].write != "full":
            found.add(loaded.model.name)
        found.update(_named(loaded.model, {"prices"} if loaded.model.name in carried else set()))
    for event, costs in compilation.carried_prices.items():
        if not found.isdisjoint(costs):
            found.add(event)


def _named(value: object, left_out: Collection[str] = ()) -> Iterator[str]:
    """The mappings that a value refers to, and the names in its texts that may be those of their tables.

    `left_out` are fields of a mapping that refer to nothing by its key.
    """
    match value:
        case str():
            yield from _NAMED.findall(value)
        case EventReferenceValue():
            yield value.event
        case BaseModel():
            no_rules = {"tests", "description", *left_out} if isinstance(value, MappingBase) else set()
            for name in type(value).model_fields.keys() - no_rules:
                yield from _named(getattr(value, name))
        case Mapping():
            for item in value.values():
                yield from _named(item)
        case tuple() | list():
            for item in value:
                yield from _named(item)
        case _:
            pass
