"""What the source wrote arrives as the source wrote it, whatever its columns are declared as."""

from small_project import EVENT, PERSON, Etl, Vocabulary, patients


def test_codes_keep_their_spelling_in_a_column_declared_as_a_number(etl: Etl) -> None:
    """'08' is the code 08, not 8, and code_source_value says so."""
    vocabulary = Vocabulary().concept(1, "08").concept(2, "8")
    rows = [{"patient": "p1", "code": "08", "start": "2020-01-02"}]
    columns = {"events": "{patient: text, code: integer, start: date}"}
    source = {"patients": patients("p1"), "events": rows}
    ran = etl.write([PERSON, EVENT], source, vocabulary=vocabulary, columns=columns).run()
    query = "SELECT condition_concept_id, condition_source_value FROM cdm.condition_occurrence"
    assert ran.query(query) == [(1, "08")]


def test_a_value_that_is_no_number_is_kept_from_a_column_declared_as_one(etl: Etl) -> None:
    """'>100' and '1e2' stay what they are beside the number that was or was not read."""
    vocabulary = Vocabulary().concept(1, "Q", "Observation")
    rows = [{"patient": "p1", "code": "Q", "start": "2020-01-02", "value": v} for v in ("1e2", ">100")]
    columns = {"events": "{patient: text, code: text, start: date, value: number}"}
    source = {"patients": patients("p1"), "events": rows}
    mapping = EVENT + "value: {number: e.value}\n"
    ran = etl.write([PERSON, mapping], source, vocabulary=vocabulary, columns=columns).run()
    query = "SELECT value_as_number, value_as_string, value_source_value FROM cdm.observation ORDER BY 1 NULLS LAST"
    assert ran.query(query) == [(100.0, None, "1e2"), (None, ">100", ">100")]


def test_text_fields_take_a_column_as_delivered(etl: Etl) -> None:
    """A source value from a column declared as a date is the text of the file, also where it is no date."""
    mapping = PERSON.replace("person_source_value: p.id", "person_source_value: p.born")
    rows = [{"id": "a", "born": "2020-1-2"}, {"id": "b", "born": "unknown"}]
    ran = etl.write([mapping], {"patients": rows}, columns={"patients": "{id: text, born: date}"}).run()
    assert ran.query("SELECT person_source_value FROM cdm.person ORDER BY 1") == [("2020-1-2",), ("unknown",)]
