"""Observation periods: what makes them, what bounds them, and what the ledger says of it."""

import pytest
from derived_project import Cdm, derive
from small_project import Etl, Ran

PERIODS = """
SELECT person_id, CAST(observation_period_start_date AS TEXT), CAST(observation_period_end_date AS TEXT)
FROM cdm.observation_period ORDER BY ALL
"""


def periods(etl: Etl, cdm: Cdm, policy: str = "{}") -> list[tuple[object, ...]]:
    """The periods of the persons, as texts."""
    return ran(etl, cdm, policy).query(PERIODS)


def ran(etl: Etl, cdm: Cdm, policy: str = "{}") -> Ran:
    """Derive the periods."""
    return derive(etl, cdm, "observation_period", policy).run()


def test_a_period_reaches_from_the_first_to_the_last_record_of_any_table(etl: Etl) -> None:
    """Visits, conditions, drugs and measurements count, with their ends; one person has one period."""
    cdm = Cdm().person(1).person(2)
    cdm.visit(1, "2000-05-01", "2000-05-03").condition(1, 5, "2000-04-01", "2000-04-02")
    cdm.drug(1, 7, "2001-01-01", "2001-02-01").visit(2, "2010-01-01")
    cdm.add("measurement", person_id=1, measurement_date="2001-01-15")
    assert periods(etl, cdm) == [(1, "2000-04-01", "2001-02-01"), (2, "2010-01-01", "2010-01-01")]
    assert ran(etl, cdm).query("SELECT DISTINCT period_type_concept_id FROM cdm.observation_period") == [(32882,)]


def test_what_is_outside_birth_and_death_does_not_count(etl: Etl) -> None:
    """A period is cut at birth and 60 days after death; records wholly outside are counted with their reason."""
    cdm = Cdm().person(1, "1980-02-03", died="2000-01-01").person(2, "1980-02-03", died="2000-01-01").person(3)
    cdm.visit(1, "1980-02-01", "1980-02-05").visit(1, "2000-02-20", "2000-04-01")
    cdm.visit(2, "1979-01-01").visit(2, "2000-03-02").visit(2, "1999-01-01").visit(8, "1999-01-01")
    found = ran(etl, cdm)
    assert found.query(PERIODS) == [(1, "1980-02-03", "2000-03-01"), (2, "1999-01-01", "1999-01-01")]
    assert found.ledger("observation_period") == {
        ("source", None): 7,
        ("excluded", "before the first day"): 1,
        ("excluded", "after the last day"): 1,
        ("excluded", "unknown person"): 1,
        ("excluded", "person without a record that counts"): 1,
        ("merged", "part of a period"): 1,
        ("written", "observation_period"): 2,
    }


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("{days_after_death: 0}", ("1980-02-03", "2000-01-01")),
        ("{days_after_death: null}", ("1980-02-03", "2001-01-01")),
        ("{days_before_birth: 30, days_after_death: 0}", ("1980-01-04", "2000-01-01")),
        ("{days_before_birth: null}", ("1979-01-01", "2000-03-01")),
        ("{not_before: 1999-01-01, not_after: 1999-12-31}", ("1999-03-01", "1999-12-31")),
        ("{not_before: 1970-01-01, not_after: 2020-12-31}", ("1980-02-03", "2000-03-01")),
        ("{sources: visit_occurrence, days_after_last: 10}", ("1999-03-01", "2000-02-11")),
        ("{sources: [visits, death], days_after_last: 90}", ("1999-03-01", "2000-03-01")),
        ("{sources: enrollment}", ("1980-02-03", "2000-03-01")),
        ("{sources: death}", ("2000-01-01", "2000-01-01")),
    ],
)
def test_the_policy_says_which_records_count_and_what_bounds_them(
    etl: Etl, policy: str, expected: tuple[str, str]
) -> None:
    """Each key of the policy, on one person's records."""
    cdm = Cdm().person(1, "1980-02-03", died="2000-01-01").visit(1, "1999-03-01").visit(1, "2000-02-01")
    cdm.condition(1, 5, "1979-01-01", "1980-03-01").condition(1, 5, "1980-01-10").condition(1, 5, "2001-01-01")
    cdm.add(
        "payer_plan_period",
        person_id=1,
        payer_plan_period_start_date="1970-01-01",
        payer_plan_period_end_date="2005-01-01",
    )
    if "visit" not in policy:
        cdm.condition(1, 5, "1999-12-15", "2000-05-01")
    assert periods(etl, cdm, policy) == [(1, *expected)]


def test_a_gap_that_is_too_long_begins_another_period(etl: Etl) -> None:
    """A gap of 30 days is within a period and one of 31 is not; also after a record that encloses others."""
    cdm = Cdm().person(1).person(2)
    cdm.visit(1, "2020-01-01").visit(1, "2020-01-31").visit(1, "2020-03-02")
    cdm.visit(2, "2020-01-01", "2020-03-01").visit(2, "2020-01-05").visit(2, "2020-03-31")
    assert periods(etl, cdm, "{gap_days: 30}") == [
        (1, "2020-01-01", "2020-01-31"),
        (1, "2020-03-02", "2020-03-02"),
        (2, "2020-01-01", "2020-03-31"),
    ]


def test_periods_never_touch(etl: Etl) -> None:
    """With the smallest gap, records of consecutive days are one period, and the days after the last do not fill it."""
    cdm = Cdm().person(1).visit(1, "2020-01-01").visit(1, "2020-01-02").visit(1, "2020-01-04").visit(1, "2020-01-20")
    assert periods(etl, cdm, "{gap_days: 1}") == [
        (1, "2020-01-01", "2020-01-02"),
        (1, "2020-01-04", "2020-01-04"),
        (1, "2020-01-20", "2020-01-20"),
    ]
    assert periods(etl, cdm, "{gap_days: 10, days_after_last: 9}") == [
        (1, "2020-01-01", "2020-01-13"),
        (1, "2020-01-20", "2020-01-29"),
    ]


def test_a_birth_that_is_known_in_part_bounds_too(etl: Etl) -> None:
    """The year alone is its first day; the time of birth wins; a day that no month has is no error."""
    cdm = Cdm()
    for person, values in enumerate(
        [
            {"year_of_birth": 1980},
            {"year_of_birth": 1980, "month_of_birth": 3},
            {"year_of_birth": 1980, "birth_datetime": "1980-05-06T07:08:09"},
            {"year_of_birth": 1981, "month_of_birth": 2, "day_of_birth": 31},
            {"year_of_birth": 100000, "month_of_birth": 13},
        ],
        start=1,
    ):
        cdm.add("person", person_id=person, **values).visit(person, "1979-12-01", "1990-01-01")
    first_days = ["1980-01-01", "1980-03-01", "1980-05-06", "1981-03-03", "1979-12-01"]
    assert periods(etl, cdm) == [(number, day, "1990-01-01") for number, day in enumerate(first_days, start=1)]
