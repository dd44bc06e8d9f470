"""Eras: which records belong together, what the policy decides, and what the ledger says of it."""

import pytest
from derived_project import Cdm, Drugs, derive
from small_project import PROJECT, Etl, Ran

CONDITIONS = """
SELECT person_id, condition_concept_id, CAST(condition_era_start_date AS TEXT), CAST(condition_era_end_date AS TEXT),
  condition_occurrence_count
FROM cdm.condition_era ORDER BY ALL
"""
DRUGS = """
SELECT person_id, drug_concept_id, CAST(drug_era_start_date AS TEXT), CAST(drug_era_end_date AS TEXT),
  drug_exposure_count, gap_days
FROM cdm.drug_era ORDER BY ALL
"""
DOSES = """
SELECT person_id, drug_concept_id, dose_value, unit_concept_id,
  CAST(dose_era_start_date AS TEXT), CAST(dose_era_end_date AS TEXT)
FROM cdm.dose_era ORDER BY ALL
"""
MG, ML, ACTUATION, HOUR = 8576, 8587, 45744809, 8505
ASPIRIN, CODEINE, TABLET, BOTH = 1, 2, 10, 12


def drugs() -> Drugs:
    """A tablet of one ingredient and one of two."""
    return Drugs().ingredient(ASPIRIN).ingredient(CODEINE).contains(TABLET, ASPIRIN).contains(BOTH, ASPIRIN, CODEINE)


def conditions(etl: Etl, cdm: Cdm, policy: str = "{}") -> Ran:
    """Derive the condition eras."""
    return derive(etl, cdm, "condition_era", policy).run()


def exposures(etl: Etl, cdm: Cdm, policy: str = "{}", known: Drugs | None = None) -> Ran:
    """Derive the drug eras."""
    return derive(etl, cdm, "drug_era", policy, known or drugs()).run()


def doses(etl: Etl, cdm: Cdm, known: Drugs, policy: str = "{}") -> Ran:
    """Derive the dose eras."""
    return derive(etl, cdm, "dose_era", policy, known).run()


# -- conditions


def test_records_of_one_condition_over_gaps_of_30_days_are_one_era(etl: Etl) -> None:
    """A gap of 30 days persists and one of 31 does not; other conditions and persons have eras of their own."""
    cdm = Cdm().person(1).condition(1, 5, "2020-01-01", "2020-01-10").condition(1, 5, "2020-02-09")
    cdm.condition(1, 5, "2020-03-11").condition(1, 6, "2020-01-20").condition(2, 5, "2020-01-20")
    assert conditions(etl, cdm).query(CONDITIONS) == [
        (1, 5, "2020-01-01", "2020-02-09", 2),
        (1, 5, "2020-03-11", "2020-03-11", 1),
        (1, 6, "2020-01-20", "2020-01-20", 1),
        (2, 5, "2020-01-20", "2020-01-20", 1),
    ]


def test_a_record_that_encloses_others_reaches_over_them(etl: Etl) -> None:
    """The gap is counted from the last day that any earlier record reached; an end before the start is none."""
    cdm = Cdm().person(1).condition(1, 5, "2020-01-01", "2020-06-01").condition(1, 5, "2020-02-01", "2020-02-02")
    cdm.condition(1, 5, "2020-06-20", "2020-06-01").condition(1, 5, "2020-08-01", None)
    assert conditions(etl, cdm).query(CONDITIONS) == [
        (1, 5, "2020-01-01", "2020-06-20", 3),
        (1, 5, "2020-08-01", "2020-08-01", 1),
    ]


def test_conditions_without_a_standard_concept_have_no_era(etl: Etl) -> None:
    """Records of concept 0 are excluded, and the others are written or merged."""
    cdm = Cdm().person(1).condition(1, 0, "2020-01-01").condition(1, 0, "2020-01-02")
    cdm.condition(1, 5, "2020-01-01").condition(1, 5, "2020-01-02")
    assert conditions(etl, cdm).ledger("condition_era") == {
        ("source", None): 4,
        ("excluded", "no standard concept"): 2,
        ("merged", "part of an era"): 1,
        ("written", "condition_era"): 1,
    }
    assert conditions(etl, cdm, "{gap_days: 0}").query(CONDITIONS) == [
        (1, 5, "2020-01-01", "2020-01-01", 1),
        (1, 5, "2020-01-02", "2020-01-02", 1),
    ]


# -- drugs


def test_exposures_are_merged_by_ingredient(etl: Etl) -> None:
    """A drug of two ingredients is in the eras of both; an ingredient itself counts; the ledger tells of each."""
    cdm = Cdm().person(1).drug(1, TABLET, "2020-01-01", "2020-01-10").drug(1, BOTH, "2020-02-09", "2020-02-10")
    cdm.drug(1, ASPIRIN, "2020-03-13", "2020-03-13").drug(1, 99, "2020-01-01", "2020-01-01")
    cdm.drug(1, 0, "2020-01-01", "2020-01-01")
    found = exposures(etl, cdm)
    assert found.query(DRUGS) == [
        (1, ASPIRIN, "2020-01-01", "2020-02-10", 2, 30),
        (1, ASPIRIN, "2020-03-13", "2020-03-13", 1, 0),
        (1, CODEINE, "2020-02-09", "2020-02-10", 1, 0),
    ]
    assert found.ledger("drug_era") == {
        ("source", None): 5,
        ("fan_out", "several ingredients"): 1,
        ("excluded", "no ingredient"): 1,
        ("excluded", "no standard concept"): 1,
        ("merged", "part of an era"): 1,
        ("written", "drug_era"): 3,
    }


def test_gap_days_are_those_without_exposure(etl: Etl) -> None:
    """Overlapping exposures are exposure once; what lies between those that do not overlap is a gap."""
    cdm = Cdm().person(1).drug(1, TABLET, "2020-01-01", "2020-01-31").drug(1, TABLET, "2020-01-15", "2020-02-05")
    cdm.drug(1, TABLET, "2020-02-05", "2020-02-10").drug(1, TABLET, "2020-02-15", "2020-02-20")
    cdm.drug(1, TABLET, "2020-03-01", "2020-03-02")
    assert exposures(etl, cdm).query(DRUGS) == [(1, ASPIRIN, "2020-01-01", "2020-03-02", 5, 5 + 10)]


@pytest.mark.parametrize(
    ("policy", "ends"),
    [
        ("{}", ["2020-01-05", "2020-01-01", "2020-01-11"]),
        ("{end: [days_supply, end_date]}", ["2020-01-31", "2020-01-01", "2020-01-11"]),
        ("{end: days_supply, first_day_counts: true}", ["2020-01-30", "2020-01-01", "2020-01-10"]),
        ("{end: [end_date]}", ["2020-01-05", "2020-01-01", "2020-01-01"]),
        ("{end: start_date}", ["2020-01-01", "2020-01-01", "2020-01-01"]),
    ],
)
def test_the_policy_says_where_an_exposure_ends(etl: Etl, policy: str, ends: list[str]) -> None:
    """The first source of the list that an exposure has and that is not before its start; absurd supplies are none."""
    cdm = Cdm().person(1).drug(1, TABLET, "2020-01-01", "2020-01-05", days_supply=30)
    cdm.drug(2, TABLET, "2020-01-01", "2019-12-01", days_supply=2_000_000_000)
    cdm.drug(3, TABLET, "2020-01-01", "2019-12-01", days_supply=10)
    found = exposures(etl, cdm, policy)
    assert found.query("SELECT CAST(drug_era_end_date AS TEXT) FROM cdm.drug_era ORDER BY person_id") == [
        (end,) for end in ends
    ]


def test_the_policy_says_what_an_ingredient_is(etl: Etl) -> None:
    """Only concepts of its vocabularies and classes; two ingredients of which one is meant make one era."""
    known = drugs().ingredient(3, "RxNorm Extension").contains(13, 3).ingredient(4, class_="Precise Ingredient")
    known.contains(14, ASPIRIN, 4)
    cdm = Cdm().person(1).drug(1, 13, "2020-01-01", "2020-01-02").drug(1, 14, "2020-01-01", "2020-01-02")
    eras = "SELECT drug_concept_id FROM cdm.drug_era ORDER BY ALL"
    assert exposures(etl, cdm, known=known).query(eras) == [(ASPIRIN,), (3,)]
    assert exposures(etl, cdm, "{vocabularies: RxNorm}", known).query(eras) == [(ASPIRIN,)]
    classes = "{vocabularies: [RxNorm], classes: [Precise Ingredient]}"
    assert exposures(etl, cdm, classes, known).query(eras) == [(4,)]


# -- doses


def strengths() -> Drugs:
    """Tablets of 100 and 200 mg, one of two ingredients, a spray, a patch and a syrup."""
    known = drugs().strength(TABLET, ASPIRIN, (100, MG)).strength(11, ASPIRIN, (200, MG))
    known.strength(BOTH, ASPIRIN, (100, MG)).strength(BOTH, CODEINE, (8, MG))
    known.strength(20, CODEINE, of=(0.5, MG, "", ACTUATION)).strength(21, CODEINE, of=(0.25, MG, "", HOUR))
    known.strength(22, CODEINE, of=(2, MG, 1, ML)).strength(23, CODEINE, of=(500, MG, 24, HOUR))
    return known


def test_the_daily_dose_is_the_quantity_over_the_days_of_supply(etl: Etl) -> None:
    """Amounts, puffs, pieces that last for hours; a patch that releases so much an hour needs no quantity."""
    cdm = Cdm().person(1)
    for person, drug in enumerate((TABLET, BOTH, 20, 21, 23), start=1):
        cdm.drug(person, drug, "2020-01-01", "2020-01-30", quantity=60, days_supply=30)
    day = ("2020-01-01", "2020-01-30")
    assert doses(etl, cdm, strengths()).query(DOSES) == [
        (1, ASPIRIN, 200.0, MG, *day),
        (2, ASPIRIN, 200.0, MG, *day),
        (2, CODEINE, 16.0, MG, *day),
        (3, CODEINE, 1.0, MG, *day),
        (4, CODEINE, 6.0, MG, *day),
        (5, CODEINE, 1000.0, MG, *day),
    ]


def test_a_dose_that_cannot_be_told_is_left_out_with_its_reason(etl: Etl) -> None:
    """Each exposure without an era is counted once for each ingredient, with what is missing."""
    known = strengths().strength(30, ASPIRIN, (1, MG)).strength(30, ASPIRIN, (2, MG)).strength(31, ASPIRIN, (1, ""))
    known.strength(32, ASPIRIN, (1, MG), invalid="D").strength(33, ASPIRIN, (1, MG)).strength(33, ASPIRIN, (1, MG))
    cdm = Cdm().person(1)
    for drug in (0, 22, 30, 31, 32, 33):
        cdm.drug(1, drug, "2020-01-01", "2020-01-30", quantity=30, days_supply=30)
    cdm.drug(2, BOTH, "2020-01-01", "2020-01-30", days_supply=30).drug(
        2, TABLET, "2020-01-01", "2020-01-30", quantity=9
    )
    cdm.drug(3, TABLET, "2020-01-01", "2020-01-30", quantity=0, days_supply=0)
    found = doses(etl, cdm, known)
    assert found.query(DOSES) == [(1, ASPIRIN, 1.0, MG, "2020-01-01", "2020-01-30")]
    assert found.ledger("dose_era") == {
        ("source", None): 9,
        ("fan_out", "several ingredients"): 1,
        ("excluded", "no standard concept"): 1,
        ("excluded", "no fixed amount"): 1,
        ("excluded", "several strengths"): 1,
        ("excluded", "no unit"): 1,
        ("excluded", "no strength"): 1,
        ("excluded", "no quantity"): 3,
        ("excluded", "no days supply"): 1,
        ("written", "dose_era"): 1,
    }


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ("{}", []),
        ("{duration: [days_supply, dates]}", [(1, 300.0)]),
        ("{duration: dates}", [(1, 300.0)]),
        ("{units_a_day: 1.5}", [(1, 150.0), (2, 150.0), (3, 0.75)]),
        ("{duration: dates, units_a_day: 2}", [(1, 300.0), (2, 200.0), (3, 1.0)]),
    ],
)
def test_the_policy_says_what_stands_for_a_duration_and_a_quantity(
    etl: Etl, policy: str, found: list[tuple[int, float]]
) -> None:
    """Dates where there are no days of supply, so many units a day where the quantity tells nothing."""
    cdm = (
        Cdm()
        .person(1)
        .drug(1, TABLET, "2020-01-01", "2020-01-10", quantity=30)
        .drug(2, TABLET, "2020-01-01", "2020-01-10")
    )
    cdm.drug(3, 20, "2020-01-01", "2020-01-10").drug(4, 23, "2020-01-01", "2020-01-10").drug(
        5, 22, "2020-01-01", "2020-01-10"
    )
    query = "SELECT person_id, dose_value FROM cdm.dose_era ORDER BY ALL"
    assert doses(etl, cdm, strengths(), policy).query(query) == found


def test_a_dose_lasts_until_another_begins_or_the_gap_is_too_long(etl: Etl) -> None:
    """A refill goes on; a gap of 30 days persists and one of 31 does not; another dose between parts two eras."""
    cdm = Cdm().person(1)
    for start, end, drug in (
        ("2020-01-01", "2020-01-10", TABLET),
        ("2020-01-10", "2020-01-20", TABLET),
        ("2020-02-19", "2020-02-20", TABLET),
        ("2020-03-22", "2020-03-23", TABLET),
        ("2020-03-23", "2020-03-30", 11),
        ("2020-03-30", "2020-04-02", TABLET),
    ):
        cdm.drug(1, drug, start, end)
    assert doses(etl, cdm, strengths(), "{units_a_day: 1}").query(DOSES) == [
        (1, ASPIRIN, 100.0, MG, "2020-01-01", "2020-02-20"),
        (1, ASPIRIN, 100.0, MG, "2020-03-22", "2020-03-23"),
        (1, ASPIRIN, 100.0, MG, "2020-03-30", "2020-04-02"),
        (1, ASPIRIN, 200.0, MG, "2020-03-23", "2020-03-30"),
    ]


def test_a_dose_that_is_not_constant_has_no_era(etl: Etl) -> None:
    """Two doses that overlap are left out, and part the eras before and after; two equal ones are one dose."""
    cdm = Cdm().person(1).drug(1, TABLET, "2020-01-01", "2020-01-10").drug(1, TABLET, "2020-01-05", "2020-01-12")
    cdm.drug(1, TABLET, "2020-01-14", "2020-01-20").drug(1, 11, "2020-01-18", "2020-01-19")
    cdm.drug(1, TABLET, "2020-01-22", "2020-01-25").drug(2, TABLET, "2020-01-01", "2020-01-01")
    cdm.drug(2, 11, "2020-01-01", "2020-01-01")
    found = doses(etl, cdm, strengths(), "{units_a_day: 1}")
    assert found.query(DOSES) == [
        (1, ASPIRIN, 100.0, MG, "2020-01-01", "2020-01-12"),
        (1, ASPIRIN, 100.0, MG, "2020-01-22", "2020-01-25"),
    ]
    assert found.ledger("dose_era")["excluded", "several daily doses at once"] == 4


def test_doses_that_differ_by_the_arithmetic_alone_are_one(etl: Etl) -> None:
    """0.3 a day is 0.1 three times a day, whatever binary fractions make of it; 0.3000001 is not."""
    known = (
        drugs()
        .strength(TABLET, ASPIRIN, (0.1, MG))
        .strength(11, ASPIRIN, (0.3, MG))
        .strength(13, ASPIRIN, (0.3000001, MG))
    )
    cdm = Cdm().person(1).drug(1, TABLET, "2020-01-01", "2020-01-10", quantity=30, days_supply=10)
    cdm.drug(1, 11, "2020-01-05", "2020-01-20", quantity=16, days_supply=16)
    cdm.drug(1, 13, "2020-01-22", "2020-01-23", quantity=2, days_supply=2)
    assert [(str(start), str(end)) for *_, start, end in doses(etl, cdm, known).query(DOSES)] == [
        ("2020-01-01", "2020-01-20"),
        ("2020-01-22", "2020-01-23"),
    ]


# -- versions of the CDM


@pytest.mark.parametrize("version", ["5.3", "5.5"])
@pytest.mark.parametrize("builder", ["observation_period", "condition_era", "drug_era", "dose_era"])
def test_every_builder_fills_the_tables_of_other_versions(etl: Etl, version: str, builder: str) -> None:
    """CDM 5.3 and 5.5 have the same fields."""
    cdm = Cdm().person(1).condition(1, 5, "2020-01-01").drug(1, TABLET, "2020-01-01", "2020-01-30")
    policy = "{units_a_day: 1}" if builder == "dose_era" else "{}"
    project = f'{PROJECT}cdm_version: "{version}"\n'
    found = derive(etl, cdm, builder, policy, strengths(), project).run()
    assert found.query(f"SELECT COUNT(*) FROM cdm.{builder}") == [(1,)]
