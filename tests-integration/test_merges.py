"""What `merge` and `append_new` do in cases that are easily got wrong, told one by one."""

import duckdb
import pytest
from small_project import EVENT, PERSON, Etl, Vocabulary, events, patients
from test_hash_ids import HASHED, FewBits, hash_id

LOCATION = """
name: places
kind: table
target: cdm.location
from: {p: source.places}
key: [p.name]
columns:
  location_id: p.number
  city: p.name
  state: p.state
"""
MERGE, MIRROR, APPEND = "write: merge", "write: merge, deletes: delete", "write: append_new"
VOCABULARY = Vocabulary().concept(1, "A").concept(2, "B", "Measurement")
CONDITIONS = "SELECT condition_occurrence_id, condition_source_value FROM cdm.condition_occurrence ORDER BY 1"


def places(*rows: tuple[str, int, str]) -> list[dict[str, object]]:
    """Rows of a table with ids of its own."""
    return [{"name": name, "number": number, "state": state} for name, number, state in rows]


def noted(*rows: tuple[str, str]) -> list[dict[str, object]]:
    """Patients with a note."""
    return [{"id": id_, "note": note} for id_, note in rows]


def test_only_rows_that_differ_are_touched(etl: Etl) -> None:
    """The engine counts one row updated and one inserted, none of the equal ones."""
    mapping = PERSON.replace("person_source_value: p.id", "person_source_value: p.note")
    etl.write([mapping], {"patients": noted(("a", "x"), ("b", "x"))}, write=MERGE).run()
    ran = etl.write([mapping], {"patients": noted(("a", "x"), ("b", "y"), ("c", "z"))}, write=MERGE).run()
    assert {step.name: step.rows_affected for step in ran.record.steps}["write_person"] == 2
    assert ran.query("SELECT person_source_value FROM cdm.person ORDER BY 1") == [("x",), ("y",), ("z",)]


def test_a_field_that_is_filled_no_longer_becomes_null(etl: Etl) -> None:
    """The rows become the result in every field, also in those that an earlier mapping filled."""
    etl.write([PERSON], {"patients": patients("a")}, write=MERGE).run()
    mapping = PERSON.replace("  person_source_value: p.id\n", "")
    ran = etl.write([mapping], {"patients": patients("a")}, write=MERGE).run()
    assert ran.query("SELECT person_id, person_source_value FROM cdm.person") == [(1, None)]


def test_rows_that_are_added_leave_what_is_there(etl: Etl) -> None:
    """With append_new a changed row stays as it was, and is counted as present."""
    mapping = PERSON.replace("person_source_value: p.id", "person_source_value: p.note")
    etl.write([mapping], {"patients": noted(("a", "x"))}, write=APPEND).run()
    ran = etl.write([mapping], {"patients": noted(("a", "y"), ("b", "y"))}, write=APPEND).run()
    assert ran.query("SELECT person_source_value FROM cdm.person ORDER BY 1") == [("x",), ("y",)]
    assert ran.ledger("person") == {
        ("source", None): 2, ("present", "person"): 1, ("written", "person"): 1, ("kept", "person"): 1
    }  # fmt: skip


def test_given_ids_are_merged_by_themselves(etl: Etl) -> None:
    """Rows with ids of the source change, stay and leave as others do."""
    etl.write([LOCATION], {"places": places(("a", 7, "x"), ("b", 8, "x"), ("c", 9, "x"))}, write=MERGE).run()
    second = places(("a", 7, "y"), ("b", 80, "x"))
    ran = etl.write([LOCATION], {"places": second}, write=MERGE).run()
    rows = "SELECT location_id, city, state FROM cdm.location ORDER BY 1"
    assert ran.query(rows) == [(7, "a", "y"), (9, "c", "x"), (80, "b", "x")]
    assert ran.ledger("places") == {
        ("source", None): 2, ("written", "location"): 2, ("deleted", "location"): 1, ("kept", "location"): 1
    }  # fmt: skip
    ran = etl.write([LOCATION], {"places": second}, write=MIRROR).run()
    assert ran.query(rows) == [(7, "a", "y"), (80, "b", "x")]


def test_an_id_that_the_source_gives_twice_fails_the_merge(etl: Etl) -> None:
    """Two rows of one id are told, and the table stays as it was."""
    etl.write([LOCATION], {"places": places(("a", 7, "x"))}, write=MERGE).run()
    ran = etl.write([LOCATION], {"places": places(("a", 7, "x"), ("b", 7, "x"))}, write=MERGE).run(ok=False)
    assert "cdm.location would get rows with the same location_id" in str(ran.record.failed[0].error)
    assert ran.query("SELECT location_id, city FROM cdm.location") == [(7, "a")]


def test_an_event_is_not_doubled_when_its_domain_changes(etl: Etl) -> None:
    """After a vocabulary update the row leaves the table it was in, whatever the policy."""
    source = {"patients": patients("p"), "events": events(("p", "A", "2020-01-02"))}
    etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY, write=MERGE).run()
    other = Vocabulary().concept(1, "A", "Measurement")
    ran = etl.write([PERSON, EVENT], source, vocabulary=other, write=MERGE).run()
    assert ran.query(CONDITIONS) == []
    assert ran.query("SELECT COUNT(*) FROM cdm.measurement") == [(1,)]
    assert ran.ledger("events")["deleted", "condition_occurrence"] == 1


def test_a_row_that_where_leaves_out_now_leaves_the_table(etl: Etl) -> None:
    """The source still has its key, so that it is not kept as one that the source has no longer."""
    where = "where: {0}.note is distinct from 'out'\n"
    person = PERSON.replace("key:", where.format("p") + "key:")
    event = EVENT.replace("key:", where.format("e") + "key:")
    rows = events(("a", "A", "2020-01-02"), ("b", "A", "2020-01-02"))

    def source(*notes: str) -> dict[str, list[dict[str, object]]]:
        noted_events = [{**row, "note": note} for row, note in zip(rows, notes, strict=False)]
        return {"patients": noted(*zip("ab", notes, strict=False)), "events": noted_events}

    etl.write([person, event], source("", ""), vocabulary=VOCABULARY, write=MERGE).run()
    ran = etl.write([person, event], source("out"), vocabulary=VOCABULARY, write=MERGE).run()
    assert ran.query("SELECT person_source_value FROM cdm.person") == [("b",)]
    assert ran.query(CONDITIONS) == [(2, "A")]
    assert ran.ledger("events")["deleted", "condition_occurrence"] == 1
    assert ran.ledger("events")["kept", "condition_occurrence"] == 1


def test_a_code_with_fewer_standard_concepts_keeps_the_other_row_and_its_id(etl: Etl) -> None:
    """The row of the concept that is gone leaves; that of the other is the same as before."""
    source = {"patients": patients("p"), "events": events(("p", "X", "2020-01-02"))}
    concepts = Vocabulary().concept(1, "A").concept(2, "B").concept(9, "X", standard=False)
    etl.write([PERSON, EVENT], source, vocabulary=concepts.maps(9, 1).maps(9, 2), write=MERGE).run()
    concepts = Vocabulary().concept(1, "A").concept(2, "B").concept(9, "X", standard=False)
    ran = etl.write([PERSON, EVENT], source, vocabulary=concepts.maps(9, 2), write=MERGE).run()
    query = "SELECT condition_occurrence_id, condition_concept_id FROM cdm.condition_occurrence"
    assert ran.query(query) == [(2, 2)]


@pytest.mark.parametrize("write", [MERGE, MIRROR])
def test_an_event_mapping_under_another_name_doubles_nothing(etl: Etl, write: str) -> None:
    """Rows of a mapping that writes the table no longer leave it."""
    source = {"patients": patients("p"), "events": events(("p", "A", "2020-01-02"))}
    etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY, write=write).run()
    renamed = EVENT.replace("name: events", "name: diagnoses")
    ran = etl.write([PERSON, renamed], source, vocabulary=VOCABULARY, write=write).run()
    assert ran.query(CONDITIONS) == [(2, "A")]


def test_a_merge_that_keeps_rows_does_not_follow_a_full_write_of_events(etl: Etl) -> None:
    """It could not tell which rows are which, and says so; one that deletes takes over, and then rows can be kept."""
    source = {"patients": patients("p"), "events": events(("p", "A", "2020-01-02"))}
    etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY).run()
    for write in (MERGE, APPEND):
        ran = etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY, write=write).run(ok=False)
        error = str(ran.record.failed[0].error)
        assert "was written with `write: full`" in error
        assert "once with `write: merge` and `deletes: delete`" in error
        assert ran.query(CONDITIONS) == [(1, "A")]
    for write in (MIRROR, MERGE, APPEND):
        ran = etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY, write=write).run()
        assert ran.query(CONDITIONS) == [(1, "A")]


@pytest.mark.parametrize("write", [MERGE, MIRROR, APPEND])
def test_rows_that_were_removed_by_hand_come_again(etl: Etl, write: str) -> None:
    """What the table holds counts, not what was once written; ids are the same."""
    source = {"patients": patients("a", "b"), "events": events(("a", "A", "2020-01-02"), ("b", "A", "2020-01-02"))}
    etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY, write=write).run()
    with duckdb.connect(str(etl.root / "omop.duckdb")) as connection:
        connection.execute("DELETE FROM cdm.condition_occurrence")
        connection.execute("DELETE FROM cdm.person WHERE person_id = 1")
    ran = etl.run()
    assert ran.query(CONDITIONS) == [(1, "A"), (2, "A")]
    assert ran.query("SELECT person_id, person_source_value FROM cdm.person ORDER BY 1") == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("write", [MERGE, APPEND])
def test_a_row_of_others_under_an_id_of_ours_is_never_overwritten(etl: Etl, write: str) -> None:
    """The step fails, and the row of others is as it was."""
    etl.write([LOCATION], {"places": places(("a", 7, "x"))}, write=write).run()
    with duckdb.connect(str(etl.root / "omop.duckdb")) as connection:
        connection.execute("INSERT INTO cdm.location (location_id, city) VALUES (8, 'theirs')")
    ran = etl.write([LOCATION], {"places": places(("a", 7, "x"), ("b", 8, "x"))}, write=write).run(ok=False)
    assert "cdm.location has rows that no mapping wrote, under ids of ours" in str(ran.record.failed[0].error)
    assert ran.query("SELECT city FROM cdm.location WHERE location_id = 8") == [("theirs",)]


@pytest.mark.parametrize("write", [MERGE, APPEND])
def test_a_hash_that_a_kept_key_has_fails_the_step(etl: Etl, write: str) -> None:
    """A key that is in the table, but not in the source now, can collide, too."""
    etl.generator = FewBits
    etl.write([HASHED], {"patients": patients("a")}, write=write).run()
    collides = next(x for x in "bcdefgh" if hash_id([x]) % 4 == hash_id(["a"]) % 4)
    ran = etl.write([HASHED], {"patients": patients(collides)}, write=write).run(ok=False)
    assert "two natural keys of cdm.person have the same hash" in str(ran.record.failed[0].error)
    assert ran.query("SELECT person_source_value FROM cdm.person") == [("a",)]


def test_hash_ids_are_merged(etl: Etl) -> None:
    """With hashes as ids, rows are merged without a registry."""
    etl.write([HASHED], {"patients": patients("a", "b")}, write=MIRROR).run()
    ran = etl.write([HASHED], {"patients": patients("b", "c")}, write=MIRROR).run()
    assert ran.query("SELECT person_source_value FROM cdm.person ORDER BY 1") == [("b",), ("c",)]
    assert ran.query("SELECT COUNT(*) FROM duckdb_tables() WHERE table_name = 'registry_person'") == [(0,)]


def test_ids_that_reach_2_to_the_53_fail_the_step(etl: Etl) -> None:
    """A row of others with the last id that OMOP tools can tell apart leaves no room."""
    wide = LOCATION.replace("location_id: p.number", "location_id: {id: [p.name]}")
    etl.write([wide], {"places": places(("a", 1, "x"))}, write=MERGE).run()
    with duckdb.connect(str(etl.root / "omop.duckdb")) as connection:
        connection.execute("UPDATE work.registry_location SET location_id = 9007199254740991")
    ran = etl.write([wide], {"places": places(("a", 1, "x"), ("b", 1, "x"))}, write=MERGE).run(ok=False)
    assert "ids of cdm.location reach 2^53" in str(ran.record.failed[0].error)


def test_a_key_with_other_parts_has_other_ids(etl: Etl) -> None:
    """Ids that were given for other keys are not gone on with; the step says how to begin anew."""
    two = PERSON.replace("key: [p.id]\n", "").replace("{id: [p.id]}", "{id: [p.id, p.note]}")
    source = {"patients": noted(("a", "x"), ("a", "y"))}
    for write in (MERGE, APPEND, "write: full"):
        for first, second in ((PERSON, two), (two, PERSON)):
            before = etl.write([first], source, write=write).run().query("FROM cdm.person ORDER BY 1")
            ran = etl.write([second], source, write=write).run(ok=False)
            error = str(ran.record.failed[0].error)
            assert "the natural key of cdm.person has more or fewer parts than when its ids were given" in error
            assert ran.query("FROM cdm.person ORDER BY 1") == before
            with duckdb.connect(str(etl.root / "omop.duckdb")) as connection:
                connection.execute(
                    "DELETE FROM cdm.person; DROP TABLE work.registry_person; DROP TABLE work.key_person"
                )


def test_a_full_write_makes_the_keys_of_before_forgotten(etl: Etl) -> None:
    """An id that a merge had given, and that a row of others has after a full write, is theirs."""
    rows = events(*(("p", "A", f"2020-01-0{day}") for day in range(1, 5)))
    for write, count in ((MERGE, 4), ("write: full", 2)):
        source = {"patients": patients("p"), "events": rows[:count]}
        etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY, write=write).run()
    columns = (
        "(condition_occurrence_id, person_id, condition_concept_id, condition_start_date, condition_type_concept_id)"
    )
    with duckdb.connect(str(etl.root / "omop.duckdb")) as connection:
        connection.execute(f"INSERT INTO cdm.condition_occurrence {columns} VALUES (4, 1, 0, DATE '2001-01-01', 0)")
    for _ in range(2):
        ran = etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY, write=MIRROR).run()
        assert ran.query(CONDITIONS) == [(1, "A"), (2, "A"), (4, None)]


def test_primary_keys_and_merges_go_together(etl: Etl) -> None:
    """Where the database enforces primary keys, rows are merged as elsewhere."""
    etl.write([PERSON], {"patients": patients("a", "b")}, write=MIRROR)
    workflow = (etl.root / "workflow.yaml").read_text(encoding="utf-8")
    (etl.root / "workflow.yaml").write_text(workflow.replace("schema: cdm}", "schema: cdm, primary_keys: true}"))
    etl.run()
    assert etl.run().query("SELECT person_id FROM cdm.person ORDER BY 1") == [(1,), (2,)]
