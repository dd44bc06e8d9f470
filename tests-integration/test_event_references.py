"""References to the rows that event mappings make: costs, notes, measurements of events."""

import random
from collections import Counter

import pytest
from small_project import EVENT, PERSON, Etl, Ran, Vocabulary, events, patients

from omopcloudetl.core.explain.model import FieldExplanation
from omopcloudetl.core.session import Session

VOCABULARY = (
    Vocabulary()
    .concept(101, "A", "Condition")
    .concept(102, "B", "Measurement")
    .concept(103, "Two", "Procedure", standard=False)
    .maps(103, 105)
    .maps(103, 104)
    .concept(104, "E", "Drug")
    .concept(105, "F", "Procedure")
    .concept(106, "G", "Measurement")
    .concept(107, "Late", "Procedure", standard=False)
    .maps(107, 105)
    .maps(107, 106)
    .concept(201, "f1", "Metadata", "CDM", standard=False, name="drug_exposure.drug_exposure_id", class_="Field")
    .concept(
        202,
        "f2",
        "Metadata",
        "CDM",
        standard=False,
        name="condition_occurrence.condition_occurrence_id",
        class_="Field",
    )
)
COST = """
name: costs
kind: table
target: cdm.cost
from: {c: source.costs}
columns:
  cost_id: {id: [c.patient, c.code, c.start, c.amount], strategy: ordinal}
  cost_event_id: {event: events, key: [c.patient, c.code, c.start]}
  cost_domain_id: {event: events, key: [c.patient, c.code, c.start], take: domain}
  cost_type_concept_id: 32810
  total_charge: c.amount
"""
PAIRED = COST.replace("c.start]}", "c.start], pair: true}").replace("take: domain}", "take: domain, pair: true}")
MEASURED = """
name: findings
kind: event
from: {f: source.findings}
key: [f.patient, f.code, f.start, f.of_code]
person: f.patient
concept: {code: f.code, vocabulary: SNOMED}
start: f.start
type_concept_id: 32827
default_table: observation
columns:
  measurement:
    measurement_event_id: {event: EVENT, key: [f.patient, f.of_code, f.start]}
    meas_event_field_concept_id: {event: EVENT, key: [f.patient, f.of_code, f.start], take: field_concept_id}
"""


_FIELDS = {
    "condition_occurrence": ("condition", "condition_start_date"),
    "drug_exposure": ("drug", "drug_exposure_start_date"),
    "procedure_occurrence": ("procedure", "procedure_date"),
    "measurement": ("measurement", "measurement_date"),
    "observation": ("observation", "observation_date"),
}
ALL_EVENTS = " UNION ALL ".join(
    f"SELECT '{table}' AS event_table, {table}_id AS id, person_id AS person, "
    f"{stem}_source_value AS code, {day} AS day FROM cdm.{table}"
    for table, (stem, day) in _FIELDS.items()
)
"""Each row of the tables that the small vocabulary routes to."""


def costs(*rows: tuple[str, str, str, str]) -> list[dict[str, object]]:
    """Rows of a costs table: patient, code, start, amount."""
    return [{"patient": p, "code": code, "start": start, "amount": amount} for p, code, start, amount in rows]


def findings(*rows: tuple[str, str, str, str]) -> list[dict[str, object]]:
    """Rows of a findings table: patient, code, start, code of the event they belong to."""
    return [{"patient": p, "code": code, "start": start, "of_code": of} for p, code, start, of in rows]


def priced(ran: Ran) -> list[tuple[object, ...]]:
    """Each cost with table and concept of the row that it prices."""
    return ran.query(
        "SELECT c.total_charge, c.cost_domain_id, coalesce(co.condition_concept_id, d.drug_concept_id, "
        "p.procedure_concept_id, m.measurement_concept_id) FROM cdm.cost AS c "
        "LEFT JOIN cdm.condition_occurrence AS co "
        "ON c.cost_domain_id = 'Condition' AND c.cost_event_id = co.condition_occurrence_id "
        "LEFT JOIN cdm.drug_exposure AS d ON c.cost_domain_id = 'Drug' AND c.cost_event_id = d.drug_exposure_id "
        "LEFT JOIN cdm.procedure_occurrence AS p "
        "ON c.cost_domain_id = 'Procedure' AND c.cost_event_id = p.procedure_occurrence_id "
        "LEFT JOIN cdm.measurement AS m ON c.cost_domain_id = 'Measurement' AND c.cost_event_id = m.measurement_id "
        "ORDER BY 1"
    )


@pytest.mark.parametrize("write", ["write: full", "write: merge, deletes: delete", "write: merge", "write: append_new"])
def test_a_price_finds_the_row_of_its_event(etl: Etl, write: str) -> None:
    """Whichever table the event went to; and twice the same."""
    source = {
        "patients": patients("p1", "p2"),
        "events": events(
            ("p2", "A", "2020-01-01"), ("p1", "A", "2020-01-01"), ("p1", "B", "2020-01-01"), ("p1", "A", "2020-01-02")
        ),
        "costs": costs(("p1", "A", "2020-01-02", "1"), ("p1", "B", "2020-01-01", "2"), ("p2", "A", "2020-01-01", "3")),
    }
    cost = COST.replace("ordinal", "registry")
    etl.write([cost, PERSON, EVENT], source, vocabulary=VOCABULARY, write=write)
    for _ in range(2):
        ran = etl.run()
        assert priced(ran) == [(1.0, "Condition", 101), (2.0, "Measurement", 102), (3.0, "Condition", 101)]
        events_of = ran.query(
            "SELECT c.total_charge, o.person_id, CAST(o.condition_start_date AS TEXT) FROM cdm.cost AS c "
            "JOIN cdm.condition_occurrence AS o ON o.condition_occurrence_id = c.cost_event_id "
            "AND c.cost_domain_id = 'Condition' ORDER BY 1"
        )
        assert events_of == [(1.0, 1, "2020-01-02"), (3.0, 2, "2020-01-01")]


@pytest.mark.parametrize("write", ["write: full", "write: merge"])
def test_an_event_of_several_concepts_is_priced_once(etl: Etl, write: str) -> None:
    """The row with the lowest concept stands for the event, whichever table it is in."""
    source = {
        "patients": patients("p1"),
        "events": events(("p1", "Two", "2020-01-01")),
        "costs": costs(("p1", "Two", "2020-01-01", "7")),
    }
    cost = COST.replace("ordinal", "registry")
    ran = etl.write([PERSON, EVENT, cost], source, vocabulary=VOCABULARY, write=write).run()
    assert ran.ledger("events")["fan_out", "several standard concepts"] == 1
    assert priced(ran) == [(7.0, "Drug", 104)]


def test_a_price_of_no_event_is_set_aside(etl: Etl) -> None:
    """cost_event_id is required: without an event the row is quarantined, with a reason that says which is unknown."""
    source = {
        "patients": patients("p1"),
        "events": events(("p1", "A", "2020-01-01"), ("ghost", "A", "2020-01-01")),
        "costs": costs(("p1", "B", "2020-01-01", "7"), ("ghost", "A", "2020-01-01", "8"), ("", "", "", "9")),
    }
    ran = etl.write([PERSON, EVENT, COST], source, vocabulary=VOCABULARY).run()
    assert ran.query("SELECT source_key, reason FROM work.quarantine WHERE mapping = 'costs' ORDER BY 1") == [
        ("NULL | NULL | NULL | 9", "cost_event_id: missing"),
        ("ghost | A | 2020-01-01 | 8", "cost_event_id: unknown events"),
        ("p1 | B | 2020-01-01 | 7", "cost_event_id: unknown events"),
    ]


@pytest.mark.parametrize("write", ["write: full", "write: merge"])
def test_rows_of_one_key_take_one_event_each_or_the_first(etl: Etl, write: str) -> None:
    """With `pair` two prices of two identical events price both of them, and a third is one too many."""
    twice = ("p1", "A", "2020-01-01")
    source = {
        "patients": patients("p1"),
        "events": events(twice, ("p1", "B", "2020-01-01"), twice),
        "costs": costs((*twice, "1"), (*twice, "2"), (*twice, "3")),
    }
    ids = "SELECT cost_event_id FROM cdm.cost ORDER BY total_charge"
    all_ids = "SELECT condition_occurrence_id FROM cdm.condition_occurrence ORDER BY 1"
    paired = PAIRED.replace("ordinal", "registry")
    ran = etl.write([PERSON, EVENT, paired], source, vocabulary=VOCABULARY, write=write).run()
    assert ran.query(ids) == ran.query(all_ids) == [(1,), (2,)]
    assert ran.ledger("costs")["quarantined", "cost_event_id: unknown events"] == 1
    first = COST.replace("ordinal", "registry")
    assert etl.write([PERSON, EVENT, first], source, vocabulary=VOCABULARY, write=write).run().query(ids) == [(1,)] * 3


@pytest.mark.parametrize("write", ["write: full", "write: merge"])
def test_rows_of_one_key_are_counted_not_the_rows_of_their_concepts(etl: Etl, write: str) -> None:
    """Two prices of two identical events of two concepts each price one row of either event."""
    twice = ("p1", "Late", "2020-01-01")
    source = {
        "patients": patients("p1"),
        "events": events(twice, twice),
        "costs": costs((*twice, "1"), (*twice, "2")),
    }
    paired = PAIRED.replace("ordinal", "registry")
    ran = etl.write([PERSON, EVENT, paired], source, vocabulary=VOCABULARY, write=write).run()
    assert priced(ran) == [(1.0, "Procedure", 105), (2.0, "Procedure", 105)]
    assert ran.query("SELECT count(DISTINCT cost_event_id) FROM cdm.cost") == [(2,)]


@pytest.mark.parametrize("write", ["write: full", "write: merge"])
def test_the_next_row_stands_for_an_event_whose_first_is_set_aside(etl: Etl, write: str) -> None:
    """Where a text is too long for one of its tables, the event is still there in the other."""
    event = EVENT + "too_long: quarantine\ncolumns: {drug_exposure: {lot_number: e.lot}}\n"
    rows = [row | {"lot": lot} for row, lot in zip(events(("p1", "Two", "2020-01-01")), ["x" * 60], strict=True)]
    source = {"patients": patients("p1"), "events": rows, "costs": costs(("p1", "Two", "2020-01-01", "7"))}
    cost = COST.replace("ordinal", "registry")
    ran = etl.write([PERSON, event, cost], source, vocabulary=VOCABULARY, write=write).run()
    assert priced(ran) == [(7.0, "Procedure", 105)]


def test_a_measurement_refers_to_an_event_of_another_mapping(etl: Etl) -> None:
    """Also where the event may be in the same table: its id is known when the table is written."""
    source = {
        "patients": patients("p1"),
        "events": events(("p1", "A", "2020-01-01"), ("p1", "B", "2020-01-01"), ("p1", "E", "2020-01-01")),
        "findings": findings(
            ("p1", "G", "2020-01-01", "A"),
            ("p1", "G", "2020-01-01", "E"),
            ("p1", "G", "2020-01-01", "B"),
            ("p1", "G", "2020-01-01", "nothing"),
            ("p1", "G", "2020-01-01", ""),
        ),
    }
    for mappings in (
        [MEASURED.replace("EVENT", "events"), PERSON, EVENT],
        [EVENT, PERSON, MEASURED.replace("EVENT", "events")],
    ):
        ran = etl.write(mappings, source, vocabulary=VOCABULARY).run()
        linked = ran.query(
            "SELECT m.meas_event_field_concept_id, m.measurement_event_id IS NULL, o.measurement_concept_id, "
            "c.condition_concept_id, d.drug_concept_id FROM cdm.measurement AS m "
            "LEFT JOIN cdm.measurement AS o "
            "ON o.measurement_id = m.measurement_event_id AND m.meas_event_field_concept_id = 0 "
            "LEFT JOIN cdm.condition_occurrence AS c "
            "ON c.condition_occurrence_id = m.measurement_event_id AND m.meas_event_field_concept_id = 202 "
            "LEFT JOIN cdm.drug_exposure AS d "
            "ON d.drug_exposure_id = m.measurement_event_id AND m.meas_event_field_concept_id = 201 "
            "ORDER BY ALL"
        )
        assert linked == [
            (0, False, 102, None, None),
            (201, False, None, None, 104),
            (202, False, None, 101, None),
            (None, True, None, None, None),
            (None, True, None, None, None),
            (None, True, None, None, None),
        ]


def test_events_of_one_mapping_refer_to_each_other(etl: Etl) -> None:
    """A row's number does not depend on what it refers to, so that a mapping may refer to itself."""
    of_itself = (
        MEASURED.replace("EVENT", "findings")
        .replace("f.of_code]\nperson", "f.code]\nperson")
        .replace("key: [f.patient, f.code, f.start, f.code]", "key: [f.patient, f.code, f.start]")
    )
    vocabulary = Vocabulary().concept(102, "B", "Measurement").concept(103, "C", "Measurement")
    source = {
        "patients": patients("p1"),
        "findings": findings(("p1", "B", "2020-01-01", "C"), ("p1", "C", "2020-01-01", "")),
    }
    ran = etl.write([PERSON, of_itself], source, vocabulary=vocabulary).run()
    rows = ran.query(
        "SELECT measurement_id, measurement_concept_id, measurement_event_id FROM cdm.measurement ORDER BY 1"
    )
    assert rows == [(1, 102, 2), (2, 103, None)]


def test_kept_rows_are_still_referred_to(etl: Etl) -> None:
    """With merge, a price delivered later finds an event of an earlier delivery."""
    source = {
        "patients": patients("p1"),
        "events": events(("p1", "Two", "2020-01-01"), ("p1", "A", "2020-01-01")),
        "costs": costs(("p1", "A", "2020-01-01", "1")),
    }
    cost = COST.replace("ordinal", "registry")
    etl.write([PERSON, EVENT, cost], source, vocabulary=VOCABULARY, write="write: merge").run()
    source |= {"events": events(("p1", "B", "2020-01-01")), "costs": costs(("p1", "Two", "2020-01-01", "2"))}
    ran = etl.write([PERSON, EVENT, cost], source, vocabulary=VOCABULARY, write="write: merge").run()
    assert priced(ran) == [(1.0, "Condition", 101), (2.0, "Drug", 104)]


@pytest.mark.parametrize("write", ["write: full", "write: merge"])
def test_every_event_is_found_again_by_its_key(etl: Etl, write: str) -> None:
    """Of hundreds of rows, many of them alike: as many events a key as source rows, and each is a row of that key."""
    choice = random.Random(7)
    rows = [
        (choice.choice(["p1", "p2"]), choice.choice(["A", "B", "Two", "Late", "?"]), f"2020-01-0{choice.randint(1, 9)}")
        for _ in range(400)
    ]
    (etl.root / "sql").mkdir(parents=True)
    (etl.root / "sql" / "listed.sql").write_text("SELECT * FROM work.event_events", encoding="utf-8")
    step = "  - {name: listed, kind: sql, file: sql/listed.sql, creates: work.listed}\n"
    # The other mapping's rows come first in every table that both write.
    other = EVENT.replace("name: events", "name: before").replace("source.events", "source.others")
    source = {"patients": patients("p1", "p2"), "events": events(*rows), "others": events(*rows[:50])}
    ran = etl.write([PERSON, other, EVENT], source, vocabulary=VOCABULARY, steps=step, write=write).run()
    found = ran.query(
        "SELECT l.event_key, count(*), count(DISTINCT l.event_occurrence), max(l.event_occurrence) "
        f"FROM work.listed AS l JOIN ({ALL_EVENTS}) AS e ON e.event_table = l.event_table AND e.id = l.event_id "
        "JOIN cdm.person AS p ON p.person_id = e.person "
        "WHERE l.event_key = concat_ws('|', p.person_source_value, e.code, CAST(e.day AS TEXT)) GROUP BY ALL"
    )
    wanted = Counter("|".join(row) for row in rows)
    assert {key: counts for key, *counts in found} == {key: [n, n, n] for key, n in wanted.items()}


def test_sql_can_read_the_events(etl: Etl) -> None:
    """A step of SQL that reads `work.event_<mapping>` has it made, without any mapping that refers to it."""
    (etl.root / "sql").mkdir(parents=True)
    sql = "SELECT event_key, event_table, event_id FROM work.event_events ORDER BY 1"
    (etl.root / "sql" / "listed.sql").write_text(sql, encoding="utf-8")
    step = "  - {name: listed, kind: sql, file: sql/listed.sql, creates: work.listed}\n"
    source = {"patients": patients("p|1"), "events": events(("p|1", "A", "2020-01-01"))}
    ran = etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY, steps=step).run()
    assert ran.query("FROM work.listed") == [("p~|1|A|2020-01-01", "condition_occurrence", 1)]


def test_nothing_is_made_for_events_that_nothing_refers_to(etl: Etl) -> None:
    """Without a reference there is no step, so that nothing is paid."""
    source = {"patients": patients("p1"), "events": events(("p1", "A", "2020-01-01"))}
    ran = etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY).run()
    assert "events_events" not in {step.name for step in ran.record.steps}


def test_explain_tells_of_the_event_where_the_table_is_written(etl: Etl) -> None:
    """The rule, what it reads, and the table of events; also of a reference that is joined as the table is written."""
    source = {
        "patients": patients("p1"),
        "events": events(("p1", "A", "2020-01-01")),
        "costs": costs(("p1", "A", "2020-01-01", "1")),
        "findings": findings(("p1", "B", "2020-01-01", "A")),
    }
    etl.write([PERSON, EVENT, COST, MEASURED.replace("EVENT", "events")], source, vocabulary=VOCABULARY)
    session = Session.open(etl.root)
    for field, read in (("cost.cost_event_id", "costs.code"), ("measurement.measurement_event_id", "findings.of_code")):
        found = session.explain(f"cdm.{field}")
        assert isinstance(found, FieldExplanation)
        filling = next(filling for filling in found.filled_by if filling.is_filled)
        assert [rule.text.partition(":")[0] for rule in filling.rules] == [field.partition(".")[2]]
        if field == "cost.cost_event_id":
            assert filling.quarantine == ("cost_event_id: unknown events", "cost_event_id: missing")
        assert f"source.{read}" in {f"{column.table}.{column.column}" for column in filling.reads}
        assert filling.through == ("work.event_events: the rows of the mapping events by its natural key",)
