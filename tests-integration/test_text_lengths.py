"""Promises about texts that are longer than their field: cut and counted, set aside, or refused."""

import pytest
from small_project import EVENT, PERSON, PROJECT, Etl, Ran, Vocabulary

from omopcloudetl.core.session import Session

LONG = "x" * 70
QUARANTINE = PROJECT + "too_long: quarantine\n"
VALUES = EVENT + "value: {text: e.value}\n"


def cut(ran: Ran, mapping: str) -> dict[tuple[str | None, str | None], int]:
    """The ledger's cut texts: (table, reason) → values."""
    found = [entry for entry in ran.record.ledger if entry.mapping == mapping and entry.entry == "truncated"]
    return {(entry.target_table, entry.reason): entry.row_count for entry in found}


def people(*ids: str) -> dict[str, list[dict[str, object]]]:
    """A source of patients without events."""
    return {"patients": [{"id": id_} for id_ in ids]}


def happened(*rows: tuple[str, str]) -> dict[str, list[dict[str, object]]]:
    """A source of one patient with events of a code and a value each."""
    events = [{"patient": "p1", "code": code, "start": "2020-01-01", "value": value} for code, value in rows]
    return {**people("p1"), "events": events}


def test_texts_are_cut_and_counted_and_keys_are_not(etl: Etl) -> None:
    """A text is cut to the field's characters; the ledger says how many were, and keys tell rows apart as before."""
    ran = etl.write([PERSON], people("ä" * 50, LONG, LONG + "2", "p4")).run()
    rows = ran.query("SELECT person_source_value FROM cdm.person ORDER BY ALL")
    assert rows == [("p4",), ("x" * 50,), ("x" * 50,), ("ä" * 50,)]
    assert cut(ran, "person") == {("person", "person_source_value: longer than 50 characters"): 2}
    assert ran.ledger("person")["written", "person"] == 4
    (warning,) = ran.record.warnings()
    assert "person cut 2 values of person.person_source_value to 50 characters" in warning


def test_an_event_is_cut_where_it_goes(etl: Etl) -> None:
    """What is cut depends on the table a row is routed to, and is counted for each of its fields."""
    vocabulary = Vocabulary().concept(2, "c", "Condition").concept(3, "o", "Observation").concept(4, "m", "Measurement")
    source = happened(("c", LONG), ("o", LONG), ("m", LONG), ("m", "short"), (LONG, "short"))
    ran = etl.write([PERSON, VALUES], source, vocabulary=vocabulary).run()
    assert cut(ran, "events") == {
        ("observation", "value_as_string: longer than 60 characters"): 1,
        ("observation", "value_source_value: longer than 50 characters"): 1,
        ("observation", "observation_source_value: longer than 50 characters"): 1,
        ("measurement", "value_source_value: longer than 50 characters"): 1,
    }
    lengths = "SELECT max(length(value_as_string)), max(length(observation_source_value)) FROM cdm.observation"
    assert ran.query(lengths) == [(60, 50)]


def test_rows_are_set_aside_where_the_project_says_so(etl: Etl) -> None:
    """With `quarantine` the row is not written, and its reason names the field; a mapping may say otherwise."""
    other = PERSON.replace("name: person", "name: place").replace(
        "person_id: {id: [p.id]}", "location_id: {id: [p.id]}"
    )
    other = other.replace("cdm.person", "cdm.location").partition("  gender")[0] + "  location_source_value: p.id\n"
    mappings = [PERSON, other + "too_long: truncate\n"]
    ran = etl.write(mappings, people("p1", LONG), project=QUARANTINE).run()
    assert ran.ledger("person")["quarantined", "person_source_value: longer than 50 characters"] == 1
    assert ran.query("SELECT person_source_value FROM cdm.person") == [("p1",)]
    assert ran.query("SELECT source_key FROM work.quarantine") == [(LONG,)]
    assert cut(ran, "place") == {("location", "location_source_value: longer than 50 characters"): 1}


@pytest.mark.parametrize("write", ["full", "merge", "append_new"])
@pytest.mark.parametrize("condition", [2, 4])
@pytest.mark.parametrize("codes", [("both",), ("both", "both"), ("both", "c", "o")])
def test_each_row_of_a_code_has_a_fate_of_its_own(etl: Etl, codes: tuple[str, ...], condition: int, write: str) -> None:
    """Of a code with two concepts one row may be written and the other set aside: both are in the ledger."""
    vocabulary = Vocabulary().concept(1, "both", standard=False).maps(1, condition).maps(1, 3)
    vocabulary.concept(condition, "c", "Condition").concept(3, "o", "Observation")
    columns = VALUES + "columns: {condition_occurrence: {stop_reason: e.reason}}\n"
    source = happened(*((code, "fits") for code in codes))
    for number, row in enumerate(source["events"]):
        row["reason"] = LONG if number == 0 else "short"
    how = f"write: {write}"
    ran = etl.write([PERSON, columns], source, vocabulary=vocabulary, project=QUARANTINE, write=how).run()
    ledger = ran.ledger("events")
    twice = codes.count("both")
    assert ledger["quarantined", "stop_reason: longer than 20 characters"] == 1
    assert ledger["fan_out", "several standard concepts"] == twice
    assert len(ran.query("SELECT * FROM work.quarantine")) == 1
    assert ledger["written", "observation"] == twice + codes.count("o")


def test_a_run_stops_where_a_text_must_fit(etl: Etl) -> None:
    """With `error` the mapping's step fails, and says the mapping, the field and how many; nothing is written."""
    mappings = [PERSON + "too_long: error\n"]
    ran = etl.write(mappings, people("p1", LONG, LONG + "2")).run(ok=False)
    (failed, *_) = ran.record.failed
    assert failed.name == "stage_person"
    for words in ("the mapping person (mappings/1.yaml:2)", "person_source_value: longer than 50 characters", "2"):
        assert words in str(failed.error)
    assert etl.write(mappings, people("p1", "y" * 50)).run().ledger("person")["written", "person"] == 2


def test_an_event_stops_where_a_text_must_fit(etl: Etl) -> None:
    """The check looks only at the fields of the table that a row goes to."""
    event = VALUES + "too_long: error\n"
    vocabulary = Vocabulary().concept(2, "c", "Condition").concept(3, "o", "Observation")
    assert etl.write([PERSON, event], happened(("c", LONG)), vocabulary=vocabulary).run().record.state == "done"
    failed = etl.write([PERSON, event], happened(("o", LONG)), vocabulary=vocabulary).run(ok=False).record.failed
    assert "value_as_string: longer than 60 characters" in str(failed[0].error)


def test_a_key_of_an_earlier_mapping_is_not_counted_twice(etl: Etl) -> None:
    """Of two mappings with the same key the first writes the row, and its cut texts are counted there."""
    second = PERSON.replace("name: person", "name: again")
    ran = etl.write([PERSON, second], people(LONG)).run()
    reason = ("person", "person_source_value: longer than 50 characters")
    assert (cut(ran, "person"), cut(ran, "again")) == ({reason: 1}, {})


def test_what_cannot_be_too_long_costs_nothing(etl: Etl) -> None:
    """Constants, dates, numbers and texts that are cut already are neither cut nor counted."""
    mapping = PERSON.replace("person_source_value: p.id", "person_source_value: left(p.id, 50)")
    mapping += "  gender_source_value: {value_map: p.id, map: {a: b}, else: c}\n  race_source_value: {constant: x}\n"
    mapping += "  ethnicity_source_value: current_date\n"
    etl.write([mapping], people("p1"))
    plan = Session.open(etl.root).compile()
    sql = "\n".join(statement.sql for step in plan.steps if step.kind == "sql" for statement in step.statements)
    assert "LENGTH(" not in sql
    assert sql.count("LEFT(") == 1
