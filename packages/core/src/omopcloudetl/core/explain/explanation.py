"""Finds what a name means in a project, and explains it.

A name of one word is a table of the CDM, else a step of the plan, a step of the workflow, a mapping, or a table of the
source or of work. `cdm.person` is always a table, `person.gender_concept_id` a field, and `step:person` and
`mapping:person` never a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import partial

from omopcloudetl.core.errors import UnknownNameError
from omopcloudetl.core.explain.context import STAGE, Context
from omopcloudetl.core.explain.fields import explain_field
from omopcloudetl.core.explain.model import Explanation
from omopcloudetl.core.explain.steps import explain_step, explain_workflow_step
from omopcloudetl.core.explain.tables import columns_of, explain_table
from omopcloudetl.core.models.base import LOGICAL_SCHEMAS

Meaning = tuple[str, Callable[[tuple[str, ...]], Explanation]]
"""How a name is written so that it means only this, and what explains it, told what else the name means."""
STEP, MAPPING = "step:", "mapping:"
_ORDER = ("cdm", "vocab", "source", "work")


def explain(context: Context, name: str) -> Explanation:
    """Explain a field, a table or a step of a project.

    Args:
        context: The project and its plan.
        name: `person.gender_concept_id`, `cdm.person`, `person`, `write_person`, `step:vocabulary`, `mapping:person`.

    Raises:
        UnknownNameError: Nothing in the project has this name; it says which names are near.
    """
    meanings = _meanings(context, name.strip().lower())
    if not meanings:
        raise _unknown(context, name.strip())
    (_, make), *others = meanings
    return make(tuple(dict.fromkeys(way for way, _ in others)))


def _meanings(context: Context, name: str) -> list[Meaning]:
    """All that a name may mean; the first is taken."""
    for prefix, find in ((STEP, _steps), (MAPPING, _mapping)):
        if name.startswith(prefix):
            return find(context, name.removeprefix(prefix))
    if "." in name:
        return [*_tables(context, name), *_fields(context, name)]
    found = _tables(context, name)
    of_cdm = [meaning for meaning in found if meaning[0].startswith(("cdm.", "vocab."))]
    of_source = [meaning for meaning in found if meaning[0].startswith("source.")]
    meanings = [*of_cdm, *_steps(context, name), *_mapping(context, name), *of_source]
    return meanings or found  # every step of a mapping makes a table of its name in work


def _tables(context: Context, name: str) -> list[Meaning]:
    wanted = [name] if name.partition(".")[0] in LOGICAL_SCHEMAS else [f"{schema}.{name}" for schema in _ORDER]
    return [(table, partial(explain_table, context, table)) for table in wanted if table in context.tables]


def _fields(context: Context, name: str) -> list[Meaning]:
    table, _, field = name.rpartition(".")
    return [
        (f"{way}.{field}", partial(explain_field, context, way, field))
        for way, _ in _tables(context, table)
        if field in columns_of(context, way)
    ]


def _steps(context: Context, name: str) -> list[Meaning]:
    planned = context.steps.get(name)
    if planned is not None:
        return [(f"{STEP}{name}", partial(explain_step, context, planned))]
    return [
        (f"{STEP}{name}", partial(explain_workflow_step, context, step))
        for step in context.project.workflow.steps
        if step.name == name
    ]


def _mapping(context: Context, name: str) -> list[Meaning]:
    if name not in context.mappings:
        return []
    stage = context.steps[f"{STAGE}{name}"]
    return [(f"{MAPPING}{name}", partial(explain_step, context, stage))]


def _unknown(context: Context, name: str) -> UnknownNameError:
    """What is near to a name: a field of the table that it begins with, else a table, a step or a mapping."""
    table, _, field = name.lower().rpartition(".")
    for way, _ in _tables(context, table) if table else ():
        columns = columns_of(context, way)
        like = get_close_matches(field, columns) or [name for name in columns if field and field in name][:3]
        near = [f"{table}.{found}" for found in like]
        what = f"{way} has no field '{field}'" if columns else f"the fields of {way} are not known"
        return UnknownNameError(name, what, near)
    near = get_close_matches(name.lower(), list(_names(context)))
    return UnknownNameError(name, f"nothing in this project is called '{name}'", near)


def _names(context: Context) -> Iterable[str]:
    for table in context.tables:
        yield table
        if not table.startswith("work."):
            yield table.partition(".")[2]
    yield from context.steps
    yield from (step.name for step in context.project.workflow.steps)
    yield from context.mappings
    yield from (f"{table.name}.{field.name}" for table in context.specification.tables for field in table.fields)
