"""Mutants: what is broken of an expression and of a mapping, and that the shipped rule tests notice it."""

from collections.abc import Iterator

import pytest

from tools.mutate_mappings.__main__ import outdated, read_equivalent, sampled, unnoticed
from tools.mutate_mappings.expressions import broken, broken_query, without_table
from tools.mutate_mappings.mutants import mutants_of
from tools.mutate_mappings.trial import Laboratory, laboratory

SAMPLE = 60
"""How many mutants the suite tries, of all mappings; `python -m tools.mutate_mappings` tries all of them."""


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a.x", {"NULL"}),
        ("coalesce(a.x, a.y)", {"a.x", "a.y"}),
        ("a.x - 1", {"a.x", "a.x - 2"}),
        ("a.x = 'v'", {"a.x <> 'v'", "a.x = 'vx'"}),
        ("a.x > 1 and a.y is null", {"a.x > 1 OR a.y IS NULL", "a.x >= 1 AND a.y IS NULL", "a.x > 2 AND a.y IS NULL"}),
        ("a.x is not null", {"a.x IS NULL"}),
        ("extract(year from a.x)", {"EXTRACT(MONTH FROM a.x)"}),
        ("case when a.x then 1 else 2 end", {"2", "CASE WHEN a.x THEN 1 END", "CASE WHEN a.x THEN 2 ELSE 2 END"}),
        ("left(a.x, 5)", {"a.x", "LEFT(a.x, 6)"}),
        ("date_diff('day', a.x, a.y)", {"DATE_DIFF('DAY', a.y, a.x)"}),
        ("concat_ws('|', a.x, a.y)", {"CONCAT_WS('|', a.x)", "CONCAT_WS('|', a.y)"}),
    ],
)
def test_an_expression_is_broken_in_each_place(sql: str, expected: set[str]) -> None:
    """Every slip of these kinds is made once."""
    assert expected <= {changed for _, changed in broken(sql)}


def test_a_query_loses_its_where_and_its_order() -> None:
    """The order of a window and the condition of a query are rules, too."""
    changed = {sql for _, sql in broken_query("SELECT MAX(a.x) OVER (ORDER BY a.y DESC) FROM s.a AS a WHERE a.z = 1")}
    assert {
        "SELECT MAX(a.x) OVER (ORDER BY a.y DESC) FROM s.a AS a WHERE TRUE",
        "SELECT MIN(a.x) OVER (ORDER BY a.y DESC) FROM s.a AS a WHERE a.z = 1",
    } <= changed
    assert any("WHERE a.z = 1" in sql and "DESC" not in sql for sql in changed)


def test_a_join_is_dropped_with_its_columns() -> None:
    """What a rule read of it is NULL."""
    assert without_table("coalesce(e.x, a.y)", "e") == "COALESCE(NULL, a.y)"
    joins = {"e": {"table": "source.b", "on": "e.i = a.i", "cardinality": "one"}}
    data = {"name": "m", "kind": "table", "joins": joins, "columns": {"p": "e.x", "q": "a.x"}}
    mutants = {mutant.label: mutant.data for mutant in mutants_of(data)}
    assert mutants["joins.e: dropped"]["columns"] == {"p": "NULL", "q": "a.x"}
    assert mutants["columns.p: dropped"]["columns"] == {"q": "a.x"}


def test_every_kind_of_rule_is_broken() -> None:
    """Constants, maps, keys, words, policies, and start and end."""
    data = {
        "name": "m",
        "kind": "event",
        "key": ["a.x", "a.y"],
        "start": "a.s",
        "end": "a.e",
        "concept": {"code": "a.c", "vocabulary": ["UCUM", "Own"]},
        "routes": {"Drug": "observation"},
        "type_concept_id": 5,
        "policy": {"gap_days": 30},
        "columns": {"t": {"f": {"value_map": "a.g", "map": {"M": 1, "F": 2}, "else": 0}}},
        "tests": [{"name": "t"}],
    }
    labels = {mutant.label for mutant in mutants_of(data)}
    assert labels >= {
        "start and end: swapped",
        "end: dropped",
        "key.1: a.x → null",
        "concept.vocabulary.2: Own dropped",
        "concept.vocabulary: the other way round",
        "concept.vocabulary.1: UCUM → UCUMX",
        "routes: dropped",
        "routes.Drug: observation → condition_occurrence",
        "type_concept_id: 5 → 6",
        "policy.gap_days: 30 → 29",
        "policy.gap_days: 30 → 31",
        "columns.t.f.map.M: dropped",
        "columns.t.f.map.F: 2 → 3",
        "columns.t.f.else: 0 → 1",
    }
    assert all(mutant.data["tests"] == data["tests"] for mutant in mutants_of(data))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """The Synthea project, ready for its mutants."""
    with laboratory(tmp_path_factory.mktemp("mutants") / "synthea") as opened:
        yield opened


def test_rule_tests_notice_broken_rules(lab: Laboratory) -> None:
    """Of a sample of all mutants, each that does something else makes a rule test fail."""
    trials = [lab.try_out(mutant) for mutant in sampled(list(lab.mutants()), SAMPLE)]
    assert unnoticed(trials, read_equivalent()) == []
    assert sum(trial.state == "noticed" for trial in trials) > SAMPLE / 2


def test_a_mapping_without_tests_notices_nothing(lab: Laboratory) -> None:
    """What no test is about survives, and is told; what is listed and is no mutant is told, too."""
    (mutant,) = (m for m in lab.mutants(["person"]) if m.label == "columns.gender_concept_id.map.M: dropped")
    assert lab.try_out(mutant).state == "noticed"
    mutant.data["tests"] = [{"name": "nothing", "expect": {"cdm.person": []}}]
    trial = lab.try_out(mutant)
    assert trial.state == "survived"
    assert unnoticed([trial], {}) == ["person: columns.gender_concept_id.map.M: dropped"]
    assert unnoticed([trial], {"person": {mutant.label: "a reason"}}) == []
    assert outdated([trial], {"person": {"joins.x: dropped": "a reason"}}) == ["person: joins.x: dropped"]


def test_what_is_listed_as_equivalent_is_a_mutant_with_a_reason(lab: Laboratory) -> None:
    """A rule that changed takes its entry with it."""
    labels = {(mutant.mapping, mutant.label) for mutant in lab.mutants()}
    listed = [(mapping, label) for mapping, reasons in read_equivalent().items() for label in reasons]
    assert [entry for entry in listed if entry not in labels] == []
    assert all(len(reason) > 5 for reasons in read_equivalent().values() for reason in reasons.values())


def test_a_sample_is_spread_evenly(lab: Laboratory) -> None:
    """It is the same each time, and of all mappings."""
    mutants = list(lab.mutants())
    assert len(sampled(mutants, 10)) == 10
    assert len({mutant.mapping for mutant in sampled(mutants, SAMPLE)}) > 10
    assert sampled(mutants, None) == mutants
