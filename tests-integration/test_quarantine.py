"""What is kept of a source row that is set aside: its key and the reason, and its content where that is asked for."""

import json
from pathlib import Path

import duckdb
import pytest
from small_project import EVENT, PERSON, Etl, Ran, Vocabulary, patients

from omopcloudetl.core.capabilities import Capability, Support
from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.session import Session
from omopcloudetl.core.templates import copy_demo_data, create_project
from omopcloudetl.provider_duckdb.dialect import DuckDBGenerator

KEPT = "keep_quarantined_rows: true"
VOCABULARY = (
    Vocabulary().concept(1, "A").concept(3, "Two", standard=False).maps(3, 1).maps(3, 4).concept(4, "B", "Observation")
)
SECRET = "told in confidence"
ROWS = {
    "patients": [{"id": "p1", "e": "x", "Full Name": "Eva"}, {"id": "p2", "e": "y", "Full Name": 'O"Hara, Jo'}],
    "events": [
        {"patient": "p1", "code": "A", "start": "2020-01-01", "e": "kept", "note": "fine"},
        {"patient": "p9", "code": "Two", "start": "2020-01-02", "e": "", "note": SECRET},
        {"patient": "p2", "code": "A", "start": "", "e": "né", "note": 'a "quote",\nand more'},
    ],
}
# The alias of the row is a column of its table, and of the joined one.
JOINED = f"""{EVENT}
joins:
  p: {{table: source.patients, on: p.id = e.patient, cardinality: one}}
end: case when p.id is not null then e.start end
"""


def asides(ran: Ran, mapping: str) -> list[tuple[object, ...]]:
    """Key, reason and content of the rows that were set aside, in order."""
    return ran.query(
        f"SELECT source_key, reason, source_row FROM work.quarantine WHERE mapping = '{mapping}' ORDER BY ALL"
    )


@pytest.fixture
def written(etl: Etl) -> Etl:
    """A project with rows that are set aside; its next `write` may ask for their content."""
    return etl.write([PERSON, EVENT], ROWS, vocabulary=VOCABULARY)


def test_nothing_of_a_row_is_kept_unless_it_is_asked_for(written: Etl) -> None:
    """The quarantine has the key and the reason; no table of `work` has what no rule reads."""
    ran = written.run()
    assert asides(ran, "events") == [
        ("p2 | A | NULL", "start_date: missing", None),
        ("p9 | Two | 2020-01-02", "person_id: unknown person", None),
    ]
    tables = [name for (name,) in ran.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'work'")]
    assert len(tables) > 5
    assert not any(SECRET in str(row) for name in tables for row in ran.query(f'SELECT * FROM work."{name}"'))


def test_the_whole_source_row_is_kept_where_it_is_asked_for(etl: Etl) -> None:
    """Each column as delivered, also those that no rule reads; nothing of joined tables; once where a code fans out."""
    ran = etl.write([PERSON, JOINED], ROWS, vocabulary=VOCABULARY, write=KEPT).run()
    (missing, unknown) = asides(ran, "events")
    assert json.loads(str(unknown[2])) == ROWS["events"][1] | {"e": None}
    assert json.loads(str(missing[2])) == ROWS["events"][2] | {"start": None}
    assert list(json.loads(str(missing[2]))) == ["patient", "code", "start", "e", "note"]


def test_a_row_of_an_entity_is_kept_too(etl: Etl) -> None:
    """Of rows with one key, the one that is set aside; names of columns may be any."""
    rows = [
        {"id": "p1", "p": "a", "Full Name": "Eva"},
        {"id": "p1", "p": "b", "Full Name": "Eva"},
        {"id": "", "p": "c"},
    ]
    person = PERSON.replace("year_of_birth: 1970", "year_of_birth: 1970\n  gender_source_value: p.p")
    ran = etl.write([person], {"patients": [{"Full Name": None} | row for row in rows]}, write=KEPT).run()
    kept = [(key, reason, json.loads(str(row))) for key, reason, row in asides(ran, "person")]
    assert [(key, reason, row["p"]) for key, reason, row in kept] == [
        ("NULL", "person_id: missing", "c"),
        ("p1", "another row has the same key", "b"),
    ]


def test_rows_that_are_written_leave_no_copy(etl: Etl) -> None:
    """The stages have the content of rows that are set aside, and of no other."""
    ran = etl.write([PERSON, EVENT], ROWS | {"patients": patients("p1", "p2", "p2")}, vocabulary=VOCABULARY, write=KEPT)
    for stage, aside in (("stage_events", 2), ("stage_person", 1)):
        query = f"SELECT row_fate, COUNT(*), COUNT(source_row) FROM work.{stage} GROUP BY 1 ORDER BY 1"
        (quarantined, written) = ran.run().query(query)
        assert quarantined[0] == "quarantined"
        assert quarantined[2] == quarantined[1] >= aside
        assert written[2] == 0


def test_the_next_run_forgets_them(written: Etl, etl: Etl) -> None:
    """Rows are those of the last run, and without the option their content is gone."""
    etl.write([PERSON, EVENT], ROWS, vocabulary=VOCABULARY, write=KEPT).run()
    ran = etl.write([PERSON, EVENT], ROWS, vocabulary=VOCABULARY).run()
    assert {row for _, _, row in asides(ran, "events")} == {None}
    assert ran.query("SELECT COUNT(*) FROM duckdb_columns() WHERE column_name = 'source_row'") == [(1,)]


@pytest.mark.parametrize("write", ["write: full", "write: merge", "write: append_new"])
def test_keeping_rows_changes_nothing_else(etl: Etl, write: str) -> None:
    """The CDM and the ledger are the same with and without the option, in every way of writing."""
    found = []
    for option in ("", f", {KEPT}"):
        ran = etl.write([PERSON, EVENT], ROWS, vocabulary=VOCABULARY, write=write + option).run()
        tables = ("cdm.person", "cdm.condition_occurrence", "cdm.observation")
        found.append([ran.query(f"SELECT * FROM {name} ORDER BY ALL") for name in tables])
        found[-1].append(
            [tuple(entry.model_dump().values()) for entry in ran.record.ledger if "stage" not in entry.entry]
        )
    assert found[0][:3] == found[1][:3]
    if write == "write: full":
        assert found[0] == found[1]


def test_rows_with_references_to_events_are_kept(etl: Etl) -> None:
    """Also where rows of one key are counted to pair them with events, and the event that one needs is unknown."""
    note = """
name: costs
kind: table
target: cdm.cost
from: {c: source.costs}
columns:
  cost_id: {id: [c.patient, c.amount], strategy: ordinal}
  cost_event_id: {event: events, key: [c.patient, c.code, c.start], pair: true}
  cost_domain_id: {event: events, key: [c.patient, c.code, c.start], take: domain, pair: true}
  cost_type_concept_id: 32810
  total_charge: c.amount
"""
    rows = [
        {"patient": "p1", "code": "A", "start": "2020-01-01", "amount": "1"},
        {"patient": "p1", "code": "A", "start": "2020-01-01", "amount": "2"},
    ]
    ran = etl.write([PERSON, EVENT, note], ROWS | {"costs": rows}, vocabulary=VOCABULARY, write=KEPT).run()
    (aside,) = asides(ran, "costs")
    assert json.loads(str(aside[2])) == rows[1]
    assert ran.ledger("costs")["written", "cost"] == 1


def test_a_mapping_without_a_table_has_no_row_to_keep(etl: Etl) -> None:
    """Its one row comes from nowhere."""
    lone = (
        PERSON.replace("from: {p: source.patients}\n", "")
        .replace("p.id", "\"'me'\"")
        .replace("1970", "try_cast('x' as int)")
    )
    ran = etl.write([lone], {"patients": patients("p1")}, write=KEPT).run()
    assert asides(ran, "person") == [("me", "year_of_birth: missing", None)]


class Speechless(DuckDBGenerator):
    """Has no word for a whole row."""

    capabilities = DuckDBGenerator.capabilities | {Capability.ROW_AS_JSON: Support("never", "it knows no JSON")}


def test_an_engine_that_cannot_keep_rows_says_so(written: Etl, etl: Etl) -> None:
    """The option is an error at its place, not a quarantine without content."""
    etl.write([PERSON], {"patients": patients("p1")}, write=KEPT)
    etl.generator = Speechless
    with pytest.raises(
        ProjectError, match=r"duckdb cannot keep the rows that are set aside: it knows no JSON"
    ) as error:
        etl.run()
    (problem,) = error.value.diagnostics
    assert problem.code == "unsupported"
    assert (
        "keep_quarantined_rows"
        in (etl.root / "workflow.yaml").read_text("utf-8").splitlines()[problem.position.line - 1]
    )


def test_a_quarantine_of_an_earlier_version_is_no_obstacle(written: Etl) -> None:
    """The table is made anew, whatever columns it had."""
    ran = written.run()
    with duckdb.connect(str(ran.root / "omop.duckdb")) as connection:
        connection.execute("DROP TABLE work.quarantine")
        connection.execute("CREATE TABLE work.quarantine (mapping VARCHAR, reason VARCHAR)")
        connection.execute("INSERT INTO work.quarantine VALUES ('events', 'old')")
    assert len(asides(written.run(), "events")) == 2


def test_explain_reads_rules_where_rows_are_kept(etl: Etl) -> None:
    """Keeping rows does not hide which rule and which columns make a field."""
    found = []
    for write in ("write: full", KEPT):
        etl.write([PERSON, EVENT], ROWS, vocabulary=VOCABULARY, write=write)
        session = Session.open(etl.root)
        names = ("person.person_source_value", "condition_occurrence.condition_source_value")
        found.append([session.explain(name).to_json() for name in names])
    assert "e.code" in str(found[0][1])
    assert found[0] == found[1]


def test_a_row_of_enrollment_is_kept_too(etl: Etl) -> None:
    """A builder that derives rows from source rows keeps those that it sets aside, for whatever reason."""
    periods = """
name: periods
kind: derived
builder: payer_plan_period
from: {e: source.enrollment}
key: [e.person, e.first]
person: e.person
start: e.first
end: e.last
columns: {payer_source_value: e.payer}
"""
    rows = [
        {"person": "p1", "first": "2020-01-01", "last": "2020-12-31", "payer": "X", "note": SECRET},
        {"person": "p1", "first": "2021-01-01", "last": "soon", "payer": "Y", "note": "é"},
    ]
    ran = etl.write([PERSON, periods], {"patients": patients("p1"), "enrollment": rows}, write=KEPT).run()
    (aside,) = asides(ran, "periods")
    assert aside[:2] == ("p1 | 2021-01-01", "payer_plan_period_end_date: unreadable")
    assert json.loads(str(aside[2])) == rows[1]
    assert ran.query("SELECT COUNT(*) FROM work.stage_periods WHERE source_row IS NOT NULL") == [(1,)]


VISITS = """
name: visits
kind: derived
builder: visits
from: {e: source.encounters}
key: e.id
person: e.patient
class: e.class
start: e.start
end: e.stop
type_concept_id: 32827
policy: {classes: {inpatient: 9201, outpatient: 9202}, stays: [inpatient]}
"""


@pytest.mark.parametrize("write", ["write: full", "write: merge", "write: merge, deletes: delete", "write: append_new"])
def test_an_encounter_is_kept_too(etl: Etl, write: str) -> None:
    """Of an encounter that belongs to no visit, also where those of earlier deliveries are known."""
    rows = [
        {
            "id": "e1",
            "patient": "p1",
            "class": "inpatient",
            "start": "2020-01-01",
            "stop": "2020-01-03",
            "note": SECRET,
        },
        {"id": "e2", "patient": "p1", "class": "outpatient", "start": "soon", "stop": "", "note": "é"},
        {"id": "e3", "patient": "p9", "class": "outpatient", "start": "2020-01-02", "stop": "", "note": ""},
    ]
    etl.write([PERSON, VISITS], {"patients": patients("p1"), "encounters": rows}, write=f"{write}, {KEPT}")
    for ran in (etl.run(), etl.run()):
        found = [(key, json.loads(str(row))) for key, _, row in asides(ran, "visits")]
        assert found == [("e2", rows[1] | {"stop": None}), ("e3", rows[2] | {"stop": None, "note": None})]
        stages = ("work.stage_visits", "work.delivered_visits")
        assert not any(SECRET in str(row) for name in stages for row in content(ran, name))


def content(ran: Ran, table: str) -> list[tuple[object, ...]]:
    """The rows of a table; none where there is no such table."""
    schema, _, name = table.partition(".")
    there = f"SELECT 1 FROM duckdb_tables() WHERE schema_name = '{schema}' AND table_name = '{name}'"
    return ran.query(f"SELECT * FROM {table}") if ran.query(there) else []


def test_every_mapping_of_the_demo_keeps_its_rows(tmp_path: Path) -> None:
    """Whatever kind of mapping sets a row aside, its content is there if the workflow asks for it."""
    resources = load_plugins().resources()
    create_project(resources, "synthea", tmp_path, {"source_uri": "data/source", "vocabulary_uri": "data/vocabulary"})
    copy_demo_data(resources, tmp_path)
    workflow = tmp_path / "workflow.yaml"
    text = workflow.read_text("utf-8")
    asking = text.replace("mappings: mappings/*.yaml}", f"mappings: mappings/*.yaml, {KEPT}}}")
    assert asking != text
    workflow.write_text(asking, "utf-8")
    session = Session.open(tmp_path)
    record = session.run(session.compile())
    assert record.state == "done", [f"{step.name}: {step.error}" for step in record.failed]
    ran = Ran(tmp_path, record)
    kept = ran.query("SELECT mapping, source_row FROM work.quarantine ORDER BY ALL")
    assert {mapping for mapping, _ in kept} == {entry[0] for entry in record.quarantined()}
    assert len(kept) > 5
    assert [mapping for mapping, row in kept if not isinstance(row, str) or not json.loads(row)] == []
