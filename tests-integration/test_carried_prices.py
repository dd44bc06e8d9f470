"""Costs of the very rows that make the events they price: made from the stage of those events, or by key."""

from pathlib import Path

import pytest
from small_project import EVENT, Etl, Ran
from test_cost import COSTS, ROWS, both_ways, by_key, costs, write

from omopcloudetl.core.session import Session

KEY = "key: [e.patient, e.code, e.start]"
CODE = "e.price, revenue_code_concept_id: {concept: e.code, vocabulary: SNOMED}}"
JOIN = "joins:\n  i: {table: source.insurance, on: i.patient = e.patient, cardinality: many}\nkey:"
QUERY = "(select max(p.id) from source.patients p)"
WHERE = "where: e.price <> '0.1'\nkey:"
ONE = "joins:\n  p: {table: source.patients, on: p.id = e.patient, cardinality: one}\nkey:"
USED = EVENT.replace("key:", ONE, 1) + "columns: {observation: {value_as_string: p.id}}\n"


def steps(etl: Etl) -> set[str]:
    """The steps of the project's plan."""
    return {step.name for step in Session.open(etl.root).compile().steps}


def set_aside(ran: Ran) -> list[tuple[object, ...]]:
    """Key and reason of the prices that are set aside."""
    return ran.query("select source_key, reason from work.quarantine where mapping = 'costs' order by all")


def test_costs_of_the_same_rows_need_no_keys(tmp_path: Path) -> None:
    """The stage of their events has the prices, and of its keys those that are set aside; no event is found by key."""
    etl = write(tmp_path, ROWS, COSTS)
    assert "events_events" not in steps(etl)
    ran = etl.run()
    stage = "select row_fate, count(source_key), count(costs__total_cost) from work.stage_events group by 1 order by 1"
    assert ran.query(stage) == [("quarantined", 1, 1), ("written", 0, 7)]
    assert set_aside(ran) == [("p9 | one | 2020-01-01", "cost_event_id: unknown events")]


@pytest.mark.parametrize(
    ("events", "costing"),
    [
        pytest.param(EVENT, COSTS, id="plain"),
        pytest.param(USED, COSTS, id="further-join"),
        pytest.param(EVENT.replace("key:", WHERE, 1), COSTS.replace("key:", WHERE, 1), id="where"),
        pytest.param(EVENT, COSTS.replace("person: e.patient\ndate: e.start\n", ""), id="no-plan"),
    ],
)
def test_costs_are_those_that_keys_find(tmp_path: Path, events: str, costing: str) -> None:
    """Rows, ids, ledger and quarantine are the same as those of costs that find their events by key."""
    carried = write(tmp_path / "carried", ROWS, costing, events=events)
    keyed = write(tmp_path / "keyed", ROWS, by_key(costing), events=events)
    assert {"events_events"} == steps(keyed) - steps(carried)
    ran, again = carried.run(), keyed.run()
    everything = "select * from cdm.cost order by all"
    assert ran.query(everything) == again.query(everything)
    assert (ran.ledger("costs"), set_aside(ran)) == (again.ledger("costs"), set_aside(again))


@both_ways
def test_a_price_is_set_aside_for_what_it_lacks_itself(tmp_path: Path, costing: str) -> None:
    """Its event is written all the same, the quarantine has its key, and the next price is its own event's."""
    price = "e.price" if "e.price" in costing else "x.price"
    costing = costing.replace("cost_type_concept_id: 32810", f"cost_type_concept_id: {price}")
    rows = [("p1", "two", "2020-01-01", ""), ("p1", "one", "2020-01-01", "7"), ("p9", "one", "2020-01-02", "8")]
    ran = write(tmp_path, rows, costing).run()
    assert [row[1:4] for row in costs(ran)] == [(13, "2020-01-01", 7.0)]
    assert set_aside(ran) == [
        ("p1 | two | 2020-01-01", "cost_type_concept_id: missing"),
        ("p9 | one | 2020-01-02", "cost_event_id: unknown events"),
    ]


@pytest.mark.parametrize(
    ("events", "costing", "written"),
    [
        pytest.param(EVENT, by_key(COSTS), "write: full", id="another-alias"),
        pytest.param(EVENT, COSTS.replace(", pair: true", ""), "write: full", id="no-pair"),
        pytest.param(EVENT, COSTS.replace("key:", WHERE, 1), "write: full", id="where"),
        pytest.param(EVENT, COSTS.replace(KEY, "key: [e.patient, e.start]", 1), "write: full", id="key"),
        pytest.param(EVENT, COSTS.replace("e.price", "sum(e.price) over ()"), "write: full", id="window"),
        pytest.param(EVENT, COSTS.replace("e.price", QUERY), "write: full", id="query"),
        pytest.param(EVENT, COSTS.replace("e.price}", CODE), "write: full", id="concept"),
        pytest.param(EVENT.replace("key:", JOIN, 1), COSTS, "write: full", id="many-rows"),
        pytest.param(EVENT + "too_long: quarantine\n", COSTS, "write: full", id="too-long"),
        pytest.param(EVENT, COSTS, "write: full, keep_quarantined_rows: true", id="kept-rows"),
        pytest.param(EVENT, COSTS, "write: merge", id="merge"),
    ],
)
def test_other_costs_find_their_events_by_key(tmp_path: Path, events: str, costing: str, written: str) -> None:
    """Where there may be more rows, fewer or others, or other ids, the table of events is asked as ever."""
    assert "events_events" in steps(write(tmp_path, ROWS, costing, write=written, events=events))
