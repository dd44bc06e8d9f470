"""Every table of events, and every field of each: filled by the event itself, or free for its further columns."""

import pytest
from small_project import EVENT, PERSON, Etl, Vocabulary, events, patients

from omopcloudetl.core.compiler.event_mapping import event_fields, event_tables
from omopcloudetl.core.session import Session
from omopcloudetl.core.specification.models import CdmSpecification, CdmTable

OF_AN_EVENT = {
    "person_id": 1,
    "concept_id": 101,
    "source_concept_id": 101,
    "source_value": "A",
    "type_concept_id": 32827,
    "start_date": "2020-01-02",
    "end_date": "2020-01-02",
    "start_datetime": "2020-01-02 00:00:00",
    "end_datetime": "2020-01-02 00:00:00",
}
"""What the event itself says of each of its fields, where a table has the field."""
GIVEN = {"integer": "77777777", "float": "7.5", "date": "{constant: 2020-02-03}", "datetime": "{constant: 2020-02-03}"}
READ = {"integer": 77777777, "float": 7.5, "date": "2020-02-03", "datetime": "2020-02-03 00:00:00"}


def specification(etl: Etl) -> CdmSpecification:
    """The specification that the small project has."""
    source = {"patients": patients("p1"), "events": events(("p1", "A", "2020-01-02"))}
    etl.write([PERSON, EVENT], source)
    return Session.open(etl.root).specification()


def given(table: CdmTable, name: str) -> str:
    """A constant for a field."""
    type_ = table.by_name[name].type.partition("(")[0]
    return GIVEN.get(type_, "{constant: x}")


def expected(table: CdmTable, name: str) -> object:
    """That constant, as it is read back."""
    return READ.get(table.by_name[name].type.partition("(")[0], "x")


PROVIDER = """
name: providers
kind: table
target: cdm.provider
from: {p: source.patients}
columns: {provider_id: {id: [p.id]}}
"""
VISIT = """
name: visits
kind: table
target: cdm.visit_occurrence
from: {p: source.patients}
columns:
  visit_occurrence_id: {id: [p.id]}
  person_id: {reference: person, key: [p.id]}
  visit_concept_id: 0
  visit_start_date: {constant: 2020-01-01}
  visit_end_date: {constant: 2020-01-01}
  visit_type_concept_id: 32827
"""
TABLES = (
    "visit_occurrence", "visit_detail", "condition_occurrence", "drug_exposure", "procedure_occurrence",
    "device_exposure", "measurement", "observation", "specimen", "episode",
)  # fmt: skip


def test_these_are_the_tables_of_events(etl: Etl) -> None:
    """A specification with another one must be looked at."""
    assert sorted(event_tables(specification(etl))) == sorted(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_every_field_can_be_filled(etl: Etl, name: str) -> None:
    """A row that is routed to the table has all that the event says, and all further columns."""
    table = specification(etl).by_name[name]
    roles = event_fields(table)
    taken = {field for role, field in roles.items() if role in OF_AN_EVENT and "end_" not in role}
    assert table.primary_key is not None
    free = [f.name for f in table.fields if f.name not in taken and f is not table.primary_key]
    columns = "".join(f"    {field}: {given(table, field)}\n" for field in free)
    event = f"{EVENT}routes: {{Visit: {name}}}\ncolumns:\n  {name}:\n{columns}"
    vocabulary = Vocabulary().concept(101, "A", "Visit")
    source = {"patients": patients("p1"), "events": events(("p1", "A", "2020-01-02"))}
    ran = etl.write([PERSON, event], source, vocabulary=vocabulary).run()
    by_field = {field: OF_AN_EVENT[role] for role, field in roles.items() if field in taken}
    wanted = {field: expected(table, field) for field in free} | by_field | {table.primary_key.name: 1}
    fields = ", ".join(f"CAST({f.name} AS TEXT)" if f.type.startswith("date") else f.name for f in table.fields)
    (row,) = ran.query(f"SELECT {fields} FROM cdm.{name}")
    assert dict(zip([f.name for f in table.fields], row, strict=True)) == wanted


@pytest.mark.parametrize("name", [name for name in TABLES if name != "visit_occurrence"])
def test_references_are_kept_where_the_table_has_them(etl: Etl, name: str) -> None:
    """Visit and provider of an event are in each table that has a field for them."""
    event = f"{EVENT}provider: e.patient\nvisit: e.patient\nend: e.start\nroutes: {{Visit: {name}}}\n"
    if name == "episode":
        event += f"columns: {{{name}: {{episode_object_concept_id: 77777777}}}}\n"
    source = {"patients": patients("p0", "p1"), "events": events(("p1", "A", "2020-01-02"))}
    vocabulary = Vocabulary().concept(101, "A", "Visit")
    ran = etl.write([PERSON, PROVIDER, VISIT, event], source, vocabulary=vocabulary).run()
    table = Session.open(etl.root).specification().by_name[name]
    there = [field for field in ("person_id", "provider_id", "visit_occurrence_id") if field in table.by_name]
    assert ran.query(f"SELECT {', '.join(there)} FROM cdm.{name}") == [(2,) * len(there)]
