"""Laws of eras and observation periods: random records on DuckDB, compared with a slow reference in plain Python."""

import datetime as dt
from itertools import pairwise
from random import Random
from typing import NamedTuple

import pytest
from derived_project import Cdm, Drugs, InMemory, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from span_model import Bounds, Dose, Record, condition_eras, dose_eras, drug_eras, observation_periods
from test_laws import EXAMPLES
from test_laws import law as of_runs

law = settings(of_runs, max_examples=4 * EXAMPLES)  # these examples are much shorter than runs
BEGIN = dt.date(2020, 1, 1)
MG, MCG = 8576, 9655
INGREDIENTS = {1: (1,), 2: (2,), 10: (1,), 11: (1, 2), 12: (2,), 99: ()}
STRENGTHS = {10: {1: (0.1, MG)}, 11: {1: (0.1, MG), 2: (5.0, MG)}, 12: {2: (5.0, MCG)}, 13: {1: (0.3, MG)}}

# Days that are often 30 or 31 apart, often equal, and ends that are missing or before their start.
a_day = st.one_of(st.integers(0, 8), st.sampled_from([0, 30, 31, 60, 61, 62, 91, 92]), st.integers(0, 400))
a_length = st.one_of(st.none(), st.sampled_from([-5, 0, 1, 29, 30, 31]), st.integers(-3, 60))
a_span = st.tuples(st.integers(1, 3), a_day, a_length)
some_gap = st.sampled_from([0, 1, 29, 30, 31, 45])


def day(number: int) -> dt.date:
    """A day of the records."""
    return BEGIN + dt.timedelta(days=number)


def ends(start: int, length: int | None) -> str | None:
    """The end of a record as it is given."""
    return None if length is None else str(day(start + length))


def record(person: int, concept: int, start: int, length: int | None) -> Record:
    """A record as it counts: without an end, or with one before its start, it is of one day."""
    return Record(person, concept, day(start), day(start + max(0, length or 0)))


class Derived(NamedTuple):
    """What a builder made."""

    rows: list[tuple[object, ...]]
    counts: dict[str, int]
    """Reason, or entry of the ledger → rows."""


class Laws:
    """Builders in memory, one for each policy."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._builders: dict[tuple[str, str], InMemory] = {}

    def derive(self, builder: str, policy: str, cdm: Cdm, drugs: Drugs | None = None) -> Derived:
        """The rows without their ids, and the ledger.

        The ledger must balance, the ids be dense, and another order of all rows change nothing, ids included.
        """
        key = (builder, policy)
        if key not in self._builders:
            self._builders[key] = InMemory(self._folders.mktemp(builder), builder, policy)
        rows, entries = self._builders[key].derive(cdm, drugs)
        signs = {"source": 1, "fan_out": 1}
        assert sum(signs.get(entry.entry, -1) * entry.row_count for entry in entries) == 0
        assert sum(entry.row_count for entry in entries if entry.entry == "written") == len(rows)
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
        assert self._builders[key].derive(shuffled(cdm, Random(len(rows))), drugs) == (rows, entries)
        counts: dict[str, int] = {}
        for entry in entries:
            counts[entry.reason or entry.entry] = counts.get(entry.reason or entry.entry, 0) + entry.row_count
        return Derived([row[1:] for row in rows], counts)


@pytest.fixture(scope="module")
def laws(tmp_path_factory: pytest.TempPathFactory) -> Laws:
    """The builders."""
    return Laws(tmp_path_factory)


@law
@given(spans=st.lists(st.tuples(a_span, st.integers(0, 2)), min_size=1, max_size=25), gap=some_gap)
def test_condition_eras_are_those_of_the_reference(
    laws: Laws, spans: list[tuple[tuple[int, int, int | None], int]], gap: int
) -> None:
    """Each record of a standard concept is in exactly one era, and eras are further apart than the gap."""
    cdm = Cdm().person(1)
    for (person, start, length), concept in spans:
        cdm.condition(person, concept, str(day(start)), ends(start, length))
    found = laws.derive("condition_era", f"{{gap_days: {gap}}}", cdm)
    assert found.rows == condition_eras((record(p, concept, s, n) for (p, s, n), concept in spans), gap)
    assert found.counts["source"] == len(spans)
    assert found.counts.get("no standard concept", 0) == sum(concept == 0 for _, concept in spans)


@law
@given(
    spans=st.lists(st.tuples(a_span, st.sampled_from([0, 1, 10, 11, 12, 99])), min_size=1, max_size=25), gap=some_gap
)
def test_drug_eras_are_those_of_the_reference(
    laws: Laws, spans: list[tuple[tuple[int, int, int | None], int]], gap: int
) -> None:
    """Each exposure is in one era of each of its ingredients; the days of gaps are those that no exposure covers."""
    drugs = Drugs().ingredient(1).ingredient(2).contains(10, 1).contains(11, 1, 2).contains(12, 2)
    cdm = Cdm().person(1)
    for (person, start, length), drug in spans:  # an end date is required: one that is missing is days of supply
        end = str(day(start - 1)) if length is None else str(day(start + length))
        cdm.drug(person, drug, str(day(start)), end, days_supply=20 if length is None else "")
    found = laws.derive("drug_era", f"{{gap_days: {gap}}}", cdm, drugs)
    records = [record(p, drug, s, 20 if n is None else n) for (p, s, n), drug in spans]
    assert found.rows == drug_eras(records, INGREDIENTS, gap)
    assert sum(int(str(row[4])) for row in found.rows) == sum(len(INGREDIENTS.get(drug, ())) for _, drug in spans)


@law
@given(
    spans=st.lists(
        st.tuples(a_span, st.sampled_from([0, 10, 11, 12, 13, 99]), st.sampled_from([None, 10, 30])),
        min_size=1,
        max_size=25,
    ),
    gap=some_gap,
)
def test_dose_eras_are_those_of_the_reference(
    laws: Laws, spans: list[tuple[tuple[int, int, int | None], int, int | None]], gap: int
) -> None:
    """An era has one daily dose; exposures of doses that differ at a time, or cannot be told, are left out."""
    drugs = Drugs()
    for drug, ingredients in STRENGTHS.items():
        for ingredient, amount in ingredients.items():
            drugs.strength(drug, ingredient, amount)
    cdm, doses = Cdm().person(1), list[Dose]()
    for (person, start, length), drug, quantity in spans:
        end = str(day(start + (length or 0)))
        cdm.drug(person, drug, str(day(start)), end, quantity=quantity, days_supply=10)
        for ingredient, (amount, unit) in STRENGTHS.get(drug, {}).items() if quantity else ():
            _, _, first, last = record(person, drug, start, length)
            doses.append(Dose(person, ingredient, first, last, round(amount * (quantity or 0) / 10, 9), unit))
    found = laws.derive("dose_era", f"{{gap_days: {gap}, end: end_date}}", cdm, drugs)
    expected, left_out = dose_eras(doses, gap)
    rounded = [(*row[:3], round(float(str(row[3])), 9), *row[4:]) for row in found.rows]
    assert sorted(rounded) == expected
    assert found.counts.get("several daily doses at once", 0) == left_out
    assert found.counts["source"] == len(spans)


@law
@given(
    visits=st.lists(a_span, min_size=1, max_size=15),
    conditions=st.lists(a_span, min_size=1, max_size=15),
    people=st.lists(st.tuples(st.one_of(st.just(-10_000), a_day), st.one_of(st.none(), a_day)), min_size=1, max_size=3),
    gap=st.one_of(st.none(), st.sampled_from([1, 2, 30, 31])),
    after=st.sampled_from([0, 1, 29]),
)
def test_observation_periods_are_those_of_the_reference(
    laws: Laws,
    visits: list[tuple[int, int, int | None]],
    conditions: list[tuple[int, int, int | None]],
    people: list[tuple[int, int | None]],
    gap: int | None,
    after: int,
) -> None:
    """Periods are within birth and death + 20 days, and at least one free day lies between two of a person."""
    after = min(after, gap - 1) if gap is not None else after
    cdm, bounds = Cdm(), dict[int, Bounds]()
    for person, (born, died) in enumerate(people, start=1):
        cdm.person(person, str(day(born)), None if died is None else str(day(died)))
        bounds[person] = Bounds(day(born), None if died is None else day(died + 20))
    for person, start, length in visits:
        cdm.visit(person, str(day(start)), ends(start, 0 if length is None else length))
    for person, start, length in conditions:
        cdm.condition(person, 5, str(day(start)), ends(start, length))
    gap_days = "null" if gap is None else gap
    policy = f"{{gap_days: {gap_days}, days_after_death: 20, days_after_last: {after}}}"
    found = laws.derive("observation_period", policy, cdm)
    records = [record(p, 5, s, n) for p, s, n in (*visits, *conditions)]
    periods = [(person, start, end) for person, start, end, _ in found.rows]
    assert periods == observation_periods(records, bounds, gap, after)
    for (person, _, end), (next_person, start, _) in pairwise(periods):
        assert person != next_person or (start - end).days >= 2  # type: ignore[operator]
    without = len(bounds) - len({person for person, *_ in periods})
    assert found.counts["source"] == len(records) + without
    assert found.counts.get("unknown person", 0) == sum(r.person not in bounds for r in records)
