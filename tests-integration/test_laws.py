"""Laws that hold for any data, tried on random ones against DuckDB."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_project import EVENT, PERSON, Etl, Ran, Vocabulary

from omopcloudetl.core.runs import RunRecord

# The default keeps the suite short; LAW_EXAMPLES=500 looks longer.
DEFAULT_EXAMPLES = 3
EXAMPLES = int(os.environ.get("LAW_EXAMPLES", DEFAULT_EXAMPLES))
law = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
VOCABULARY = (
    Vocabulary()
    .concept(1, "A")
    .concept(2, "B", "Measurement")
    .concept(3, "C", standard=False)
    .maps(3, 1)
    .maps(3, 2)
    .concept(4, "D", "Drug", standard=False)
)
OTHER = EVENT.replace("name: events", "name: others").replace("source.events", "source.others")
TABLES = ("person", "condition_occurrence", "drug_exposure", "measurement", "observation", "procedure_occurrence")

a_patient = st.sampled_from(["p1", "p2", "p3", "ghost", ""])
an_event = st.fixed_dictionaries(
    {
        "patient": a_patient,
        "code": st.sampled_from(["A", "B", "C", "D", "E", "a", ""]),
        "start": st.sampled_from(["2020-01-02", "2020-01-03T04:05:06Z", "2020-02-30", "soon", ""]),
    }
)
some_events = st.lists(an_event, min_size=1, max_size=25)
some_patients = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from(["p1", "p2", "p3", ""]), "note": st.sampled_from(["x", "y"])}),
    min_size=1,
    max_size=6,
)


def run(etl: Etl, people: list[dict[str, str]], *groups: list[dict[str, str]]) -> Ran:
    """Run the project with these rows."""
    source = {"patients": people, "events": groups[0], "others": groups[1]}
    return etl.write([PERSON, EVENT, OTHER], source, vocabulary=VOCABULARY).run()


def content(ran: Ran) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the CDM tables that this project can fill."""
    return {table: ran.query(f"FROM cdm.{table} ORDER BY ALL") for table in TABLES}


def empty(etl: Etl) -> Etl:
    """The same project on an empty database."""
    for file in etl.root.glob("omop.duckdb*"):
        file.unlink()
    return etl


@law
@given(people=some_patients, first=some_events, second=some_events)
def test_rows_are_conserved(
    new_etl: Callable[[], Etl],
    people: list[dict[str, str]],
    first: list[dict[str, str]],
    second: list[dict[str, str]],
) -> None:
    """For every mapping: source + fan-out = written + merged + quarantined, and the CDM holds what is written."""
    ran = run(new_etl(), people, first, second)
    assert balance(ran.record) == {"person": 0, "events": 0, "others": 0}
    written: Counter[str] = Counter()
    for entry in ran.record.ledger:
        if entry.entry == "written":
            written[str(entry.target_table)] += entry.row_count
    held = {table: len(rows) for table, rows in content(ran).items() if rows}
    assert held == {table: rows for table, rows in written.items() if rows}
    known = {str(person["id"]) for person in people if person["id"]}
    readable = {"2020-01-02", "2020-01-03T04:05:06Z"}
    fate = [e["patient"] in known and e["start"] in readable for e in (*first, *second)]
    assert ran.query("SELECT COUNT(*) FROM work.quarantine WHERE mapping <> 'person'") == [(fate.count(False),)]


def balance(record: RunRecord) -> dict[str, int]:
    """What is missing, by mapping."""
    signs = {"source": 1, "fan_out": 1, "unmapped": 0}
    missing: Counter[str] = Counter()
    for entry in record.ledger:
        missing[entry.mapping] += signs.get(entry.entry, -1) * entry.row_count
    return dict(missing)


@law
@given(people=some_patients, events=some_events, data=st.data())
def test_the_order_of_rows_does_not_matter_and_running_twice_changes_nothing(
    new_etl: Callable[[], Etl], people: list[dict[str, str]], events: list[dict[str, str]], data: st.DataObject
) -> None:
    """Same rows, any order, again or anew: the same CDM, ids included, dense from 1."""
    etl = new_etl()
    before = content(run(etl, people, events, events[:1]))
    assert content(etl.run()) == before
    shuffled = data.draw(st.permutations(events))
    turned = data.draw(st.permutations(people))
    assert content(run(empty(etl), turned, shuffled, events[:1])) == before
    for rows in before.values():
        assert sorted(int(str(row[0])) for row in rows) == list(range(1, len(rows) + 1))


@law
@given(first=some_patients, second=some_patients)
def test_registry_ids_never_change(
    new_etl: Callable[[], Etl], first: list[dict[str, str]], second: list[dict[str, str]]
) -> None:
    """A person who is in both runs has the same id in both, and no id is given to two keys."""
    etl = new_etl()
    query = "SELECT person_source_value, person_id FROM cdm.person"
    before = dict(etl.write([PERSON], {"patients": first}).run().query(query))
    ran = etl.write([PERSON], {"patients": second}).run()
    after = dict(ran.query(query))
    assert all(before[key] == after[key] for key in before.keys() & after.keys())
    everyone = ran.query("SELECT person_id, key_1 FROM work.registry_person")
    assert len({id_ for id_, _ in everyone}) == len({key for _, key in everyone}) == len(everyone)


def test_the_database_file_is_readable_by_another_program(etl: Etl) -> None:
    """What a run leaves is an ordinary DuckDB file, complete without its write-ahead log."""
    etl.write([PERSON], {"patients": [{"id": "p1", "note": "x"}]}).run()
    copy = Path(etl.root / "copy.duckdb")
    copy.write_bytes((etl.root / "omop.duckdb").read_bytes())
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert connection.execute("SELECT COUNT(*) FROM cdm.person").fetchall() == [(1,)]
