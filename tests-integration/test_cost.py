"""The builder `cost`: prices of events and visits, each once."""

import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_project import EVENT, PERSON, Etl, Ran, Vocabulary, patients
from test_laws import law

COSTS = """
name: costs
kind: derived
builder: cost
from: {e: source.events}
key: [e.patient, e.code, e.start]
prices: {event: events, key: [e.patient, e.code, e.start], pair: true}
person: e.patient
date: e.start
columns: {cost_type_concept_id: 32810, total_cost: e.price}
"""
PERIODS = """
name: periods
kind: derived
builder: payer_plan_period
from: {i: source.insurance}
key: [i.patient, i.first]
person: i.patient
start: i.first
end: i.last
"""
VISITS = """
name: visits
kind: table
target: cdm.visit_occurrence
from: {e: source.events}
on_duplicate_key: merge
columns:
  visit_occurrence_id: {id: [e.patient, e.start]}
  person_id: {reference: person, key: e.patient}
  visit_concept_id: 0
  visit_start_date: e.start
  visit_end_date: e.start
  visit_type_concept_id: 32827
"""
VISIT_COSTS = """
name: visit_costs
kind: derived
builder: cost
from: {e: source.events}
key: [e.patient, e.code, e.start]
prices: {reference: visit_occurrence, key: [e.patient, e.start]}
columns: {cost_type_concept_id: 32810, total_cost: e.price}
policy: {several: POLICY}
"""
INSURANCE = [
    {"patient": "p1", "first": "2020-01-01", "last": "2020-01-31"},
    {"patient": "p1", "first": "2020-03-01", "last": "2020-03-31"},
    {"patient": "p2", "first": "2019-01-01", "last": "2029-12-31"},
]
ROWS = [
    ("p1", "two", "2020-01-01", "10.10"),
    ("p1", "two", "2020-01-01", "20.20"),
    ("p1", "one", "2020-01-31", "0.1"),
    ("p1", "one", "2020-02-01", "0.2"),
    ("p1", "none", "2020-03-31", "0.3"),
    ("p1", "one", "2020-04-01", ""),
    ("p9", "one", "2020-01-01", "7"),
]


def by_key(costing: str) -> str:
    """The same costs, which find their events by key: another alias is enough."""
    return re.sub(r"\be(?=[.:])", "x", costing)


both_ways = pytest.mark.parametrize("costing", [COSTS, by_key(COSTS)], ids=["same-rows", "by-key"])


def write(
    folder: Path, rows: list[tuple[str, str, str, str]], *more: str, write: str = "write: full", events: str = EVENT
) -> Etl:
    """A project of events with prices, and two standard concepts for one code."""
    vocabulary = Vocabulary().concept(11, "a").concept(12, "b").concept(13, "one")
    vocabulary.concept(10, "two", standard=False).maps(10, 11).maps(10, 12)
    given = [dict(zip(("patient", "code", "start", "price"), row, strict=True)) for row in rows]
    source = {"patients": patients("p1", "p2"), "events": given, "insurance": INSURANCE}
    return Etl(folder).write([PERSON, events, PERIODS, *more], source, vocabulary=vocabulary, write=write)


def costs(ran: Ran) -> list[tuple[object, ...]]:
    """Domain, concept and start of what is priced, its price, and the first day of the plan."""
    return ran.query("""
        select cost_domain_id, condition_concept_id, condition_start_date::text, total_cost,
          payer_plan_period_start_date::text
        from cdm.cost left join (
          select condition_occurrence_id id, condition_concept_id, condition_start_date, 'Condition' domain_id
          from cdm.condition_occurrence union all
          select observation_id, observation_concept_id, observation_date, 'Observation' from cdm.observation
        ) on id = cost_event_id and domain_id = cost_domain_id
        left join cdm.payer_plan_period using (payer_plan_period_id) order by 3, 4""")


@both_ways
def test_an_event_is_priced_once_with_the_plan_of_its_day(tmp_path: Path, costing: str) -> None:
    """A code with two concepts has one price; a row without an event is set aside, and the first and last day count."""
    ran = write(tmp_path, ROWS, costing).run()
    assert costs(ran) == [
        ("Condition", 11, "2020-01-01", 10.1, "2020-01-01"),
        ("Condition", 11, "2020-01-01", 20.2, "2020-01-01"),
        ("Condition", 13, "2020-01-31", 0.1, "2020-01-01"),
        ("Condition", 13, "2020-02-01", 0.2, None),
        ("Observation", 0, "2020-03-31", 0.3, "2020-03-01"),
        ("Condition", 13, "2020-04-01", None, None),
    ]
    assert ran.ledger("costs") == {
        ("source", None): 7,
        ("written", "cost"): 6,
        ("quarantined", "cost_event_id: unknown events"): 1,
    }
    assert ran.query("select count(distinct (cost_domain_id, cost_event_id)), count(*) from cdm.cost") == [(6, 6)]


@pytest.mark.parametrize(("policy", "prices"), [("sum", [30.3, 0.3]), ("keep", [10.1, 20.2, 0.1, 0.2])])
def test_rows_of_one_visit_are_added_up_or_kept(tmp_path: Path, policy: str, prices: list[float]) -> None:
    """By default a visit has one price; decimals are added exactly, and nothing is lost either way."""
    rows = [
        ("p1", "x", "2020-01-01", "10.10"),
        ("p1", "y", "2020-01-01", "20.20"),
        ("p2", "x", "2020-01-02", "0.1"),
        ("p2", "y", "2020-01-02", "0.2"),
    ]
    ran = write(tmp_path, rows, VISITS, VISIT_COSTS.replace("POLICY", policy)).run()
    found = ran.query("select cost_domain_id, total_cost from cdm.cost order by cost_event_id, 2")
    assert found == [("Visit", price) for price in prices]
    merged = {("merged", "priced together with another row"): 2} if policy == "sum" else {}
    assert ran.ledger("visit_costs") == {("source", None): 4, ("written", "cost"): len(prices), **merged}


@pytest.mark.parametrize("mode", ["write: full", "write: merge", "write: append_new"])
def test_costs_are_the_same_again_and_in_any_order(tmp_path: Path, mode: str) -> None:
    """A second run over shuffled rows changes no row and no id."""
    query = "select * from cdm.cost order by all"
    first = write(tmp_path, ROWS, COSTS, write=mode).run().query(query)
    again = write(tmp_path, ROWS[::-1], COSTS, write=mode).run().query(query)
    assert len(first) == 6
    assert first == again


def test_costs_that_are_merged_stay_and_keep_their_ids(tmp_path: Path) -> None:
    """Of a delivery in two parts every price is there once, and those of the first part have their ids."""
    merge = "write: merge, deletes: keep"
    query = "select cost_id, total_cost from cdm.cost order by 1"
    first = write(tmp_path, ROWS[:3], COSTS, write=merge).run().query(query)
    both = write(tmp_path, ROWS[3:6], COSTS, write=merge).run().query(query)
    assert both[: len(first)] == first
    assert len(both) == 6


def test_costs_of_mappings_with_other_keys_are_merged_beside_each_other(tmp_path: Path) -> None:
    """Every mapping's costs keep their ids, however many parts its natural key has."""
    merge = "write: merge, deletes: delete"
    visits = VISIT_COSTS.replace("POLICY", "keep").replace("key: [e.patient, e.code, e.start]", "key: [e.start]", 1)
    query = "select cost_id, cost_domain_id, total_cost from cdm.cost order by 1"
    first = write(tmp_path, ROWS[:6], VISITS, COSTS, visits, write=merge).run().query(query)
    again = write(tmp_path, ROWS[:6][::-1], VISITS, COSTS, visits, write=merge).run().query(query)
    assert len(first) == 12
    assert first == again


PRICES = ("", "0.1", "0.2", "0.3", "10.01", "1234567.89")
DAYS = ("2020-01-31", "2020-02-01", "2020-03-01", "2020-03-31", "2020-04-01")
some_rows = st.lists(
    st.tuples(
        st.sampled_from(("p1", "p2", "p9")),
        st.sampled_from(("two", "one", "none")),
        st.sampled_from(DAYS),
        st.sampled_from(PRICES),
    ),
    min_size=1,
    max_size=30,
)


def expected_costs(rows: list[tuple[str, str, str, str]]) -> list[tuple[str, str | None, str | None]]:
    """Day, price, and the first day of the plan of every event of a known person, by a plain reading of the rule."""
    found = []
    for patient, _, day, price in rows:
        plans = [i for i in INSURANCE if i["patient"] == patient and i["first"] <= day <= i["last"]]
        if patient != "p9":
            found.append((day, price or None, plans[-1]["first"] if plans else None))
    return sorted(found, key=str)


def expected_sums(rows: list[tuple[str, str, str, str]]) -> list[float | None]:
    """What each visit cost, added up exactly; nothing where no price is known."""
    visits: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for patient, _, day, price in rows:
        if patient != "p9":
            visits[patient, day] += [Decimal(price)] if price else []
    return sorted((float(sum(prices)) if prices else None for prices in visits.values()), key=str)


@law
@given(rows=some_rows, costing=st.sampled_from((COSTS, by_key(COSTS))), shuffle=st.randoms(use_true_random=False))
def test_every_price_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, str]], costing: str, shuffle: Random
) -> None:
    """Random events have the costs of a plain model, of events and of visits, ids included in any order of the rows."""
    visits = VISIT_COSTS.replace("POLICY", "sum")
    everything = "select * from cdm.cost order by all"
    ran = write(tmp_path_factory.mktemp("costs"), rows, VISITS, costing, visits).run()
    events = [(str(day), price, plan) for _, _, day, price, plan in costs(ran) if day is not None]
    wanted = [(day, None if price is None else float(price), plan) for day, price, plan in expected_costs(rows)]
    assert sorted(events, key=str) == sorted(wanted, key=str)
    sums = ran.query("select total_cost from cdm.cost where cost_domain_id = 'Visit'")
    assert sorted((price for (price,) in sums), key=str) == expected_sums(rows)
    shuffled = list(rows)
    shuffle.shuffle(shuffled)
    again = write(tmp_path_factory.mktemp("costs"), shuffled, VISITS, costing, visits).run()
    assert again.query(everything) == ran.query(everything)
