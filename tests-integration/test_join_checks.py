"""Joins that say `one`: what multiplies rows stops the run, in every kind of mapping; what nobody uses does not."""

import pytest
from small_project import EVENT, PERSON, Etl, Vocabulary, patients

JOIN = "joins: {x: {table: source.extra, on: x.id = e.code, cardinality: one}}\n"
OF_EVENTS = EVENT + "columns: {observation: {value_as_string: x.note}}\n" + JOIN
OF_TABLE = """
name: events
kind: table
target: cdm.note
from: {e: source.events}
key: [e.patient, e.code, e.start]
columns:
  note_id: {id: [e.patient, e.code, e.start]}
  person_id: {reference: person, key: e.patient}
  note_date: e.start
  note_type_concept_id: 32827
  note_class_concept_id: 0
  note_text: coalesce(x.note, e.code)
  encoding_concept_id: 0
  language_concept_id: 0
"""
OF_TABLE += JOIN
OF_PERIODS = """
name: events
kind: derived
builder: payer_plan_period
from: {e: source.events}
key: [e.patient, e.code, e.start]
person: e.patient
start: e.start
end: e.start
columns: {payer_source_value: x.note}
"""
OF_PERIODS += JOIN
OF_DEATHS = """
name: events
kind: derived
builder: death
sources:
  - from: {p: source.patients}
    key: p.id
    person: p.id
    date: "cast(null as date)"
    type_concept_id: 32827
  - from: {e: source.events}
    joins: {x: {table: source.extra, on: x.id = e.code, cardinality: one}}
    key: [e.patient, e.code]
    person: e.patient
    date: coalesce(x.note, e.start)
    type_concept_id: 32827
"""
OF_VISITS = """
name: events
kind: derived
builder: visits
from: {e: source.events}
key: [e.patient, e.code, e.start]
person: e.patient
class: coalesce(x.note, 'a')
start: e.start
end: e.start
type_concept_id: 32827
policy: {classes: {a: 9202}}
"""
OF_VISITS += JOIN
KINDS = {"event": OF_EVENTS, "table": OF_TABLE, "periods": OF_PERIODS, "death": OF_DEATHS, "visits": OF_VISITS}
ROWS = [{"patient": "p1", "code": code, "start": "2020-01-01"} for code in ("7", "7", "8", "9")]
PROMISE = "the mapping events says that at most one row of source.extra joins as 'x' (mappings/2.yaml:"


def extra(*ids: str) -> list[dict[str, object]]:
    """Rows of the table that is joined."""
    return [{"id": id_, "note": ""} for id_ in ids]


def project(etl: Etl, mapping: str, *ids: str, write: str = "full") -> Etl:
    """A project in which the joined table has rows of these ids; the code 7 makes two rows of an event."""
    vocabulary = Vocabulary().concept(70, "7", "Observation").concept(71, "8x", "Observation").maps(70, 71)
    source = {"patients": patients("p1"), "events": ROWS, "extra": extra(*ids)}
    return etl.write([PERSON, mapping], source, vocabulary=vocabulary, write=f"write: {write}")


def error(etl: Etl) -> str:
    """What stops the run."""
    (failed,) = etl.run(ok=False).record.failed
    return failed.error or ""


@pytest.mark.parametrize(
    ("kind", "write"),
    [*((kind, "full") for kind in KINDS), *((kind, "merge") for kind in KINDS if kind != "death")],
)
def test_rows_that_a_join_adds_stop_the_run(etl: Etl, kind: str, write: str) -> None:
    """The message says which mapping and join, where, and how many rows there are too many."""
    found = error(project(etl, KINDS[kind], "7", "7", "7", "8", "8", write=write))
    assert found.startswith(PROMISE)
    assert found.endswith("extra rows\n  5")


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_nothing_joins_may_be_there_twice(etl: Etl, kind: str) -> None:
    """Only what multiplies rows is wrong, and rows without a match are no reason."""
    project(etl, KINDS[kind], "7", "none", "none").run()


@pytest.mark.parametrize("where", ["e.code <> '9'", "coalesce(x.id, e.code) <> '9'"])
@pytest.mark.parametrize("kind", ["event", "table"])
def test_rows_that_where_leaves_out_do_not_count(etl: Etl, kind: str, where: str) -> None:
    """Also where the condition is about the table that is joined."""
    mapping = f"{KINDS[kind]}where: {where}\n"
    project(etl, mapping, "7", "8").run()
    assert error(project(etl, mapping, "7", "7", "8")).startswith(PROMISE)


def test_of_several_joins_the_one_that_adds_rows_is_named(etl: Etl) -> None:
    """Each is checked by itself."""
    join = JOIN.replace("{x:", "{y: {table: source.patients, on: y.id = e.patient, cardinality: one}, x:")
    mapping = OF_TABLE.replace(JOIN, join).replace("coalesce(x.note, e", "coalesce(x.note, y.id, e")
    project(etl, mapping, "7", "8").run()
    assert error(project(etl, mapping, "7", "7", "8")).startswith(PROMISE)
