"""'Maps to value', own maps of codes, values by vocabulary: which concepts an event's row gets."""

from typing import Any

import pytest
from small_project import EVENT, PERSON, Etl, Ran, Vocabulary, events, patients

VOCABULARY = (
    Vocabulary()
    .concept(4167217, "family history", "Observation")
    .concept(134057, "heart", "Condition")
    .concept(201820, "diabetes", "Condition")
    .concept(4046263, "enzymes", "Measurement")
    .concept(4135493, "abnormal", "Meas Value")
    .concept(4069590, "normal", "Meas Value", "LOINC")
    .concept(11, "one value", "Observation", standard=False)
    .maps(11, 4167217)
    .maps(11, 134057, "Maps to value")
    .concept(12, "two values", "Observation", standard=False)
    .maps(12, 4167217)
    .maps(12, 134057, "Maps to value")
    .maps(12, 201820, "Maps to value")
    .concept(13, "result", "Measurement", standard=False)
    .maps(13, 4046263)
    .maps(13, 4135493, "Maps to value")
    .concept(14, "both", "Observation", standard=False)
    .maps(14, 4167217)
    .maps(14, 4046263)
    .maps(14, 134057, "Maps to value")
    .maps(14, 4135493, "Maps to value")
    .concept(15, "no field", "Condition", standard=False)
    .maps(15, 201820)
    .maps(15, 134057, "Maps to value")
    .concept(16, "no concept", "Observation", standard=False)
    .maps(16, 134057, "Maps to value")
    .concept(17, "gone", "Observation", standard=False)
    .maps(17, 4167217)
    .maps(17, 134057, "Maps to value", invalid="D")
)
VALUED = EVENT + "value: {text: e.answer}\n"


def run(etl: Etl, *codes: str, event: str = EVENT, answer: str | None = None, **more: Any) -> Ran:
    """What becomes of one event of each code."""
    rows = events(*(("p1", code, "2020-01-02") for code in codes))
    if answer is not None:
        rows = [row | {"answer": answer} for row in rows]
    vocabulary = more.pop("vocabulary", VOCABULARY)
    return etl.write([PERSON, event], {"patients": patients("p1"), "events": rows}, vocabulary=vocabulary, **more).run()


def concepts(ran: Ran) -> list[tuple[object, ...]]:
    """Code, concept and value of the rows of observation and measurement."""
    observations = "SELECT observation_source_value AS code, observation_concept_id, value_as_concept_id"
    measurements = "SELECT measurement_source_value, measurement_concept_id, value_as_concept_id"
    both = f"{observations} FROM cdm.observation UNION ALL {measurements} FROM cdm.measurement"
    return ran.query(f"SELECT * FROM ({both}) ORDER BY ALL")


def test_a_value_goes_to_the_row_of_its_code(etl: Etl) -> None:
    """In observation and in measurement, whichever 'Maps to' leads to."""
    ran = run(etl, "one value", "result", "heart")
    assert concepts(ran) == [("one value", 4167217, 134057), ("result", 4046263, 4135493)]
    assert ran.query("SELECT condition_concept_id FROM cdm.condition_occurrence") == [(134057,)]


@pytest.mark.parametrize("write", ["write: full", "write: merge"])
def test_each_of_several_values_makes_a_row(etl: Etl, write: str) -> None:
    """One concept with two values is two facts; the ledger counts the second as fan-out."""
    ran = run(etl, "two values", write=write)
    assert concepts(ran) == [("two values", 4167217, 134057), ("two values", 4167217, 201820)]
    assert ran.ledger("events")["fan_out", "several standard concepts"] == 1


def test_values_of_both_kinds_go_to_their_own_rows(etl: Etl) -> None:
    """Of a code with a measurement and an observation, the measurement has the result, the observation the rest."""
    assert concepts(run(etl, "both")) == [("both", 4046263, 4135493), ("both", 4167217, 134057)]


def test_a_table_without_the_field_gets_its_row_once(etl: Etl) -> None:
    """A condition has no value: the row is there, once, and nothing else is made of the value."""
    ran = run(etl, "no field")
    assert ran.query("SELECT condition_concept_id FROM cdm.condition_occurrence") == [(201820,)]
    assert concepts(ran) == []


def test_a_value_alone_makes_no_value(etl: Etl) -> None:
    """Without 'Maps to', or with an invalid relationship, there is no value."""
    assert concepts(run(etl, "no concept", "gone")) == [("gone", 4167217, None), ("no concept", 0, None)]


def test_what_the_source_gives_is_not_overwritten(etl: Etl) -> None:
    """A concept of the source's own text stands; a text without a concept leaves room for the code's value."""
    assert concepts(run(etl, "one value", event=VALUED, answer="abnormal")) == [("one value", 4167217, 4135493)]
    ran = run(etl, "one value", event=VALUED, answer="who knows")
    assert concepts(ran) == [("one value", 4167217, 134057)]
    assert ran.query("SELECT value_as_string, value_source_value FROM cdm.observation") == [("who knows", "who knows")]
    given = EVENT + "columns: {observation: {value_as_concept_id: 4069590}}\n"
    assert concepts(run(etl, "one value", event=given)) == [("one value", 4167217, 4069590)]


def test_an_own_map_has_no_values_of_the_vocabulary(etl: Etl) -> None:
    """What source_to_concept_map says of a code replaces all that the vocabulary says of it."""
    vocabulary = Vocabulary([*VOCABULARY.concepts], [*VOCABULARY.relationships]).own("one value", 4046263)
    assert concepts(run(etl, "one value", vocabulary=vocabulary)) == [("one value", 4046263, None)]


def test_a_value_is_looked_up_in_own_maps_before_names(etl: Etl) -> None:
    """With a vocabulary the text is a code of it; what it does not have may still be a code or name of any."""
    vocabulary = Vocabulary([*VOCABULARY.concepts], [*VOCABULARY.relationships])
    vocabulary.own("+++", 134057, "Own answers").own("abnormal", 4069590, "Own answers")
    event = EVENT + "value: {text: e.answer, vocabulary: [Own answers]}\n"
    for answer, concept in (("+++", 134057), ("abnormal", 4069590), ("normal", 4069590), ("?", None)):
        ran = run(etl, "enzymes", event=event, answer=answer, vocabulary=vocabulary)
        assert concepts(ran) == [("enzymes", 4046263, concept)]


@pytest.mark.parametrize(
    ("day", "concept"), [("2019-12-31", 0), ("2020-01-01", 101), ("2020-12-31", 101), ("2021-01-01", 0)]
)
def test_own_maps_are_valid_as_of_the_day_that_the_workflow_says(etl: Etl, day: str, concept: int) -> None:
    """Both bounds belong to the time in which a row of source_to_concept_map is valid."""
    vocabulary = Vocabulary().concept(101, "A").own("own", 101, start="20200101", end="20201231")
    variables = f"variables: {{as_of: {{type: date, default: {day}}}}}\n"
    etl.write([PERSON, EVENT], {"patients": patients("p1"), "events": events(("p1", "own", "2020-01-02"))},
              vocabulary=vocabulary, steps=variables)  # fmt: skip
    ran = etl.run()
    found = ran.query("SELECT condition_concept_id FROM cdm.condition_occurrence") or [(0,)]
    assert found == [(concept,)]


def test_own_maps_of_today_and_with_a_reason_to_be_invalid(etl: Etl) -> None:
    """Without `as_of` the day of the run counts; a row with an invalid_reason never does, nor one to no standard."""
    vocabulary = (
        Vocabulary()
        .concept(101, "A")
        .concept(102, "B", standard=False)
        .concept(103, "C", invalid="U")
        .own("old", 101, end="20010101")
        .own("now", 101)
        .own("not standard", 102)
        .own("not valid", 103)
        .own("several", 101)
        .concept(104, "D", "Procedure")
        .own("several", 104)
    )
    vocabulary.own_map.append(("taken back", 0, "SNOMED", 101, "SNOMED", "19700101", "20991231", "D"))
    ran = run(etl, "old", "now", "not standard", "not valid", "several", "taken back", vocabulary=vocabulary)
    assert ran.query("SELECT condition_source_value FROM cdm.condition_occurrence ORDER BY 1") == [
        ("now",),
        ("several",),
    ]
    assert ran.query("SELECT procedure_source_value FROM cdm.procedure_occurrence") == [("several",)]
    unmapped = ran.query("SELECT observation_source_value FROM cdm.observation ORDER BY 1")
    assert unmapped == [("not standard",), ("not valid",), ("old",), ("taken back",)]


def test_custom_concepts_are_concepts(etl: Etl) -> None:
    """Ids up to 2^31 - 1 are looked up, mapped, routed and written like any other."""
    last = 2**31 - 1
    vocabulary = (
        Vocabulary()
        .concept(2_000_000_001, "ours", "Condition", "Hospital", standard=False)
        .maps(2_000_000_001, last)
        .concept(last, "the last", "Device", "Hospital")
        .maps(2_000_000_001, 2_000_000_002)
        .concept(2_000_000_002, "between", "Observation", "Hospital")
        .maps(2_000_000_001, 2_000_000_003, "Maps to value")
        .concept(2_000_000_003, "value", "Condition", "Hospital")
    )
    ran = run(etl, "ours", event=EVENT.replace("SNOMED", "Hospital"), vocabulary=vocabulary)
    devices = ran.query("SELECT device_concept_id, device_source_concept_id FROM cdm.device_exposure")
    assert devices == [(last, 2_000_000_001)]
    assert concepts(ran) == [("ours", 2_000_000_002, 2_000_000_003)]


def test_a_result_has_its_sign_and_its_range(etl: Etl) -> None:
    """As the docs have it: `<0.5` is the number 0.5, less than it, with the value as delivered beside it."""
    lab = """value: {number: "ltrim(e.result, '<>=')", source: e.result}
columns:
  measurement:
    operator_concept_id:
      value_map: regexp_extract(e.result, '^[<>]=?')
      map: {"<": 4171756, "<=": 4171754, ">": 4172704, ">=": 4171755}
    range_low: e.normal_from
    range_high: e.normal_to
"""
    day = ("p1", "enzymes", "2020-01-02")
    limits = {"normal_from": "1", "normal_to": "2.5"}
    rows = [row | {"result": r} | limits for row, r in zip(events(day, day, day), ["<0.5", ">=7", "3"], strict=True)]
    source = {"patients": patients("p1"), "events": rows}
    ran = etl.write([PERSON, EVENT + lab], source, vocabulary=VOCABULARY).run()
    fields = "value_as_number, operator_concept_id, value_source_value, range_low, range_high"
    assert ran.query(f"SELECT {fields} FROM cdm.measurement ORDER BY 1") == [
        (0.5, 4171756, "<0.5", 1.0, 2.5),
        (3.0, None, "3", 1.0, 2.5),
        (7.0, 4171755, ">=7", 1.0, 2.5),
    ]
