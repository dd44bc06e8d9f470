"""What is different between two CDM specifications: tables and fields added, removed and changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from omopcloudetl.core.specification.models import CdmField, CdmSpecification, CdmTable, ForeignKey

Change = Literal["added", "removed", "changed"]


class Difference(BaseModel):
    """One difference; `before` and `after` are facts in words, such as `varchar(50)` or `required`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    change: Change
    table: str
    field: str | None = None
    fact: str | None = None
    """For a change: `schema`, `type`, `required`, `primary key` or `foreign key`."""
    before: str | None = None
    after: str | None = None


def compare(before: CdmSpecification, after: CdmSpecification) -> list[Difference]:
    """All differences, in the order of the tables and fields of `before`, then those only in `after`."""
    found: list[Difference] = []
    for table in before.tables:
        other = after.by_name.get(table.name)
        if other is None:
            found.append(Difference(change="removed", table=table.name, before=_size(table)))
        else:
            found += _table(table, other)
    added = [table for table in after.tables if table.name not in before.by_name]
    return found + [Difference(change="added", table=table.name, after=_size(table)) for table in added]


def _table(before: CdmTable, after: CdmTable) -> Iterator[Difference]:
    yield from _facts(before.name, None, _table_facts(before), _table_facts(after))
    for field in before.fields:
        other = after.by_name.get(field.name)
        if other is None:
            yield Difference(change="removed", table=before.name, field=field.name, before=_words(field))
        else:
            yield from _facts(before.name, field.name, _field_facts(field), _field_facts(other))
    for field in after.fields:
        if field.name not in before.by_name:
            yield Difference(change="added", table=before.name, field=field.name, after=_words(field))


def _facts(table: str, field: str | None, before: dict[str, str], after: dict[str, str]) -> Iterator[Difference]:
    for fact, old in before.items():
        if old != after[fact]:
            yield Difference(change="changed", table=table, field=field, fact=fact, before=old, after=after[fact])


def _table_facts(table: CdmTable) -> dict[str, str]:
    return {"schema": table.schema_, "required": "yes" if table.required else "no"}


def _field_facts(field: CdmField) -> dict[str, str]:
    return {
        "type": field.type,
        "required": "yes" if field.required else "no",
        "primary key": "yes" if field.primary_key else "no",
        "foreign key": _key(field.foreign_key),
    }


def _key(key: ForeignKey | None) -> str:
    if key is None:
        return "none"
    limits = [limit for limit in (key.domain, key.class_) if limit]
    return f"{key.table}.{key.field}" + (f" ({', '.join(limits)})" if limits else "")


def _words(field: CdmField) -> str:
    facts = [field.type, "required" if field.required else "", "primary key" if field.primary_key else ""]
    facts.append(f"references {_key(field.foreign_key)}" if field.foreign_key else "")
    return ", ".join(fact for fact in facts if fact)


def _size(table: CdmTable) -> str:
    return f"{table.schema_}, {len(table.fields)} field{'' if len(table.fields) == 1 else 's'}"
