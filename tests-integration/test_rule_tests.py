"""Rule tests, run for real: what passes, what fails and how it is shown, what a test may leave out."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_project import EVENT, PERSON, WORKFLOW

from omopcloudetl.cli.main import cli
from omopcloudetl.core import ProjectError, RuleTestReport, check_rules, open_project

PROJECT = """
name: tested
targets: {far: {provider: nowhere}}
"""
VISITS = """
name: visits
kind: table
target: cdm.visit_occurrence
from: {v: source.visits}
columns:
  visit_occurrence_id: {id: [v.ward, v.number]}
  person_id: {reference: person, key: [v.patient]}
  visit_concept_id: 9201
  visit_start_date: v.start
  visit_end_date: v.start
  visit_type_concept_id: 32827
"""
ERAS = "name: eras\nkind: derived\nbuilder: condition_era\n"
LOADS = """
      patients: {file: patients.csv, columns: {id: text}}
      visits: {file: visits.csv, columns: {patient: text, ward: text, number: text, start: date}}
      events: {file: events.csv, columns: {patient: text, code: text, start: date}}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project for a database that cannot be reached, whose provider is not even installed."""
    (tmp_path / "mappings").mkdir()
    workflow = WORKFLOW.replace("LOADS", LOADS.strip("\n")).replace("WRITE", "write: merge")
    (tmp_path / "project.yaml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "workflow.yaml").write_text(workflow, encoding="utf-8")
    for name, text in (("person", PERSON), ("events", EVENT), ("visits", VISITS), ("eras", ERAS)):
        (tmp_path / f"mappings/{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def with_tests(root: Path, mapping: str, tests: str) -> RuleTestReport:
    """The report of a mapping with these tests."""
    path = root / f"mappings/{mapping}.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "tests:\n" + tests, encoding="utf-8")
    return check_rules(root, mapping)


def call(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, list(map(str, arguments)))


EVENT_TEST = """
  - name: an event
    given:
      source.events: [{patient: p1, code: 7, start: 2020-01-01}, {patient: p1, code: 8, start: 2020-01-02}]
    concepts:
      - {id: 70, code: 7, domain: Condition}
      - {id: 80, code: 8, domain: Drug, standard: false, maps_to: [81, 82]}
      - {id: 81, domain: Condition}
      - {id: 82, domain: Measurement}
    expect:
      cdm.condition_occurrence:
        - {condition_concept_id: 81, condition_source_concept_id: 80}
        - {condition_concept_id: 70, person_id: {person: p1}, condition_start_date: 2020-01-01, visit_detail_id: null}
      cdm.measurement: [{measurement_concept_id: 82}]
"""


def test_a_right_test_passes_without_the_targets_provider(root: Path) -> None:
    """Rows are compared in any order, by the listed columns, on DuckDB, whatever the target."""
    report = with_tests(root, "events", EVENT_TEST)
    assert report.passed, report
    assert [(result.mapping, result.name, result.line) for result in report.results] == [("events", "an event", 13)]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("condition_concept_id: 81", "condition_concept_id: 82"),
        ("{person: p1}", "{person: p2}"),
        ("2020-01-01, visit", "2020-01-03, visit"),
        ("visit_detail_id: null", "condition_source_value: 8"),
        ("      cdm.measurement: [{measurement_concept_id: 82}]\n", ""),
        ("      cdm.measurement: [{measurement_concept_id: 82}]\n", "      cdm.measurement: []\n"),
        ("[{measurement_concept_id: 82}]", "[{measurement_concept_id: 82}, {measurement_concept_id: 82}]"),
        ("domain: Measurement", "domain: Drug"),
        ("id: 70, code: 7", "id: 70, code: 9"),
        ("maps_to: [81, 82]", "maps_to: [81]"),
        ("    expect:", "    unknown: {person: p1}\n    expect:"),
    ],
    ids=["concept", "reference", "date", "null", "other table", "no rows", "twice", "domain", "code", "1:n", "unknown"],
)
def test_a_wrong_test_fails(root: Path, right: str, wrong: str) -> None:
    """Each part of a test can make it fail."""
    assert EVENT_TEST.count(right) >= 1
    report = with_tests(root, "events", EVENT_TEST.replace(right, wrong, 1))
    assert [result.state for result in report.results] == ["failed"]
    assert report.results[0].error is None
    assert report.results[0].differences


def test_what_is_set_aside_must_be_expected(root: Path) -> None:
    """A row that is quarantined fails a test that does not say so, and is named by its key and reason."""
    rows = "source.events: [{patient: p9, code: 7, start: 2020-01-01}]"
    test = f"  - {{name: NAME, given: {{{rows}}}, unknown: {{person: [p8, p9]}}, EXPECT}}\n"
    report = with_tests(
        root,
        "events",
        test.replace("NAME", "a").replace("EXPECT", "expect: {cdm.observation: []}")
        + test.replace("NAME", "b").replace("EXPECT", 'quarantined: [{reason: "person_id: unknown person"}]')
        + test.replace("NAME", "c").replace("EXPECT", "quarantined: [{key: [p9, 7, 2020-01-01]}]")
        + test.replace("NAME", "d").replace("EXPECT", "quarantined: [{key: [p9, 7, 2020-01-01], reason: x}]"),
    )
    assert [result.passed for result in report.results] == [False, True, True, False]
    (difference,) = report.results[0].differences
    assert (difference.table, difference.pairs[0].found) == (
        "quarantined",
        {"key": "p9 | 7 | 2020-01-01", "reason": "person_id: unknown person"},
    )


def test_ids_of_the_mappings_own_rows_are_named_by_their_keys(root: Path) -> None:
    """A key of several parts is a list, also for rows that the mapping itself makes."""
    given = "given: {source.visits: [{patient: p1, ward: A, number: 1, start: 2020-01-01}]}"
    expect = "expect: {cdm.visit_occurrence: [{visit_occurrence_id: {visit_occurrence: [A, NUMBER]}}]}"
    report = with_tests(
        root,
        "visits",
        f"  - {{name: a, {given}, {expect.replace('NUMBER', '1')}}}\n"
        f"  - {{name: b, {given}, {expect.replace('NUMBER', '2')}}}\n",
    )
    assert [result.passed for result in report.results] == [True, False]
    assert report.results[1].differences[0].pairs[0].found == {"visit_occurrence_id": {"visit_occurrence": ["A", "1"]}}


def test_a_builder_reads_given_rows_of_the_cdm(root: Path) -> None:
    """Rows of CDM tables are given with the ids of persons by their keys, and required fields may be left out."""
    row = "{person_id: {person: p1}, condition_concept_id: 5, condition_start_date: "
    report = with_tests(
        root,
        "eras",
        f"  - name: two\n    given: {{cdm.condition_occurrence: [{row}2020-01-01}}, {row}2020-01-31}}]}}\n"
        "    expect: {cdm.condition_era: [{person_id: {person: p1}, condition_era_end_date: 2020-01-31,"
        " condition_occurrence_count: 2}]}\n",
    )
    assert report.passed, report.results


COSTS = """
name: costs
kind: table
target: cdm.cost
from: {e: source.events}
columns:
  cost_id: {id: [e.patient, e.code, e.start]}
  cost_event_id: {event: events, key: [e.patient, e.code, e.start]}
  cost_domain_id: {event: events, key: [e.patient, e.code, e.start], take: domain}
  cost_type_concept_id: 32814
"""


def test_events_that_rows_refer_to_are_there(root: Path) -> None:
    """The row of an event is in the default table of its mapping, unless it is unknown; keys hold any character."""
    (root / "mappings/costs.yaml").write_text(COSTS, encoding="utf-8")
    report = with_tests(
        root,
        "costs",
        """  - name: costs
    given:
      source.events:
        - {patient: "a|b~", code: 7, start: 2020-01-01}
        - {patient: p1, code: null, start: 2020-01-02}
        - {patient: p1, code: 8, start: 2020-01-02}
    unknown: {events: [[p1, 8, 2020-01-02]]}
    expect:
      cdm.cost:
        - {cost_event_id: {events: ["a|b~", 7, 2020-01-01]}, cost_domain_id: Observation}
        - {cost_event_id: {events: [p1, null, 2020-01-02]}, cost_domain_id: Observation}
    quarantined: [{reason: "cost_event_id: unknown events"}]
""",
    )
    assert report.passed, report.results


def test_only_the_mapping_that_is_tested_must_be_right(root: Path) -> None:
    """What is wrong with the rules of another mapping does not matter; what is wrong with its own does."""
    visits = root / "mappings/visits.yaml"
    visits.write_text(VISITS.replace("v.patient", "v.nobody"), encoding="utf-8")
    assert with_tests(root, "events", EVENT_TEST).passed
    with pytest.raises(ProjectError, match=r"source\.visits has no column 'nobody'"):
        with_tests(root, "visits", "  - {name: a, expect: {cdm.visit_occurrence: []}}\n")


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("given: {source.event: []}", r"no table source.event that the workflow knows"),
        ("given: {work.events: []}", r"no table work.events that the workflow knows"),
        ("given: {source.events: [{codes: 1}]}", r"source.events has no column 'codes'"),
        ("unknown: {persons: p1}", r"'persons' is no table"),
    ],
    ids=["source", "work", "column", "entity"],
)
def test_what_a_test_names_must_be_there(root: Path, test: str, message: str) -> None:
    """Mistakes of a test are told before any test runs, with their place."""
    with pytest.raises(ProjectError, match=message) as caught:
        with_tests(root, "events", f"  - {{name: a, {test}, expect: {{cdm.observation: []}}}}\n")
    assert {(found.position.file, found.position.line) for found in caught.value.diagnostics} == {
        ("mappings/events.yaml", 12)
    }


def test_tests_leave_nothing_to_each_other(root: Path) -> None:
    """Every test begins with empty tables."""
    expect = "expect: {cdm.person: [{person_id: 1, person_source_value: p2}]}"
    report = with_tests(
        root,
        "person",
        "  - {name: a, given: {source.patients: [{id: p1}, {id: p2}]}, expect: {cdm.person: [{}, {}]}}\n"
        f"  - {{name: b, given: {{source.patients: [{{id: p2}}]}}, {expect}}}\n",
    )
    assert report.passed, report.results


def test_a_check_that_fails_fails_the_test(root: Path) -> None:
    """A join that multiplies rows is told in the words of a run."""
    path = root / "mappings/events.yaml"
    join = "joins: {p: {table: source.patients, on: p.id = e.patient, cardinality: one}}\nwhere: p.id is not null\n"
    path.write_text(EVENT + join, encoding="utf-8")
    row = "source.events: [{patient: p1, code: 7, start: 2020-01-01}], source.patients: [{id: p1}, {id: p1}]"
    report = with_tests(root, "events", f"  - {{name: a, given: {{{row}}}, expect: {{cdm.observation: [{{}}]}}}}\n")
    assert "the join makes more rows" in str(report.results[0].error)


def test_a_test_can_be_about_what_stops_a_run(root: Path) -> None:
    """It passes if the message is the expected one, and neither another nor none."""
    path = root / "mappings/events.yaml"
    join = "joins: {p: {table: source.patients, on: p.id = e.patient, cardinality: one}}\nwhere: p.id is not null\n"
    path.write_text(EVENT + join, encoding="utf-8")
    row = "source.events: [{patient: p1, code: 7, start: 2020-01-01}], source.patients: [{id: p1}, {id: p1}]"
    once = row.replace(", {id: p1}", "")
    report = with_tests(
        root,
        "events",
        f"  - {{name: a, given: {{{row}}}, fails: joins as 'p'}}\n"
        f"  - {{name: b, given: {{{row}}}, fails: joins as 'q'}}\n"
        f"  - {{name: c, given: {{{once}}}, fails: joins as 'p'}}\n",
    )
    assert [result.passed for result in report.results] == [True, False, False]
    assert "what stops the run is: the mapping events says" in str(report.results[1].error)
    assert "nothing stops the run" in str(report.results[2].error)


@pytest.fixture
def failing(root: Path) -> Path:
    """A project with one test that fails."""
    with_tests(root, "events", EVENT_TEST.replace("condition_concept_id: 70", "condition_concept_id: 71"))
    return root


def test_the_command_shows_what_differs(failing: Path) -> None:
    """The rows that differ, with the columns in which they do; exit code 1."""
    result = call("test", "--project", failing)
    assert result.exit_code == 1
    assert "cdm.condition_occurrence: 1 as expected, 1 missing, 1 not expected" in result.stdout
    shown = [line.split() for line in result.stdout.splitlines() if line.strip()[:1] in {"-", "+"}]
    assert [(words[0], words[1]) for words in shown] == [("-", "71"), ("+", "70")]
    assert "condition_start_date" not in result.stdout
    assert "1 test of 1 mapping: 1 failed, 0 passed" in result.stdout


def test_the_command_writes_json(failing: Path) -> None:
    """Programs get the same as a document; the exit code is 1, too."""
    result = call("test", "events", "--project", failing, "--format", "json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["passed"] is False
    (pair,) = document["results"][0]["differences"][0]["pairs"]
    assert (pair["expected"]["condition_concept_id"], pair["found"]["condition_concept_id"]) == (71, 70)
    assert pair["found"]["person_id"] == {"person": "p1"}


def test_a_mapping_is_chosen_by_its_name_or_its_file(failing: Path) -> None:
    """One that does not exist is a wrong command, with the nearest name."""
    assert "1 failed" in call("test", "mappings/events.yaml", "--project", failing).stdout
    assert call("test", "person", "--project", failing).exit_code == 0
    wrong = call("test", "event", "--project", failing)
    assert (wrong.exit_code, "did you mean events?" in wrong.output) == (2, True)


def test_a_session_tests_its_mappings(failing: Path) -> None:
    """`project.test()` is what the command runs."""
    (failing / "project.yaml").write_text(PROJECT.replace("nowhere", "duckdb, connection: {path: x.duckdb}"))
    report = open_project(failing).test()
    assert [result.mapping for result in report.failed] == ["events"]
    assert set(report.untested) == {"person", "visits", "eras"}
    assert not (failing / "x.duckdb").exists()


def test_a_given_table_that_is_not_read_is_a_warning(root: Path) -> None:
    """It is a table misspelt, or a rest."""
    report = with_tests(root, "person", "  - {name: a, given: {source.visits: []}, expect: {cdm.person: []}}\n")
    (warning,) = report.warnings
    assert (warning.code, warning.message) == ("no-effect", "the mapping person does not read source.visits")
