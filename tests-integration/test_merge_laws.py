"""Laws of `merge` and `append_new`: random histories of a source on DuckDB, compared with the model in plain Python."""

from collections import Counter
from collections.abc import Callable
from random import Random

import duckdb
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from merge_model import EVENT_TABLES, MAPPINGS, NOW, THEN, Event, Model, Version, Write, vocabulary
from small_project import Etl, Ran
from test_laws import DEFAULT_EXAMPLES, EXAMPLES, empty, law

from omopcloudetl.core.capabilities import Capability, Support
from omopcloudetl.provider_duckdb.dialect import DuckDBGenerator

# Each example is several runs: the default has no random ones, and a failing one is not made smaller.
PHASES = (Phase.explicit, Phase.reuse, *([Phase.generate] if EXAMPLES > DEFAULT_EXAMPLES else []))
history_law = settings(law, max_examples=max(1, EXAMPLES // 5), phases=PHASES)
MODES: list[tuple[str, Write, bool]] = [
    ("write: full", "full", False),
    ("write: merge", "merge", False),
    ("write: merge, deletes: delete", "merge", True),
    ("write: append_new", "append_new", False),
]
FOREIGN = 1_000_000


class NoMerge(DuckDBGenerator):
    """DuckDB as if it had no MERGE."""

    capabilities = DuckDBGenerator.capabilities | {Capability.MERGE: Support("never", "to try the other way")}


some_codes = st.fixed_dictionaries(
    {code: st.lists(st.sampled_from([1, 2, 3, 4]), max_size=2, unique=True) for code in ("A", "B")}
)
a_note = st.sampled_from(["x", "y", "", "out", "late"])
a_site = st.fixed_dictionaries(
    {"city": st.sampled_from(["a", "a|b", ""]), "name": st.sampled_from(["b", ""]), "note": a_note}
)
some_sites = st.lists(a_site, min_size=1, max_size=4)
some_events = st.lists(
    st.fixed_dictionaries(
        {
            "patient": st.sampled_from(["p1", "p2", "p3"]),
            "code": st.sampled_from(["A", "B", "E", ""]),
            "start": st.sampled_from(["2020-01-02", "2020-01-03", "soon"]),
            "note": a_note,
        }
    ),
    min_size=1,
    max_size=12,
)
versions = st.builds(
    Version,
    patients=st.lists(
        st.fixed_dictionaries({"id": st.sampled_from(["p1", "p2", "p3", ""]), "note": a_note}), min_size=1, max_size=4
    ),
    sites=some_sites,
    clinics=some_sites,
    events=some_events,
    others=some_events,
    codes=some_codes,
)


def run(etl: Etl, version: Version, write: str) -> Ran:
    """Run the project on a version of its source."""
    made = vocabulary(version.codes)
    return etl.write(MAPPINGS, version.source(), vocabulary=made, write=write).run()


def everything(ran: Ran) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the CDM's tables, ids included."""
    return {name: ran.query(f"FROM cdm.{name} ORDER BY ALL") for name in ("person", "care_site", *EVENT_TABLES)}


def events_of(ran: Ran, table: str) -> dict[int, Event]:
    """The rows of an event table by id, in the model's words."""
    stem = table.removesuffix("_occurrence")
    note = {"observation": "t.value_as_string", "measurement": "t.value_source_value"}.get(table, "NULL")
    rows = ran.query(
        f"SELECT t.{table}_id, k.row_mapping, k.row_key, p.person_source_value, t.{stem}_concept_id,"
        f" CAST(t.{stem}{'_start' if stem == 'condition' else ''}_date AS VARCHAR), {note} FROM cdm.{table} AS t"
        f" JOIN work.key_{table} AS k USING ({table}_id) LEFT JOIN cdm.person AS p USING (person_id)"
    )
    return {int(str(row[0])): tuple(row[1:]) for row in rows}  # type: ignore[misc]  # the query has an Event's columns


def add_foreign_rows(etl: Etl) -> None:
    """Rows that somebody else writes."""
    with duckdb.connect(str(etl.root / "omop.duckdb")) as connection:
        connection.execute(f"INSERT INTO cdm.care_site (care_site_id, care_site_name) VALUES ({FOREIGN}, 'foreign')")
        connection.execute(
            "INSERT INTO cdm.observation (observation_id, person_id, observation_concept_id, observation_date,"
            f" observation_type_concept_id) VALUES ({FOREIGN}, 1, 0, DATE '2001-01-01', 0)"
        )


def same_as(model: Model, ran: Ran) -> None:
    """The CDM's content is the model's."""
    persons = {str(name) for (name,) in ran.query("SELECT person_source_value FROM cdm.person")}
    assert persons == model.persons
    keys = "JOIN work.key_care_site USING (care_site_id)"
    sites = ran.query(f"SELECT key_1, key_2, care_site_name FROM cdm.care_site {keys}")
    assert {(key_1, key_2): note for key_1, key_2, note in sites} == model.sites
    assert len(sites) == len(model.sites)
    for table, rows in model.tables.items():
        held = Counter(events_of(ran, table).values())
        assert held == (_without_notes(rows) if table == "condition_occurrence" else rows), table


def _without_notes(rows: Counter[Event]) -> Counter[Event]:
    found: Counter[Event] = Counter()
    for row, count in rows.items():
        found[(*row[:5], None)] += count
    return found


CASES = [(*mode, None) for mode in MODES[1:]] + [(*MODES[2], NoMerge)]
Projects = Callable[[str, type[DuckDBGenerator] | None], Etl]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Projects:
    """A project with an empty database, compiled once for all examples."""
    made: dict[tuple[str, type[DuckDBGenerator] | None], Etl] = {}

    def find(write: str, generator: type[DuckDBGenerator] | None = None) -> Etl:
        key = write, generator
        if key not in made:
            made[key] = Etl(tmp_path_factory.mktemp("project"), generator)
        return empty(made[key])

    return find


@pytest.mark.parametrize(
    ("write", "mode", "deletes", "generator"), CASES, ids=["merge", "mirror", "append", "no MERGE"]
)
@history_law
@given(history=st.lists(versions, min_size=1, max_size=3))
@example(history=[THEN, NOW, THEN])
def test_a_history_of_sources_makes_what_the_model_makes(
    project: Projects,
    write: str,
    mode: Write,
    deletes: bool,
    generator: type[DuckDBGenerator] | None,
    history: list[Version],
) -> None:
    """After each version the CDM is the model's; running again changes nothing; ids and rows of others stay."""
    etl, model = project(write, generator), Model(mode, deletes)
    given_ids: dict[tuple[object, ...], set[int]] = {}
    for number, version in enumerate(history):
        model.run(version)
        ran = run(etl, version, write)
        same_as(model, ran)
        new = same_ids(given_ids, ran)
        if number == 0:
            add_foreign_rows(etl)
        else:
            assert all(id_ > FOREIGN for table, id_ in new if table in {"care_site", "observation"})
            assert ran.query(f"SELECT care_site_name FROM cdm.care_site WHERE care_site_id = {FOREIGN}") == [
                ("foreign",)
            ]
            rows = f"SELECT person_id FROM cdm.observation WHERE observation_id = {FOREIGN}"
            assert ran.query(rows) == [(1,)]
    before = everything(Ran(etl.root, ran.record))
    again = run(etl, version, write)
    if len(history) > 1:
        assert everything(again) == before
    changed = {step.name: step.rows_affected for step in again.record.steps if step.name.startswith("write_")}
    assert not any(changed.values()), changed


def same_ids(given_ids: dict[tuple[object, ...], set[int]], ran: Ran) -> set[tuple[object, int]]:
    """The new ids; what is known by table, mapping, key and concept has those it ever had, or some, or more."""
    now: dict[tuple[object, ...], set[int]] = {}
    for table in EVENT_TABLES:
        for id_, event in events_of(ran, table).items():
            now.setdefault((table, *event[:2], event[3]), set()).add(id_)
    for entity in ("person", "care_site"):
        for id_, *key in ran.query(f"SELECT * FROM work.key_{entity}"):
            now[(entity, *key)] = {int(str(id_))}
    owners = {(key[0], id_): key for key, ids in given_ids.items() for id_ in ids}
    for key, ids in now.items():
        before = given_ids.setdefault(key, set())
        assert ids <= before or before <= ids, key
        assert all(owners.get((key[0], id_), key) == key for id_ in ids), key
        before |= ids
    return {(key[0], id_) for key, ids in now.items() for id_ in ids} - set(owners)


@pytest.mark.parametrize("write", ["write: merge", "write: append_new"])
@history_law
@given(first=versions, second=versions, shuffle=st.randoms(use_true_random=False))
@example(first=THEN, second=NOW, shuffle=Random(1))
def test_the_order_of_rows_does_not_matter_and_old_rows_keep_their_ids(
    project: Projects, write: str, first: Version, second: Version, shuffle: Random
) -> None:
    """Rows in another order give the same tables, ids included; more rows leave the ids of those before as they are."""
    more = Version(
        **{name: [*rows, *second.source()[name]] for name, rows in first.source().items()}, codes=first.codes
    )
    turned = Version(
        **{name: shuffle.sample(rows, len(rows)) for name, rows in more.source().items()}, codes=first.codes
    )
    etl = project(write, None)
    ran = run(etl, first, write)
    before = {table: events_of(ran, table) for table in EVENT_TABLES}
    persons = set(ran.query("SELECT person_id, person_source_value FROM cdm.person"))
    ran = run(etl, more, write)
    assert persons <= set(ran.query("SELECT person_id, person_source_value FROM cdm.person"))
    for table, rows in before.items():
        after = events_of(ran, table)
        assert all((*row[:2], row[3]) == (*after[id_][:2], after[id_][3]) for id_, row in rows.items() if id_ in after)
    expected = everything(ran)
    run(empty(etl), first, write)
    assert everything(run(etl, turned, write)) == expected


@history_law
@given(history=st.lists(st.tuples(versions, st.sampled_from(MODES[::2])), min_size=2, max_size=3))
@example(history=[(THEN, MODES[0]), (NOW, MODES[2]), (THEN, MODES[0])])
def test_full_and_a_merge_that_deletes_can_follow_each_other(
    new_etl: Callable[[], Etl], history: list[tuple[Version, tuple[str, Write, bool]]]
) -> None:
    """Whatever came before, both make the tables exactly the result of the source there is now."""
    etl = new_etl()
    for version, (write, mode, deletes) in history:
        ran = run(etl, version, write)
        model = Model(mode, deletes)
        model.run(version)
        for table, rows in model.tables.items():
            assert ran.query(f"SELECT COUNT(*) FROM cdm.{table}") == [(rows.total(),)], table
        if deletes:
            same_as(model, ran)
