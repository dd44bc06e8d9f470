"""Values, files and rules that tempt an ETL to lose or change something in silence."""

import pytest
from small_project import EVENT, PERSON, PROJECT, Etl, Vocabulary, events, patients

from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.session import Session

DEATH = """
name: death
kind: table
target: cdm.death
from: {p: source.patients}
where: p.died is not null
key: [p.id]
columns:
  person_id: {reference: person, key: [p.id]}
  death_date: p.died
  death_type_concept_id: 0
"""


def test_a_row_whose_where_cannot_be_told_is_quarantined(etl: Etl) -> None:
    """An unreadable date in a column that `where` asks about is set aside, not counted as left out."""
    rows = [{"id": "a", "died": "2020-02-30"}, {"id": "b", "died": ""}, {"id": "c", "died": "2020-02-03"}]
    columns = {"patients": "{id: text, died: date}"}
    ran = etl.write([PERSON, DEATH], {"patients": rows}, columns=columns).run()
    assert ran.ledger("death") == {
        ("source", None): 3,
        ("excluded", "where"): 1,
        ("written", "death"): 1,
        ("quarantined", "death_date: unreadable"): 1,
    }


YEARS = {"1970": 1970, "1970.0": 1970, " 1970": 1970, "1970.7": None, "0x7b2": None, "MCMLXX": None}
"""Text → the whole number that it is; None where it is none."""
NO_DATES = ("2020-01-02 garbage", "2020-01-02T25:00", "01/02/2020", "20200102", "2020-13-01")
DAYS = {
    "03.11.2020": "2020-11-03",
    " 3.11.2020": "2020-11-03",
    "20201103": "2020-11-03",
    "31.02.2020": None,
    "2020-11-03": None,
    "03.11.2020 x": None,
}
"""Text → the day that it is in the declared formats; None where it is none."""
BY_EVENT = """
SELECT p.person_source_value, o.observation_date::TEXT
FROM cdm.observation AS o JOIN cdm.person AS p USING (person_id) ORDER BY ALL
"""


def test_a_number_is_not_rounded_into_an_integer(etl: Etl) -> None:
    """Only whole numbers are integers; anything else is unreadable."""
    mapping = PERSON.replace("year_of_birth: 1970", "year_of_birth: p.year")
    rows = [{"id": f"<{text}>", "year": text} for text in YEARS]
    ran = etl.write([mapping], {"patients": rows}).run()
    query = "SELECT person_source_value, year_of_birth FROM cdm.person ORDER BY ALL"
    read = {f"<{text}>": year for text, year in YEARS.items() if year is not None}
    assert ran.query(query) == sorted(read.items())
    assert ran.ledger("person")["quarantined", "year_of_birth: unreadable"] == len(YEARS) - len(read)


@pytest.mark.parametrize("declared", ["text", "date", "timestamp"])
def test_only_dates_are_dates(etl: Etl, declared: str) -> None:
    """What is not a date or timestamp as ISO 8601 writes it is unreadable, however the column is declared."""
    rows = [("p1", f"c{number}", text) for number, text in enumerate(NO_DATES)]
    source = {"patients": patients("p1"), "events": events(*rows)}
    columns = {"events": f"{{patient: text, code: text, start: {declared}}}"}
    ran = etl.write([PERSON, EVENT], source, columns=columns).run()
    count = len(NO_DATES)
    assert ran.ledger("events") == {("source", None): count, ("quarantined", "start_date: unreadable"): count}


@pytest.mark.parametrize("declared", ["date", "timestamp"])
def test_a_date_is_read_as_its_format_says(etl: Etl, declared: str) -> None:
    """A declared format, or the first of several that fits, reads a date; in any other it is unreadable."""
    people = {f"<{text}>": text for text in DAYS}
    rows = [(person, "A", text) for person, text in people.items()]
    source = {"patients": patients(*people), "events": events(*rows)}
    start = f'{{type: {declared}, format: ["%d.%m.%Y", "%Y%m%d"]}}'
    columns = {"events": f"{{patient: text, code: text, start: {start}}}"}
    ran = etl.write([PERSON, EVENT], source, columns=columns).run()
    read = {f"<{text}>": day for text, day in DAYS.items() if day is not None}
    assert ran.query(BY_EVENT) == sorted(read.items())
    assert ran.ledger("events")["quarantined", "start_date: unreadable"] == len(DAYS) - len(read)


def test_a_vocabulary_that_is_missing_in_a_row_does_not_double_it(etl: Etl) -> None:
    """NULL and empty text as the vocabulary of one code are both nothing, and make one row each."""
    mapping = EVENT.replace("vocabulary: SNOMED", "vocabulary: {expression: \"nullif(e.system, 'none')\"}")
    rows = [{"patient": "p1", "code": "A", "start": "2020-01-02", "system": s} for s in ("none", " ", "SNOMED")]
    (etl.root / "data").mkdir()
    source = {"patients": patients("p1"), "events": rows}
    etl.write([PERSON, mapping], source, vocabulary=Vocabulary().concept(1, "A"))
    file = etl.root / "data" / "events.csv"
    file.write_text(file.read_text(encoding="utf-8").replace(" ", '""'), encoding="utf-8")
    ran = etl.run()
    assert ran.ledger("events")["written", "observation"] == 2
    assert ran.ledger("events")["written", "condition_occurrence"] == 1


def test_declared_types_hold_inside_subqueries(etl: Etl) -> None:
    """The greatest date is the latest day, not the last text, also in a query within an expression."""
    mapping = PERSON + "  birth_datetime: (select max(x.born) from source.patients as x where x.id = p.id)\n"
    rows = [{"id": "a", "born": "2020-1-9"}, {"id": "a", "born": "2020-01-10"}]
    mapping += "on_duplicate_key: merge\n"
    columns = {"patients": "{id: text, born: date}"}
    ran = etl.write([mapping], {"patients": rows}, columns=columns).run()
    assert ran.query("SELECT CAST(birth_datetime AS DATE)::TEXT FROM cdm.person") == [("2020-01-10",)]


def test_an_unknown_column_in_a_subquery_is_found_before_the_run(etl: Etl) -> None:
    """A column of a declared source is checked wherever it stands."""
    mapping = PERSON + "  birth_datetime: (select max(x.borne) from source.patients as x)\n"
    etl.write([mapping], {"patients": [{"id": "a", "born": ""}]}, columns={"patients": "{id: text, born: date}"})
    with pytest.raises(ProjectError, match=r"source\.patients has no column 'borne'"):
        Session.open(etl.root).compile()


def test_a_value_that_is_no_number_is_kept_as_text(etl: Etl) -> None:
    """'>100' under a number is not lost: value_as_string has it where the table has such a field."""
    vocabulary = Vocabulary().concept(1, "Q", "Observation")
    rows = [{"patient": "p1", "code": "Q", "start": "2020-01-02", "value": v} for v in ("100", ">100")]
    mapping = EVENT + "value: {number: e.value}\n"
    ran = etl.write([PERSON, mapping], {"patients": patients("p1"), "events": rows}, vocabulary=vocabulary).run()
    query = "SELECT value_as_number, value_as_string FROM cdm.observation ORDER BY 1 NULLS LAST"
    assert ran.query(query) == [(100.0, None), (None, ">100")]


def test_a_value_map_compares_text_whatever_the_columns_type(etl: Etl) -> None:
    """Keys of a value_map are what stands in the file."""
    mapping = PERSON.replace(
        "gender_concept_id: 0", "gender_concept_id: {value_map: p.sex, map: {1: 8507, x: 1}, else: 0}"
    )
    rows = [{"id": "a", "sex": "1"}, {"id": "b", "sex": "Y"}]
    ran = etl.write([mapping], {"patients": rows}, columns={"patients": "{id: text, sex: integer}"}).run()
    assert ran.query("SELECT gender_concept_id FROM cdm.person ORDER BY person_id") == [(8507,), (0,)]


def test_sql_files_may_use_ctes_and_aliases_of_any_name(etl: Etl) -> None:
    """Columns that a query makes itself are not asked of the source files."""
    steps = "  - {name: firsts, kind: sql, file: firsts.sql, creates: work.firsts}\n"
    sql = """
    WITH p AS (SELECT p.id AS who FROM source.patients AS p),
         e AS (SELECT e.patient, MIN(e.start) AS first_start FROM source.events AS e GROUP BY 1)
    SELECT p.who, e.first_start, rowid_ FROM p JOIN e ON e.patient = p.who, (SELECT 1 AS rowid_) AS r
    """
    source = {"patients": patients("p1"), "events": events(("p1", "A", "2020-01-02"))}
    etl.write([PERSON], source, steps=steps)
    (etl.root / "firsts.sql").write_text(sql, encoding="utf-8")
    assert etl.run().query("FROM work.firsts") == [("p1", "2020-01-02", 1)]


def test_a_comment_above_a_rule_changes_no_fingerprint(etl: Etl) -> None:
    """Lines that move change where things come from, not what is done."""
    source = {"patients": patients("p1"), "events": events(("p1", "A", "2020-01-02"))}
    joined = EVENT + "joins: {p: {table: source.patients, on: p.id = e.patient, cardinality: one}}\n"
    before = Session.open(etl.write([PERSON, joined], source).root).compile()
    after = Session.open(etl.write([PERSON, "# a comment\n" + joined], source).root).compile()
    assert [step.fingerprint for step in after.steps] == [step.fingerprint for step in before.steps]
    other = joined.replace("32827", "32817")
    changed = Session.open(etl.write([PERSON, other], source).root).compile()
    different = {a.name for a, b in zip(changed.steps, before.steps, strict=True) if a.fingerprint != b.fingerprint}
    assert {"stage_events", "write_observation", "ledger"} <= different
    assert not different & {"source_events", "stage_person", "write_person"}


def test_dml_steps_may_depend_on_each_other(etl: Etl) -> None:
    """Two groups of events in an order still fill each CDM table together, in one write."""
    first, second = EVENT, EVENT.replace("name: events", "name: later")
    source = {"patients": patients("p1"), "events": events(("p1", "A", "2020-01-02"))}
    steps = "  - {name: more, kind: dml, mappings: more/*.yaml, depends_on: mappings}\n"
    etl.write([PERSON, first], source, steps=steps)
    (etl.root / "more").mkdir()
    (etl.root / "more" / "later.yaml").write_text(second, encoding="utf-8")
    ran = etl.run()
    assert ran.record.table_rows["cdm.observation"] == 2


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        (PERSON.replace("key: [p.id]", "key: [p.name]"), "the key differs from the key of the id"),
        (
            PERSON.replace("{id: [p.id]}", "{id: [p.id], strategy: ordinal}") + "on_duplicate_key: merge\n",
            "with ordinal ids every row is kept",
        ),
        (EVENT + "columns: {drug_exposure: {drug_exposure_id: 7}}\n", "is filled by the event itself"),
        (EVENT + "columns: {drug_exposure: {person_id: 7}}\n", "is filled by the event itself"),
        (EVENT + "columns: {episode: {episode_number: 7}}\n", "no row of events can be routed to 'episode'"),
    ],
    ids=["two-keys", "no-effect", "own-id", "own-person", "nowhere"],
)
def test_what_would_have_no_effect_or_clash_is_refused(etl: Etl, mapping: str, words: str) -> None:
    """Nothing in a mapping is ignored in silence."""
    mappings = [mapping] if mapping.lstrip().startswith("name: person") else [PERSON, mapping]
    etl.write(mappings, {"patients": patients("p1"), "events": events(("p1", "A", "2020-01-02"))}, project=PROJECT)
    with pytest.raises(ProjectError, match=words):
        Session.open(etl.root).compile()


def test_a_required_end_that_a_further_column_gives_may_be_missing_in_a_row(etl: Etl) -> None:
    """The start date still stands for a required end date that the mapping's own column leaves empty."""
    vocabulary = Vocabulary().concept(1, "D", "Drug")
    rows = [{"patient": "p1", "code": "D", "start": "2020-01-02", "stop": stop} for stop in ("", "2020-01-05")]
    mapping = EVENT + "columns: {drug_exposure: {drug_exposure_end_date: e.stop}}\n"
    ran = etl.write([PERSON, mapping], {"patients": patients("p1"), "events": rows}, vocabulary=vocabulary).run()
    query = "SELECT drug_exposure_end_date::TEXT FROM cdm.drug_exposure ORDER BY 1"
    assert ran.query(query) == [("2020-01-02",), ("2020-01-05",)]
