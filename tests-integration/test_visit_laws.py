"""Laws of the builder `visits`: random encounters on DuckDB, compared with a slow model in plain Python."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from small_project import PERSON, PROJECT, Etl, Ran, patients
from test_laws import DEFAULT_EXAMPLES, EXAMPLES, balance, empty, law
from visits_model import CLASSES, KNOWN_PERSONS, Encounter, Policy, Row, Visit, encounter, is_stay, visits_of

# An example is many cases, as the persons have nothing to do with each other; so few runs do. A failing one is made
# smaller only where many are tried.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if EXAMPLES > DEFAULT_EXAMPLES else []))
run_law = settings(law, max_examples=max(2, EXAMPLES // 4), phases=PHASES)
POLICY = Policy()
FIRST_DAY = date(2020, 1, 1)
TIMES = ("", "T00:00:00Z", "T08:30:00Z", "T08:30:00Z", "T23:59:59Z")


def an_encounter(number: int, random: Random) -> Row:
    """A row of the source: mostly of one day, sometimes of several, and now and then without what it needs."""
    day = FIRST_DAY + timedelta(days=random.randint(0, 50))
    last = day + timedelta(days=random.choice([0, 0, 0, 0, 0, 0, 1, 1, 2, 5]))
    stop = f"{last}{random.choice(TIMES)}"
    return {
        "id": f"e{number}",
        "patient": random.choice([*KNOWN_PERSONS, "ghost"]),
        "class": random.choice([*CLASSES, "ip", "er", "er", "op", "spa", ""]),
        "start": f"{day}{random.choice(TIMES)}" if random.random() < 0.97 else random.choice(["", "soon"]),
        "stop": stop if random.random() < 0.9 else random.choice(["", "soon", f"{FIRST_DAY}"]),
        "note": random.choice(["a", "b", "c", "", "out"]),
    }


@st.composite
def some_encounters(draw: st.DrawFn) -> list[Row]:
    """Rows of the source: many persons with some encounters each, so that one run tries many cases."""
    random = draw(st.integers(0, 2**32).map(Random))
    return [an_encounter(number, random) for number in range(draw(st.integers(60, 250)))]


policies = st.builds(
    Policy,
    stays=st.sampled_from([("ip",), ("ip", "snf"), ("snf", "ip"), ()]),
    emergency=st.sampled_from([("er", "urgent"), ("er",), ()]),
    by_day=st.sampled_from([("er", "urgent", "op", "well"), ("op",), ()]),
    multi_day_stays=st.booleans(),
    gap_days=st.sampled_from([0, 1, 2, 7]),
)


def run(etl: Etl, rows: Sequence[Row], policy: Policy = POLICY, write: str = "write: full") -> Ran:
    """Run the project on these encounters."""
    source = {"patients": patients(*KNOWN_PERSONS), "encounters": rows}
    return etl.write([PERSON, policy.mapping()], source, write=write, project=PROJECT).run()


def found_visits(ran: Ran) -> dict[int, Visit]:
    """Id → visit, in the order of persons and of `preceding_visit_occurrence_id`."""
    rows = ran.query("""
        SELECT v.visit_occurrence_id, p.person_source_value,
          (SELECT LIST(k.key_1 ORDER BY d.visit_detail_start_datetime, d.visit_detail_end_datetime, k.key_1)
           FROM cdm.visit_detail AS d JOIN work.key_visit_detail AS k USING (visit_detail_id)
           WHERE d.visit_occurrence_id = v.visit_occurrence_id),
          v.visit_concept_id, v.visit_source_value, v.visit_start_datetime, v.visit_end_datetime,
          v.discharged_to_source_value, v.preceding_visit_occurrence_id,
          v.visit_start_date = CAST(v.visit_start_datetime AS DATE)
            AND v.visit_end_date = CAST(v.visit_end_datetime AS DATE)
        FROM cdm.visit_occurrence AS v JOIN cdm.person AS p USING (person_id)""")
    assert all(row[-1] for row in rows)
    after = {(row[1], row[-2]): row for row in rows}
    assert len(after) == len(rows), "two visits precede one"
    ordered: dict[int, Visit] = {}
    for person in sorted({str(row[1]) for row in rows}):
        row = after.get((person, None))
        while row is not None:
            id_, _, keys, concept, value, start, end, note, *_ = row
            assert isinstance(keys, list)
            assert isinstance(start, datetime)
            assert isinstance(end, datetime)
            text, last = (None if each is None else str(each) for each in (value, note))
            ordered[int(str(id_))] = Visit(person, tuple(keys), int(str(concept)), text, start, end, last)
            row = after.get((person, id_))
    assert len(ordered) == len(rows), "a visit is not in the chain"
    return ordered


def valid(rows: Iterable[Row]) -> list[Encounter]:
    """The encounters that become visits."""
    return [each for each in map(encounter, rows) if each is not None]


def tables(ran: Ran) -> list[list[tuple[object, ...]]]:
    """Both tables, ids included."""
    return [ran.query(f"FROM cdm.{name} ORDER BY ALL") for name in ("visit_occurrence", "visit_detail")]


@run_law
@given(rows=some_encounters(), policy=policies)
def test_visits_are_those_of_the_model(new_etl: Callable[[], Etl], rows: list[Row], policy: Policy) -> None:
    """Any encounters, any policy: the same encounters together, with the same concept, value, times and order."""
    ran = run(new_etl(), rows, policy)
    assert list(found_visits(ran).values()) == visits_of(valid(rows), policy)


@run_law
@given(rows=some_encounters(), policy=policies)
def test_every_encounter_has_one_detail_and_one_visit(
    new_etl: Callable[[], Etl], rows: list[Row], policy: Policy
) -> None:
    """Each is covered exactly once, stays of a person never share a day, and the ledger accounts for every row."""
    ran = run(new_etl(), rows, policy)
    details = ran.query("""
        SELECT k.key_1, p.person_source_value, d.visit_detail_concept_id, d.visit_detail_source_value,
          d.visit_detail_start_datetime, d.visit_detail_end_datetime, d.discharged_to_source_value
        FROM cdm.visit_detail AS d JOIN work.key_visit_detail AS k USING (visit_detail_id)
        JOIN cdm.person AS p USING (person_id)""")
    wanted = valid(rows)
    assert set(details) == {(e.key, e.person, e.concept, e.class_, e.start, e.end, e.note) for e in wanted}
    assert len(details) == len(wanted)
    references = "SELECT key_1 FROM work.key_visit_detail JOIN cdm.visit_occurrence USING (visit_occurrence_id)"
    assert sorted(ran.query(references)) == sorted((e.key,) for e in wanted)
    of_stays = {each.key for each in wanted if is_stay(each, policy)}
    stays = [visit for visit in found_visits(ran).values() if not of_stays.isdisjoint(visit.encounters)]
    for one, other in pairwise(stays):
        assert one.person != other.person or (other.start.date() - one.end.date()).days > policy.gap_days
    assert balance(ran.record) == {"person": 0, "visits": 0}
    set_aside = [row for row in rows if encounter(row) is None and row["note"] != "out"]
    assert ran.query("SELECT COUNT(*) FROM work.quarantine") == [(len(set_aside),)]


@run_law
@given(rows=some_encounters(), data=st.data())
def test_neither_order_nor_repetition_matter(new_etl: Callable[[], Etl], rows: list[Row], data: st.DataObject) -> None:
    """The same rows again, or in another order on an empty database, give the same tables; ids are dense from 1."""
    etl = new_etl()
    before = tables(run(etl, rows))
    assert tables(etl.run()) == before
    assert tables(run(empty(etl), data.draw(st.permutations(rows)))) == before
    for table in before:
        assert [row[0] for row in table] == list(range(1, len(table) + 1))


@run_law
@given(rows=some_encounters(), split=st.integers(0, 250))
def test_ids_stay_when_encounters_are_added(new_etl: Callable[[], Etl], rows: list[Row], split: int) -> None:
    """A detail keeps its id; a visit has the lowest of the ids that the visits of its encounters had."""
    etl = new_etl()
    old = found_visits(run(etl, rows[: split + 1]))
    detail_ids = "SELECT key_1, visit_detail_id FROM work.key_visit_detail"
    details = dict(Ran(etl.root, etl.run().record).query(detail_ids))
    ran = run(etl, rows)
    assert details.items() <= dict(ran.query(detail_ids)).items()
    id_of = {key: id_ for id_, visit in old.items() for key in visit.encounters}
    for id_, visit in found_visits(ran).items():
        before = [id_of[key] for key in visit.encounters if key in id_of]
        assert id_ == min(before) if before else id_ not in old


@pytest.mark.parametrize("write", ["write: merge", "write: merge, deletes: delete", "write: append_new"])
@run_law
@given(deliveries=st.lists(some_encounters(), min_size=2, max_size=3))
def test_deliveries_make_the_visits_of_all_that_is_known(
    new_etl: Callable[[], Etl], write: str, deliveries: list[list[Row]]
) -> None:
    """Visits are made of the encounters of all deliveries; the ways of writing differ in which of them are known."""
    etl, known = new_etl(), dict[str, Encounter]()
    for rows in deliveries:
        ran = run(etl, rows, write=write)
        made = {each.key: each for each in valid(rows)}
        if "delete" in write:
            known = made
        elif "append" in write:
            known = made | known
        else:
            known = {key: each for key, each in known.items() if key not in {row["id"] for row in rows}} | made
        assert list(found_visits(ran).values()) == visits_of(known.values(), POLICY)
        assert balance(ran.record)["visits"] == 0
        before = tables(ran)
        assert tables(etl.run()) == before
