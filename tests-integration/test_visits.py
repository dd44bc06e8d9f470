"""The builder `visits` beside other mappings, in other versions of the CDM, and from one way of writing to another."""

from collections.abc import Mapping, Sequence

import pytest
from small_project import EVENT, PERSON, PROJECT, Etl, Ran, patients

Rows = Sequence[Mapping[str, object]]
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
policy:
  classes: {ip: 9201, er: 9203, op: 9202}
  stays: [ip]
  emergency: [er]
  by_day: [op, er]
"""
MERGE = "write: merge"


def encounters(*rows: tuple[str, str, str, str]) -> list[dict[str, object]]:
    """Rows of a table of encounters of one patient: key, class, start and stop, the days of March 2020."""
    day = "2020-03-{:0>2}".format
    return [
        {"id": key, "patient": "p1", "class": class_, "start": day(start), "stop": day(stop), "came": "", "went": key}
        for key, class_, start, stop in rows
    ]


def run(etl: Etl, rows: Rows, *, visits: str = VISITS, write: str = "write: full", ok: bool = True) -> Ran:
    """Run the project on these encounters."""
    source = {"patients": patients("p1"), "encounters": rows}
    return etl.write([PERSON, visits], source, write=write).run(ok=ok)


def visit_of(ran: Ran) -> dict[str, int]:
    """Key of an encounter → id of its visit."""
    return {
        str(key): int(str(id_))
        for key, id_ in ran.query("SELECT key_1, visit_occurrence_id FROM work.key_visit_detail")
    }


def test_a_visit_that_joins_two_has_the_lower_id_until_they_part_again(etl: Etl) -> None:
    """The id of the other stays in the registry."""
    two = encounters(("a", "ip", "1", "3"), ("b", "ip", "7", "9"))
    assert visit_of(run(etl, two)) == {"a": 1, "b": 2}
    assert visit_of(run(etl, [*two, *encounters(("c", "ip", "4", "6"))])) == {"a": 1, "b": 1, "c": 1}
    assert visit_of(run(etl, two)) == {"a": 1, "b": 2}


def test_visits_of_single_encounters_keep_their_ids_when_they_are_grouped(etl: Etl) -> None:
    """A database whose registry knows every encounter: each visit has the lowest id of its encounters."""
    rows = encounters(("b", "op", "1", "1"), ("a", "op", "1", "1"), ("c", "op", "2", "2"))
    apart = VISITS.replace("by_day: [op, er]", "by_day: []")
    assert visit_of(run(etl, rows, visits=apart)) == {"a": 1, "b": 2, "c": 3}
    assert visit_of(run(etl, rows)) == {"a": 1, "b": 1, "c": 3}


def test_a_merge_goes_on_from_a_full_write(etl: Etl) -> None:
    """The encounters of the full write are known, and the ledger tells them from those of this delivery."""
    run(etl, encounters(("a", "ip", "1", "3"), ("b", "op", "9", "9")))
    ran = run(etl, encounters(("c", "ip", "4", "6"), ("b", "op", "2", "2")), write=MERGE)
    assert visit_of(ran) == {"a": 1, "b": 1, "c": 1}
    assert ran.ledger("visits") == {
        ("source", None): 2,
        ("fan_out", "a detail and part of a visit"): 3,
        ("fan_out", "encounters of earlier deliveries"): 1,
        ("merged", "part of a visit"): 2,
        ("written", "visit_detail"): 3,
        ("written", "visit_occurrence"): 1,
    }


def test_a_merge_looks_the_concepts_of_classes_up_again(etl: Etl) -> None:
    """What was delivered earlier has the concept that the policy says now."""
    run(etl, encounters(("a", "spa", "1", "1")), write=MERGE)
    named = VISITS.replace("op: 9202}", "op: 9202, spa: 8756}")
    ran = run(etl, encounters(("b", "op", "2", "2")), visits=named, write=MERGE)
    assert ran.query("SELECT visit_concept_id FROM cdm.visit_occurrence ORDER BY 1") == [(8756,), (9202,)]


def test_a_stage_that_is_not_of_encounters_is_told(etl: Etl) -> None:
    """Where another mapping of the name has made the stage, a merge stops before it writes anything."""
    table = """
name: visits
kind: table
target: cdm.visit_occurrence
from: {e: source.encounters}
columns:
  visit_occurrence_id: {id: [e.id]}
  person_id: {reference: person, key: [e.patient]}
  visit_concept_id: 0
  visit_start_date: e.start
  visit_end_date: e.start
  visit_type_concept_id: 32827
"""
    rows = encounters(("a", "ip", "1", "3"))
    run(etl, rows, visits=table)
    ran = run(etl, rows, write=MERGE, ok=False)
    (failed,) = (step for step in ran.record.steps if step.state == "failed")
    assert failed.name == "stage_visits"
    assert failed.error is not None
    assert "work.stage_visits is not of encounters" in failed.error
    assert "run the mapping once with `write: full`" in failed.error
    assert visit_of(run(etl, rows)) == {"a": 1}
    assert visit_of(run(etl, rows, write=MERGE)) == {"a": 1}


def test_events_have_the_visit_that_their_encounter_belongs_to(etl: Etl) -> None:
    """By the encounter's key, also where the visit is another's; an unknown encounter leaves both ids NULL."""
    rows = encounters(("a", "er", "1", "1"), ("b", "ip", "1", "4"), ("c", "op", "3", "3"))
    event = EVENT + "visit: e.encounter\nvisit_detail: e.encounter\n"
    events = [{"patient": "p1", "code": key, "start": "2020-03-03", "encounter": key} for key in ("a", "b", "c", "x")]
    source = {"patients": patients("p1"), "encounters": rows, "events": events}
    ran = etl.write([PERSON, VISITS, event], source).run()
    found = ran.query("""
        SELECT o.observation_source_value, v.visit_concept_id, d.visit_detail_source_value
        FROM cdm.observation AS o LEFT JOIN cdm.visit_occurrence AS v USING (visit_occurrence_id)
        LEFT JOIN cdm.visit_detail AS d ON d.visit_detail_id = o.visit_detail_id ORDER BY 1""")
    assert found == [("a", 262, "er"), ("b", 262, "ip"), ("c", 262, "op"), ("x", None, None)]


def test_an_event_may_have_the_provider_of_its_detail(etl: Etl) -> None:
    """Visit, detail and provider come from one join; what the detail does not have, or an unknown one, is NULL."""
    rows = [dict(row) for row in encounters(("a", "op", "1", "1"), ("b", "op", "2", "2"))]
    rows[0]["provider"] = "d2"
    event = EVENT + "visit: e.encounter\nvisit_detail: e.encounter\nprovider: {of: visit_detail}\n"
    events = [{"patient": "p1", "code": key, "start": "2020-03-03", "encounter": key} for key in ("a", "b", "x")]
    source = {
        "patients": patients("p1"),
        "encounters": rows,
        "events": events,
        "providers": [{"id": "d1"}, {"id": "d2"}],
    }
    provider = "name: provider\nkind: table\ntarget: cdm.provider\nfrom: {d: source.providers}\n"
    provider += "columns: {provider_id: {id: [d.id]}}\n"
    ran = etl.write([PERSON, provider, VISITS + "provider: e.provider\n", event], source).run()
    found = "SELECT observation_source_value, visit_occurrence_id, visit_detail_id, provider_id FROM cdm.observation"
    assert sorted(map(str, ran.query(found))) == ["('a', 1, 1, 2)", "('b', 2, 2, None)", "('x', None, None, None)"]


def test_another_mapping_may_add_details(etl: Etl) -> None:
    """Transfers between wards are details of the visit; a key that both have is written once, by the first mapping."""
    transfers = """
name: transfers
kind: table
target: cdm.visit_detail
from: {t: source.transfers}
columns:
  visit_detail_id: {id: [t.id]}
  person_id: {reference: person, key: [t.patient]}
  visit_detail_concept_id: 0
  visit_detail_start_date: t.start
  visit_detail_end_date: t.start
  visit_detail_type_concept_id: 32827
  visit_occurrence_id: {reference: visit_occurrence, key: [t.encounter]}
"""
    rows = encounters(("a", "ip", "1", "4"), ("b", "op", "2", "2"))
    moved = [{"id": key, "patient": "p1", "start": "2020-03-02", "encounter": "b"} for key in ("t1", "b")]
    source = {"patients": patients("p1"), "encounters": rows, "transfers": moved}
    ran = etl.write([PERSON, transfers, VISITS], source).run()
    assert ran.query("SELECT visit_occurrence_id, COUNT(*) FROM cdm.visit_detail GROUP BY 1") == [(1, 3)]
    assert ran.ledger("visits")["merged", "an earlier mapping has the same key"] == 1
    assert ran.ledger("visits")["written", "visit_detail"] == 1


@pytest.mark.parametrize(
    ("policy", "values", "entries"),
    [
        (
            "truncate",
            [("x" * 50, "x" * 50), ("x" * 50, "x" * 50)],
            {("truncated", "visit_occurrence"): 2, ("truncated", "visit_detail"): 2},
        ),
        ("quarantine", [], {("quarantined", "visit_detail_source_value: longer than 50 characters"): 2}),
    ],
)
def test_classes_that_are_too_long(
    etl: Etl, policy: str, values: list[tuple[str, str]], entries: dict[tuple[str, str | None], int]
) -> None:
    """They are cut in both tables and counted, or their encounters are set aside."""
    rows = encounters(("a", "x" * 51, "1", "1"), ("b", "x" * 60, "2", "2"))
    ran = run(etl, rows, visits=VISITS + f"too_long: {policy}\n")
    found = """SELECT visit_source_value, visit_detail_source_value
        FROM cdm.visit_occurrence JOIN cdm.visit_detail USING (visit_occurrence_id)"""
    assert ran.query(found) == values
    assert entries.items() <= ran.ledger("visits").items()


def test_keys_of_several_parts(etl: Etl) -> None:
    """NULL in one part is a value like others; a key that is NULL in every part identifies nothing."""
    rows = [dict(row) for row in encounters(("a", "op", "1", "1"), ("", "op", "1", "1"), ("", "op", "2", "2"))]
    rows[2]["class"] = ""
    ran = run(etl, rows, visits=VISITS.replace("key: e.id", "key: [e.id, e.class]"))
    keys = "SELECT visit_occurrence_id, key_1, key_2 FROM work.key_visit_detail ORDER BY ALL"
    assert ran.query(keys) == [(1, "a", "op"), (1, None, "op")]
    assert ran.query("SELECT source_key, reason FROM work.quarantine") == [("NULL | NULL", "key: missing")]


@pytest.mark.parametrize(
    ("version", "came", "went"),
    [
        ("5.3", "admitting_source_value", "discharge_to_source_value"),
        ("5.4", "admitted_from_source_value", "discharged_to_source_value"),
        ("6.0", "admitted_from_source_value", "discharge_to_source_value"),
    ],
)
def test_versions_of_the_cdm_name_fields_differently(etl: Etl, version: str, came: str, went: str) -> None:
    """Where the person came from is the first encounter's, where they went that of the one that ends last."""
    rows = [dict(row) for row in encounters(("b", "ip", "1", "5"), ("a", "ip", "2", "9"), ("c", "op", "3", "3"))]
    for row in rows:
        row["came"] = f"from {row['id']}"
    mapping = VISITS + "admitted_from_source_value: e.came\ndischarged_to_source_value: e.went\n"
    mapping += "discharged_to_concept_id: {value_map: e.went, map: {a: 8546}, else: 0}\n"
    source = {"patients": patients("p1"), "encounters": rows}
    person = PERSON
    if version == "6.0":
        person += "".join(f"  {name}_source_concept_id: 0\n" for name in ("gender", "race", "ethnicity"))
    ran = etl.write([person, mapping], source, project=PROJECT + f"cdm_version: '{version}'\n").run()
    concept = went.replace("source_value", "concept_id")
    assert ran.query(f"SELECT {came}, {went}, {concept} FROM cdm.visit_occurrence") == [("from b", "a", 8546)]
    details = f"SELECT {came}, {went}, {concept} FROM cdm.visit_detail ORDER BY 1"
    assert ran.query(details) == [("from a", "a", 8546), ("from b", "b", 0), ("from c", "c", 0)]
