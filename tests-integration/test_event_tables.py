"""Every table of events, and every field of each: filled by the event itself, or free for its further columns."""

from collections.abc import Sequence

from small_project import EVENT, PERSON, Etl, Rows, Vocabulary, events, patients

from omopcloudetl.core.compiler.event_mapping import event_fields, event_tables
from omopcloudetl.core.session import Session
from omopcloudetl.core.specification.models import CdmSpecification, CdmTable

OF_AN_EVENT = {
    "person_id": 1,
    "type_concept_id": 32827,
    "start_date": "2020-01-02",
    "end_date": "2020-01-02",
    "start_datetime": "2020-01-02 00:00:00",
    "end_datetime": "2020-01-02 00:00:00",
}
"""What every event says of each of its fields, where a table has the field; beside its concept."""
OF_A_CONCEPT = ("concept_id", "source_concept_id", "source_value")
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


DOMAINS = (
    "Visit", "Race", "Gender", "Ethnicity", "Provider", "Payer", "Cost", "Plan", "Currency", "Relationship",
)  # fmt: skip
ROUTED = dict(zip(TABLES, DOMAINS, strict=True))
"""Table → the domain that is routed to it, none of which means anything by itself."""


def routed(further: str = "") -> str:
    """The mapping of events with a domain for every table."""
    routes = ", ".join(f"{domain}: {name}" for name, domain in ROUTED.items())
    return f"{EVENT}{further}routes: {{{routes}}}\n"


def concepts() -> Vocabulary:
    """A concept for every table, whose code is the table's name."""
    vocabulary = Vocabulary()
    for number, (name, domain) in enumerate(ROUTED.items(), start=101):
        vocabulary.concept(number, name, domain)
    return vocabulary


def happened(*people: str, tables: Sequence[str] = TABLES) -> dict[str, Rows]:
    """An event for each of these tables; all happened to the last of these people."""
    return {"patients": patients(*people), "events": events(*((people[-1], name, "2020-01-02") for name in tables))}


def test_these_are_the_tables_of_events(etl: Etl) -> None:
    """A specification with another one must be looked at."""
    assert sorted(event_tables(specification(etl))) == sorted(TABLES)


def free(table: CdmTable) -> list[str]:
    """The fields that the event itself does not fill."""
    roles = event_fields(table)
    taken = {field for role, field in roles.items() if role in {*OF_AN_EVENT, *OF_A_CONCEPT} and "end_" not in role}
    return [field.name for field in table.fields if field.name not in taken and field is not table.primary_key]


def filled(table: CdmTable) -> dict[str, object]:
    """What the row of a table has in each field."""
    assert table.primary_key is not None
    concept = 101 + TABLES.index(table.name)
    said = OF_AN_EVENT | dict(zip(OF_A_CONCEPT, (concept, concept, table.name), strict=True))
    own = {field: said[role] for role, field in event_fields(table).items() if role in said}
    return own | {field: expected(table, field) for field in free(table)} | {table.primary_key.name: 1}


def test_every_field_can_be_filled(etl: Etl) -> None:
    """A row that is routed to a table has all that the event says, and all further columns."""
    tables = [specification(etl).by_name[name] for name in TABLES]
    mapping = routed() + "columns:\n"
    for table in tables:
        mapping += f"  {table.name}:\n" + "".join(f"    {field}: {given(table, field)}\n" for field in free(table))
    ran = etl.write([PERSON, mapping], happened("p1"), vocabulary=concepts()).run()
    for table in tables:
        fields = ", ".join(f"CAST({f.name} AS TEXT)" if f.type.startswith("date") else f.name for f in table.fields)
        (row,) = ran.query(f"SELECT {fields} FROM cdm.{table.name}")
        assert dict(zip([f.name for f in table.fields], row, strict=True)) == filled(table)


def test_references_are_kept_where_a_table_has_them(etl: Etl) -> None:
    """Visit and provider of an event are in each table that has a field for them."""
    mapping = routed("provider: e.patient\nvisit: e.patient\nend: e.start\n").replace("Visit: visit_occurrence, ", "")
    mapping += "columns: {episode: {episode_object_concept_id: 77777777}}\n"
    tables = [name for name in TABLES if name != "visit_occurrence"]
    source = happened("p0", "p1", tables=tables)
    ran = etl.write([PERSON, PROVIDER, VISIT, mapping], source, vocabulary=concepts()).run()
    by_name = Session.open(etl.root).specification().by_name
    for name in tables:
        there = [
            field for field in ("person_id", "provider_id", "visit_occurrence_id") if field in by_name[name].by_name
        ]
        assert ran.query(f"SELECT {', '.join(there)} FROM cdm.{name}") == [(2,) * len(there)], name
