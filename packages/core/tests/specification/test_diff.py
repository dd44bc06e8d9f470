"""Promises of the comparison of two specifications."""

from __future__ import annotations

import pytest

from omopcloudetl.core.specification.diff import compare
from omopcloudetl.core.specification.models import CdmSpecification

PERSON_ID = {"name": "person_id", "type": "integer", "required": True, "primary_key": True}
SEX = {"name": "sex", "type": "varchar(10)"}


def specification(*fields: dict[str, object], schema: str = "cdm", more: tuple[str, ...] = ()) -> CdmSpecification:
    """A specification of a table person and perhaps more tables."""
    tables = [{"name": "person", "schema": schema, "fields": list(fields)}]
    tables += [{"name": name, "schema": "vocab", "fields": [PERSON_ID]} for name in more]
    return CdmSpecification.model_validate({"version": "1", "tables": tables})


def told(before: CdmSpecification, after: CdmSpecification) -> list[str]:
    """The differences in words."""
    return [" ".join(str(v) for v in one.model_dump(exclude_none=True).values()) for one in compare(before, after)]


KEY = {"table": "person", "field": "person_id"}


@pytest.mark.parametrize(
    ("field", "words"),
    [
        pytest.param({**SEX, "type": "varchar(50)"}, "changed person sex type varchar(10) varchar(50)", id="type"),
        pytest.param({**SEX, "required": True}, "changed person sex required no yes", id="required"),
        pytest.param({**SEX, "primary_key": True}, "changed person sex primary key no yes", id="primary-key"),
        pytest.param(
            {**SEX, "foreign_key": KEY}, "changed person sex foreign key none person.person_id", id="foreign-key"
        ),
    ],
)
def test_each_fact_of_a_field_is_compared(field: dict[str, object], words: str) -> None:
    """A changed fact is told with before and after."""
    assert told(specification(PERSON_ID, SEX), specification(PERSON_ID, field)) == [words]


def test_the_limits_of_a_key_are_part_of_it() -> None:
    """A key to concepts of another domain is another key."""
    one, two = ({**SEX, "foreign_key": {**KEY, "domain": domain}} for domain in ("Gender", "Race"))
    words = "changed person sex foreign key person.person_id (Gender) person.person_id (Race)"
    assert told(specification(PERSON_ID, one), specification(PERSON_ID, two)) == [words]


def test_tables_and_fields_come_and_go() -> None:
    """What is added in one direction is removed in the other."""
    before, after = specification(PERSON_ID, more=("old",)), specification(PERSON_ID, SEX, more=("new",))
    assert told(before, after) == [
        "added person sex varchar(10)",
        "removed old vocab, 1 field",
        "added new vocab, 1 field",
    ]
    assert sorted(word.split()[0] for word in told(after, before)) == ["added", "removed", "removed"]


def test_a_table_may_move() -> None:
    """Its schema is a fact, too; and nothing differs from itself."""
    before, after = specification(PERSON_ID), specification(PERSON_ID, schema="vocab")
    assert told(before, after) == ["changed person schema cdm vocab"]
    assert told(before, before) == []
