"""Decides what becomes of each foreign key of the CDM on an engine, and in which order tables can be made."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.specification.models import CdmField, CdmSpecification, CdmTable

Form = Literal["constraint", "added", "recorded", "outside"]


@dataclass(frozen=True)
class KeyPlan:
    """One foreign key and how it is said.

    `constraint`: in CREATE TABLE; `added`: by ALTER TABLE, because it closes a cycle; `recorded`: as a comment,
    because the engine cannot; `outside`: not at all, because its target is not among the tables.
    """

    table: CdmTable
    field: CdmField
    target: CdmTable
    target_field: CdmField
    form: Form
    reason: str = ""


def schema_of(table: CdmTable) -> str:
    """The logical schema of a table: `vocab`, or `cdm` with the results tables."""
    return "vocab" if table.schema_ == "vocab" else "cdm"


def plan_foreign_keys(
    specification: CdmSpecification,
    tables: Sequence[CdmTable],
    generator: BaseSQLGenerator,
    schemas: Mapping[str, str],
) -> tuple[list[CdmTable], list[KeyPlan]]:
    """The tables in an order in which they can be made, and a plan for each of their foreign keys.

    Args:
        specification: Where the targets are looked up.
        tables: The tables that are made.
        generator: What the engine can do.
        schemas: Logical schema → physical one.
    """
    names = {table.name for table in tables}
    plans = [
        _plan(table, field, specification, names, generator, schemas)
        for table in tables
        for field in table.fields
        if field.foreign_key is not None
    ]
    ordered, closing = _order(tables, [plan for plan in plans if plan.form == "constraint"])
    can_add = generator.has(Capability.ADD_FOREIGN_KEY)
    form: Form = "added" if can_add else "recorded"
    closed = [replace(plan, form=form, reason="it closes a cycle") if plan in closing else plan for plan in plans]
    return ordered, closed


def _plan(
    table: CdmTable,
    field: CdmField,
    specification: CdmSpecification,
    names: Collection[str],
    generator: BaseSQLGenerator,
    schemas: Mapping[str, str],
) -> KeyPlan:
    key = field.foreign_key
    assert key is not None
    target = specification.by_name[key.table]
    plan = KeyPlan(table, field, target, target.by_name[key.field], "constraint")
    if target.name not in names:
        return replace(plan, form="outside", reason="its target is not part of this script")
    reason = _obstacle(plan, generator, schemas)
    return replace(plan, form="recorded", reason=reason) if reason else plan


def _obstacle(plan: KeyPlan, generator: BaseSQLGenerator, schemas: Mapping[str, str]) -> str:
    """Why the engine cannot take a key as a constraint; empty if it can."""
    here, there = schemas[schema_of(plan.table)], schemas[schema_of(plan.target)]
    if not generator.has(Capability.FOREIGN_KEYS):
        return "the engine has no foreign keys"
    if here != there and not generator.has(Capability.FOREIGN_KEYS_ACROSS_SCHEMAS):
        return "the engine has none across schemas"
    if plan.target.primary_key is not plan.target_field:
        return "its target is no primary key"
    if generator.data_type(plan.field.type) != generator.data_type(plan.target_field.type):
        return "its target is of another type"
    return ""


def _order(tables: Sequence[CdmTable], plans: Sequence[KeyPlan]) -> tuple[list[CdmTable], list[KeyPlan]]:
    """Targets before the tables that point to them; and the keys for which that is not possible.

    A table is taken when all it points to is there. Where none is, keys form a cycle: the table with the fewest
    open ones is taken, and those close the cycle. Ties go to the specification's order.
    """
    waiting = {table.name: {p.target.name for p in plans if p.table is table} - {table.name} for table in tables}
    ordered: list[CdmTable] = []
    closing: list[KeyPlan] = []
    by_name = {table.name: table for table in tables}
    while waiting:
        name = min(waiting, key=lambda name: len(waiting[name] & waiting.keys()))
        open_ = waiting.pop(name) & waiting.keys()
        ordered.append(by_name[name])
        closing += [plan for plan in plans if plan.table.name == name and plan.target.name in open_]
    return ordered, closing
