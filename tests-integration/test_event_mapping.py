"""What becomes of coded source rows."""

from small_project import EVENT, PERSON, Etl, Vocabulary, events, patients

VOCABULARY = (
    Vocabulary()
    .concept(101, "A", "Condition")
    .concept(102, "B", "Measurement")
    .concept(103, "C1", "Condition", standard=False)
    .maps(103, 101)
    .concept(104, "D", "Condition", standard=False)
    .maps(104, 101)
    .maps(104, 105)
    .concept(105, "E", "Procedure")
    .concept(106, "U", "Drug", standard=False)
    .concept(107, "V", "Visit")
)
CONDITIONS = "SELECT condition_concept_id, condition_source_concept_id, condition_source_value"


def one_day(*codes: str) -> dict[str, list[dict[str, object]]]:
    """A patient with an event of each code on one day."""
    return {"patients": patients("p1"), "events": events(*[("p1", code, "2020-01-02") for code in codes])}


def test_a_row_goes_to_the_table_of_its_standard_concepts_domain(etl: Etl) -> None:
    """Condition, Measurement and Procedure codes of one source table land in three CDM tables."""
    ran = etl.write([PERSON, EVENT], one_day("A", "B", "E"), vocabulary=VOCABULARY).run()
    assert ran.query("SELECT condition_concept_id FROM cdm.condition_occurrence") == [(101,)]
    assert ran.query("SELECT measurement_concept_id FROM cdm.measurement") == [(102,)]
    assert ran.query("SELECT procedure_concept_id FROM cdm.procedure_occurrence") == [(105,)]
    assert ran.ledger("events") == {
        ("source", None): 3,
        ("written", "condition_occurrence"): 1,
        ("written", "measurement"): 1,
        ("written", "procedure_occurrence"): 1,
    }


def test_any_other_domain_goes_to_observation(etl: Etl) -> None:
    """A standard concept of a domain without an event table of its own is an observation."""
    ran = etl.write([PERSON, EVENT], one_day("V"), vocabulary=VOCABULARY).run()
    assert ran.query("SELECT observation_concept_id FROM cdm.observation") == [(107,)]


def test_a_source_code_follows_maps_to(etl: Etl) -> None:
    """A code that is not standard keeps its own concept as source and takes the mapped one as standard."""
    ran = etl.write([PERSON, EVENT], one_day("C1"), vocabulary=VOCABULARY).run()
    assert ran.query(f"{CONDITIONS} FROM cdm.condition_occurrence") == [(101, 103, "C1")]


def test_one_code_to_many_concepts_makes_a_row_each(etl: Etl) -> None:
    """A code that maps to two standard concepts writes two rows, and the ledger counts the fan-out apart."""
    ran = etl.write([PERSON, EVENT], one_day("D"), vocabulary=VOCABULARY).run()
    assert ran.query(f"{CONDITIONS} FROM cdm.condition_occurrence") == [(101, 104, "D")]
    assert ran.query("SELECT procedure_concept_id FROM cdm.procedure_occurrence") == [(105,)]
    assert ran.ledger("events")["fan_out", "several standard concepts"] == 1


def test_an_unmapped_code_keeps_its_row_with_concept_0(etl: Etl) -> None:
    """Without a standard concept the row goes to the source concept's domain, else to the default table."""
    ran = etl.write([PERSON, EVENT], one_day("U", "nowhere"), vocabulary=VOCABULARY).run()
    drugs = "SELECT drug_concept_id, drug_source_concept_id, drug_source_value FROM cdm.drug_exposure"
    assert ran.query(drugs) == [(0, 106, "U")]
    others = "SELECT observation_concept_id, observation_source_concept_id, observation_source_value"
    assert ran.query(f"{others} FROM cdm.observation") == [(0, 0, "nowhere")]
    assert ran.ledger("events")["unmapped", "drug_exposure"] == 1
    assert ran.ledger("events")["unmapped", "observation"] == 1


def test_a_row_without_a_code_is_kept(etl: Etl) -> None:
    """A missing code is concept 0 in the default table."""
    ran = etl.write([PERSON, EVENT], one_day(""), vocabulary=VOCABULARY).run()
    assert ran.query("SELECT observation_concept_id, observation_source_value FROM cdm.observation") == [(0, None)]


def test_a_required_end_date_is_the_start_date_when_it_is_missing(etl: Etl) -> None:
    """drug_exposure_end_date is required, so an event without an end ends on its first day."""
    ran = etl.write([PERSON, EVENT], one_day("U"), vocabulary=VOCABULARY).run()
    dates = "SELECT CAST(drug_exposure_start_date AS TEXT), CAST(drug_exposure_end_date AS TEXT)"
    assert ran.query(f"{dates} FROM cdm.drug_exposure") == [("2020-01-02", "2020-01-02")]


def test_rows_of_unknown_persons_and_unreadable_dates_are_quarantined(etl: Etl) -> None:
    """A row that cannot be written is set aside with its key and a reason, and the ledger balances."""
    rows = events(("p1", "A", "2020-01-02"), ("ghost", "A", "2020-01-02"), ("p1", "A", "soon"), ("p1", "B", ""))
    source = {"patients": patients("p1"), "events": rows}
    ran = etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY).run()
    assert ran.query("SELECT source_key, reason FROM work.quarantine ORDER BY 2, 1") == [
        ("ghost | A | 2020-01-02", "person_id: unknown person"),
        ("p1 | B | NULL", "start_date: missing"),
        ("p1 | A | soon", "start_date: unreadable"),
    ]
    assert ran.ledger("events")["written", "condition_occurrence"] == 1


def test_a_declared_date_column_that_cannot_be_read_is_quarantined_too(etl: Etl) -> None:
    """Declaring a column's type does not lose the text: its rows are set aside with the key as delivered."""
    source = {"patients": patients("p1"), "events": events(("p1", "A", "2020-02-30"))}
    columns = {"events": "{patient: text, code: text, start: date}"}
    ran = etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY, columns=columns).run()
    expected = [("p1 | A | 2020-02-30", "start_date: unreadable")]
    assert ran.query("SELECT source_key, reason FROM work.quarantine") == expected


def test_identical_source_rows_are_all_kept(etl: Etl) -> None:
    """Two source rows that are equal in every column become two rows with ids of their own."""
    ran = etl.write([PERSON, EVENT], one_day("A", "A"), vocabulary=VOCABULARY).run()
    assert ran.query("SELECT condition_occurrence_id FROM cdm.condition_occurrence ORDER BY 1") == [(1,), (2,)]


def test_the_best_source_concept_is_taken(etl: Etl) -> None:
    """Of several concepts with one code: the valid one, then the newest, then the lowest id."""
    vocabulary = (
        Vocabulary()
        .concept(1, "X", invalid="D", start="20200101", standard=False)
        .concept(2, "X", start="20100101", standard=False)
        .concept(4, "X", start="20150101", standard=False)
        .concept(3, "X", start="20150101", standard=False)
    )
    ran = etl.write([PERSON, EVENT], one_day("X"), vocabulary=vocabulary).run()
    assert ran.query("SELECT condition_source_concept_id FROM cdm.condition_occurrence") == [(3,)]


def test_invalid_relationships_and_targets_do_not_map(etl: Etl) -> None:
    """Neither a withdrawn 'Maps to' nor a target that is invalid or not standard gives a standard concept."""
    vocabulary = (
        Vocabulary()
        .concept(1, "X", standard=False)
        .concept(2, "gone", invalid="U")
        .concept(3, "other", standard=False)
        .concept(4, "good")
        .maps(1, 2)
        .maps(1, 3)
        .maps(1, 4, invalid="D")
        .maps(1, 4, "Is a")
    )
    ran = etl.write([PERSON, EVENT], one_day("X"), vocabulary=vocabulary).run()
    assert ran.query(f"{CONDITIONS} FROM cdm.condition_occurrence") == [(0, 1, "X")]


def test_source_to_concept_map_wins_while_it_is_valid(etl: Etl) -> None:
    """The project's own map overrides the vocabulary for the same code, but not after its last day."""
    vocabulary = (
        Vocabulary()
        .concept(1, "A")
        .concept(2, "B", "Procedure")
        .concept(9, "N")
        .own("A", 2)
        .own("N", 2, end="20200101")
    )
    ran = etl.write([PERSON, EVENT], one_day("A", "N"), vocabulary=vocabulary).run()
    assert ran.query("SELECT procedure_concept_id, procedure_source_concept_id FROM cdm.procedure_occurrence") == [
        (2, 1)
    ]
    assert ran.query("SELECT condition_concept_id FROM cdm.condition_occurrence") == [(9,)]


def test_a_route_overrides_the_domain(etl: Etl) -> None:
    """A mapping may send a domain elsewhere, as allergies to drugs are no exposures."""
    mapping = EVENT + "routes: {Condition: observation}\n"
    ran = etl.write([PERSON, mapping], one_day("A"), vocabulary=VOCABULARY).run()
    assert ran.query("SELECT observation_concept_id FROM cdm.observation") == [(101,)]


def test_the_vocabulary_may_differ_by_row(etl: Etl) -> None:
    """A value_map names the vocabulary of each row, so one code can mean two things."""
    vocabulary = Vocabulary().concept(1, "7", vocabulary="SNOMED").concept(2, "7", vocabulary="RxNorm")
    rows = [{"patient": "p1", "code": "7", "start": "2020-01-02", "system": system} for system in ("rx", "sct", "")]
    mapping = EVENT.replace("vocabulary: SNOMED", "vocabulary: {value_map: e.system, map: {rx: RxNorm}, else: SNOMED}")
    ran = etl.write([PERSON, mapping], {"patients": patients("p1"), "events": rows}, vocabulary=vocabulary).run()
    assert ran.query("SELECT condition_concept_id FROM cdm.condition_occurrence ORDER BY 1") == [(1,), (1,), (2,)]


def test_values_and_units(etl: Etl) -> None:
    """A number, the name or code of a value concept, and other text each land in their own field."""
    vocabulary = (
        Vocabulary()
        .concept(1, "W", "Measurement")
        .concept(2, "Q", "Observation")
        .concept(3, "kg", "Unit", "UCUM", name="kilogram")
        .concept(4, "score", "Unit", "UCUM")
        .concept(5, "LA1", "Meas Value", "LOINC", name="Yes")
        .own("{score}", 4, "own units")
    )
    rows = [
        {"patient": "p1", "code": code, "start": "2020-01-02", "value": value, "unit": unit}
        for code, value, unit in (
            ("W", "70.5", "kg"),
            ("W", "lots", "stone"),
            ("Q", "Yes", ""),
            ("Q", "LA1", "{score}"),
            ("Q", "maybe", ""),
        )
    ]
    mapping = EVENT + "value: e.value\nunit: {code: e.unit, vocabulary: [UCUM, own units], domain: Unit}\n"
    ran = etl.write([PERSON, mapping], {"patients": patients("p1"), "events": rows}, vocabulary=vocabulary).run()
    assert ran.query(
        "SELECT value_as_number, value_as_concept_id, value_source_value, unit_concept_id, unit_source_value"
        " FROM cdm.measurement ORDER BY value_source_value"
    ) == [(70.5, None, "70.5", 3, "kg"), (None, None, "lots", 0, "stone")]
    assert ran.query(
        "SELECT value_as_number, value_as_concept_id, value_as_string, unit_concept_id"
        " FROM cdm.observation ORDER BY value_source_value"
    ) == [(None, 5, None, 4), (None, 5, None, None), (None, None, "maybe", None)]


def test_a_computed_value_keeps_what_the_source_says(etl: Etl) -> None:
    """`source` is the value as delivered, and the text of a value that is neither number nor concept."""
    vocabulary = Vocabulary().concept(2, "Q", "Observation").concept(5, "LA1", "Meas Value", "LOINC", name="Yes")
    rows = [
        {"patient": "p1", "code": "Q", "start": "2020-01-02", "value": value} for value in ("1,5", "ja", "vielleicht")
    ]
    value = "{number: \"replace(e.value, ',', '.')\", text: case e.value when 'ja' then 'Yes' end, source: e.value}"
    mapping = f"{EVENT}value: {value}\n"
    ran = etl.write([PERSON, mapping], {"patients": patients("p1"), "events": rows}, vocabulary=vocabulary).run()
    assert ran.query(
        "SELECT value_as_number, value_as_concept_id, value_as_string, value_source_value"
        " FROM cdm.observation ORDER BY value_source_value"
    ) == [(1.5, None, None, "1,5"), (None, 5, None, "ja"), (None, None, "vielleicht", "vielleicht")]


def test_further_columns_belong_to_their_table(etl: Etl) -> None:
    """A column given for one table is filled there and ignored for rows that are routed elsewhere."""
    mapping = EVENT + "columns: {drug_exposure: {quantity: '3', sig: e.code}}\n"
    ran = etl.write([PERSON, mapping], one_day("A", "U"), vocabulary=VOCABULARY).run()
    assert ran.query("SELECT quantity, sig FROM cdm.drug_exposure") == [(3.0, "U")]
    assert len(ran.query("SELECT 1 FROM cdm.condition_occurrence")) == 1


def test_a_further_concept_without_a_code_is_null(etl: Etl) -> None:
    """An optional concept among `columns` is NULL where the source gives no code, 0 where the code has none."""
    further = "columns: {condition_occurrence: {condition_status_concept_id: {concept: e.status, vocabulary: SNOMED}}}"
    rows = [
        row | {"status": status} for row, status in zip(one_day("A", "A", "A")["events"], ("", "A", "?"), strict=True)
    ]
    source = {"patients": patients("p1"), "events": rows}
    ran = etl.write([PERSON, EVENT + further], source, vocabulary=VOCABULARY).run()
    found = ran.query("SELECT condition_status_concept_id FROM cdm.condition_occurrence ORDER BY 1")
    assert found == [(0,), (101,), (None,)]
