"""What becomes of the rows of plain table mappings: ids, references, duplicates, unions, joins."""

import pytest
from small_project import EVENT, PERSON, Etl, Vocabulary, events, patients

CARE_SITE = """
name: care_site
kind: table
target: cdm.care_site
from: {o: source.sites}
key: [o.id]
columns:
  care_site_id: {id: [o.id]}
  care_site_name: o.name
"""
VISIT = """
name: visits
kind: table
target: cdm.visit_occurrence
from: {v: source.visits}
joins:
  s: {table: source.sites, on: s.id = v.site, cardinality: one}
key: [v.id]
columns:
  visit_occurrence_id: {id: [v.id]}
  person_id: {reference: person, key: [v.patient]}
  visit_concept_id: {value_map: v.class, map: {in: 9201, out: 9202}, else: 0}
  visit_start_date: v.start
  visit_end_date: v.start
  visit_type_concept_id: {constant: 32827}
  care_site_id: {reference: care_site, key: v.site}
  visit_source_value: s.name
"""


def visit(id_: str, patient: str = "p1", site: str = "s1") -> dict[str, object]:
    """A row of a visits table."""
    return {"id": id_, "patient": patient, "site": site, "class": "in", "start": "2020-01-02"}


def sites(*ids: str) -> list[dict[str, object]]:
    """Rows of a sites table."""
    return [{"id": id_, "name": f"site {id_}"} for id_ in ids]


def test_registry_ids_are_dense_and_follow_the_keys(etl: Etl) -> None:
    """Ids count from 1 in the order of the natural keys, whatever the order of the file."""
    ran = etl.write([PERSON], {"patients": patients("c", "a", "b")}).run()
    persons = "SELECT person_id, person_source_value FROM cdm.person ORDER BY 1"
    assert ran.query(persons) == [(1, "a"), (2, "b"), (3, "c")]


def test_registry_ids_of_old_rows_stay_when_data_are_added(etl: Etl) -> None:
    """A key keeps its id for ever: new keys get higher ones, a key that comes back gets its old one."""
    etl.write([PERSON], {"patients": patients("b", "d")}).run()
    etl.write([PERSON], {"patients": patients("a", "d")}).run()
    ran = etl.write([PERSON], {"patients": patients("a", "b", "c", "d")}).run()
    persons = "SELECT person_source_value, person_id FROM cdm.person ORDER BY 2"
    assert ran.query(persons) == [("b", 1), ("d", 2), ("a", 3), ("c", 4)]


def test_a_person_that_is_gone_is_unknown_again(etl: Etl) -> None:
    """The registry remembers ids, but a reference resolves only to a row that is in the CDM now."""
    source = {"patients": patients("p1", "p2"), "events": events(("p2", "A", "2020-01-02"))}
    etl.write([PERSON, EVENT], source).run()
    ran = etl.write([PERSON, EVENT], source | {"patients": patients("p1")}).run()
    assert ran.ledger("events") == {("source", None): 1, ("quarantined", "person_id: unknown person"): 1}


def test_references_resolve_and_unknown_ones_are_null_where_the_field_allows(etl: Etl) -> None:
    """A reference gives the other row's id; a missing optional one is NULL, a missing required one a reason."""
    source = {
        "patients": patients("p1"),
        "sites": sites("s1"),
        "visits": [visit("v1"), visit("v2", site="nowhere"), visit("v3", patient="ghost")],
    }
    ran = etl.write([PERSON, CARE_SITE, VISIT], source).run()
    rows = "SELECT visit_occurrence_id, person_id, care_site_id, visit_source_value FROM cdm.visit_occurrence"
    assert ran.query(f"{rows} ORDER BY 1") == [(1, 1, 1, "site s1"), (2, 1, None, None)]
    assert ran.ledger("visits")["quarantined", "person_id: unknown person"] == 1


def test_a_second_row_of_the_same_key_is_quarantined(etl: Etl) -> None:
    """Two patients with one id: one is written, the other set aside; nothing is lost in silence."""
    ran = etl.write([PERSON], {"patients": patients("a", "a", "b")}).run()
    assert ran.query("SELECT COUNT(*) FROM cdm.person") == [(2,)]
    assert ran.ledger("person")["quarantined", "another row has the same key"] == 1
    assert ran.query("SELECT source_key FROM work.quarantine") == [("a",)]


def test_a_row_without_a_key_is_quarantined(etl: Etl) -> None:
    """A row whose whole natural key is missing has no identity."""
    ran = etl.write([CARE_SITE], {"sites": sites("a", "")}).run()
    assert ran.ledger("care_site")["quarantined", "care_site_id: missing"] == 1


def test_rows_of_one_key_can_be_one_entity(etl: Etl) -> None:
    """With on_duplicate_key merge the first row by content stands for the key, the others are counted."""
    mapping = CARE_SITE.replace("columns:", "on_duplicate_key: merge\ncolumns:")
    rows = [{"id": "s", "name": name} for name in ("z", "a", "m")]
    ran = etl.write([mapping], {"sites": rows}).run()
    assert ran.query("SELECT care_site_id, care_site_name FROM cdm.care_site") == [(1, "a")]
    assert ran.ledger("care_site")["merged", "another row has the same key"] == 2


def test_a_table_is_the_union_of_its_mappings(etl: Etl) -> None:
    """Two mappings of one table don't clobber each other; a key of both is written once, by the first."""
    other = CARE_SITE.replace("name: care_site", "name: clinics", 1).replace("source.sites", "source.clinics")
    source = {"sites": sites("a", "b"), "clinics": [{"id": "b", "name": "clinic b"}, {"id": "c", "name": "clinic c"}]}
    ran = etl.write([CARE_SITE, other], source).run()
    assert ran.query("SELECT care_site_id, care_site_name FROM cdm.care_site ORDER BY 1") == [
        (1, "site a"),
        (2, "site b"),
        (3, "clinic c"),
    ]
    assert ran.ledger("clinics") == {
        ("source", None): 2,
        ("written", "care_site"): 1,
        ("merged", "an earlier mapping has the same key"): 1,
    }


def test_keys_of_several_parts_tell_null_from_empty_text_apart(etl: Etl) -> None:
    """A key with a NULL part is a key like any other, and NULL equals NULL in it."""
    mapping = """
name: places
kind: table
target: cdm.location
from: {p: source.places}
key: [p.city, p.zip]
on_duplicate_key: merge
columns:
  location_id: {id: [p.city, p.zip]}
  city: p.city
  zip: p.zip
"""
    rows = [{"city": c, "zip": z} for c, z in (("x", ""), ("x", ""), ("", "1"), ("x", "1"))]
    ran = etl.write([mapping], {"places": rows}).run()
    assert ran.query("SELECT location_id, city, zip FROM cdm.location ORDER BY 1") == [
        (1, "x", "1"),
        (2, "x", None),
        (3, None, "1"),
    ]


def test_where_leaves_rows_out_and_the_ledger_says_so(etl: Etl) -> None:
    """Rows that `where` excludes are counted; NULL counts as not true."""
    mapping = PERSON + "where: nullif(p.id, 'a') > 'b'\n"
    ran = etl.write([mapping], {"patients": patients("a", "b", "c")}).run()
    assert ran.ledger("person") == {("source", None): 3, ("excluded", "where"): 2, ("written", "person"): 1}


def test_a_join_that_multiplies_rows_fails_and_says_which_mapping(etl: Etl) -> None:
    """A join declared `one` that finds two rows stops the mapping before anything is written."""
    source = {"patients": patients("p1"), "sites": sites("s1", "s1"), "visits": [visit("v1")]}
    mapping = CARE_SITE.replace("columns:", "on_duplicate_key: merge\ncolumns:")
    ran = etl.write([PERSON, mapping, VISIT], source).run(ok=False)
    (failed,) = ran.record.failed
    assert failed.name == "stage_visits"
    assert failed.error is not None
    assert "the mapping visits says that at most one row of source.sites joins as 's'" in failed.error
    assert ran.query("SELECT COUNT(*) FROM cdm.person") == [(1,)]


def test_a_join_declared_many_may_multiply_rows(etl: Etl) -> None:
    """The rows a `many` join adds are counted as fan-out, and the ledger still balances."""
    mapping = """
name: notes
kind: table
target: cdm.care_site
from: {s: source.sites}
joins:
  v: {table: source.visits, on: v.site = s.id, cardinality: many}
key: [s.id, v.id]
columns:
  care_site_id: {id: [s.id, v.id]}
  care_site_source_value: v.id
"""
    source = {"sites": sites("s1", "s2"), "visits": [visit("v1"), visit("v2"), visit("v3")]}
    ran = etl.write([mapping], source).run()
    assert ran.ledger("notes") == {("source", None): 2, ("fan_out", "joined rows"): 2, ("written", "care_site"): 4}


def test_a_mapping_without_from_makes_one_row(etl: Etl) -> None:
    """cdm_source needs no source table."""
    mapping = """
name: cdm_source
kind: table
target: cdm.cdm_source
joins:
  v: {table: vocab.vocabulary, on: v.vocabulary_id = 'None', cardinality: one}
key: ["'x'"]
columns:
  cdm_source_name: "'x'"
  cdm_source_abbreviation: "'x'"
  cdm_holder: "'x'"
  source_release_date: "'2020-01-01'"
  cdm_release_date: "'2020-01-01'"
  cdm_version_concept_id: 756265
  vocabulary_version: coalesce(v.vocabulary_version, 'none')
"""
    ran = etl.write([mapping], {"patients": patients("p")}).run()
    assert ran.query("SELECT cdm_source_name, vocabulary_version FROM cdm.cdm_source") == [("x", "none")]


@pytest.mark.parametrize("strategy", ["registry", "ordinal"])
def test_ids_do_not_depend_on_the_order_of_rows(etl: Etl, strategy: str) -> None:
    """The same rows in another order, in an empty database, get the same ids."""
    mapping = CARE_SITE.replace("{id: [o.id]}", f"{{id: [o.id], strategy: {strategy}}}")
    rows = sites("m", "a", "z", "k")
    first = etl.write([mapping], {"sites": rows}).run().query("FROM cdm.care_site ORDER BY 1")
    (etl.root / "omop.duckdb").unlink()
    again = etl.write([mapping], {"sites": rows[::-1]}).run().query("FROM cdm.care_site ORDER BY 1")
    assert first == again


def test_a_code_in_a_table_mapping_becomes_one_concept(etl: Etl) -> None:
    """A concept column follows 'Maps to', takes the lowest of several, and is 0 for an unknown code."""
    mapping = CARE_SITE + (
        "  place_of_service_concept_id: {concept: o.name, vocabulary: Places}\n"
        "  place_of_service_source_value: o.name\n"
    )
    vocabulary = Vocabulary().concept(7, "site a", vocabulary="Places", standard=False)
    vocabulary.concept(9, "x").concept(8, "y").maps(7, 9).maps(7, 8)
    ran = etl.write([mapping], {"sites": sites("a", "b")}, vocabulary=vocabulary).run()
    rows = "SELECT place_of_service_concept_id FROM cdm.care_site ORDER BY care_site_id"
    assert ran.query(rows) == [(8,), (0,)]
