"""Promises about names: what nothing makes is a mistake, what nothing uses is a warning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from omopcloudetl.core.session import check_project

WriteFiles = Callable[[Mapping[str, str | bytes | None]], Path]
Found = tuple[str, str, str]

WORKFLOW = """\
name: clinic
variables:
  since: {type: date, default: 2020-01-01}
sources:
  visits: {columns: {id: text, patient: text}}
steps:
  - {name: cdm_tables, kind: ddl, schema: cdm}
  - name: source
    kind: bulk_load
    schema: source
    from: data
    format: csv
    tables: {patients: {file: patients.csv, columns: {id: text, born: date}}}
  - {name: mappings, kind: dml, mappings: mappings/*.yaml}
"""
PERSON = """\
name: person
kind: table
target: cdm.person
from: {p: source.patients}
where: p.born > :since
columns:
  person_id: {id: [p.id]}
  gender_concept_id: 0
  year_of_birth: 1970
"""


@pytest.fixture
def found(acme: ModuleType, project: WriteFiles) -> Callable[..., list[Found]]:
    """Severity, code and place of what is found when parts of the files are replaced or added."""

    def check(workflow: tuple[str, str] = ("", ""), add: str = "", **files: str) -> list[Found]:
        root = project(
            {
                "workflow.yaml": WORKFLOW.replace(*workflow),
                "mappings/person.yaml": PERSON + add,
                "mappings/conditions.yaml": None,
                **{name.replace("__", "."): text for name, text in files.items()},
            }
        )
        return [(d.severity, d.code, str(d.position)) for d in check_project(root).diagnostics]

    return check


def test_a_project_that_uses_all_it_declares_has_nothing_to_tell(found: Callable[..., list[Found]]) -> None:
    """There are no warnings without a reason."""
    assert found() == []


@pytest.mark.parametrize(
    ("domain", "told"),
    [
        ("Units", [("warning", "unknown-domain", "mappings/person.yaml:8:64")]),
        ("unit", [("warning", "unknown-domain", "mappings/person.yaml:8:64")]),
        ("Unit", []),
        ("Condition/Obs", []),
        ("Local scores", []),
    ],
)
def test_a_domain_that_is_nearly_one_of_omop_s_is_a_warning(
    found: Callable[..., list[Found]], domain: str, told: list[Found]
) -> None:
    """A misspelt domain would leave every code with concept 0; one of the vocabulary's own is let be."""
    code = f"{{concept: p.id, vocabulary: UCUM, domain: {domain}}}"
    text = PERSON.replace("gender_concept_id: 0", f"gender_concept_id: {code}")
    assert found(**{"mappings/person__yaml": text}) == told


def test_a_source_table_that_no_step_loads_is_a_mistake(found: Callable[..., list[Found]]) -> None:
    """It is told where it is read, in a mapping as in a SQL file."""
    load = ("tables: {patients:", "tables: {patient:")
    assert found(load) == [("error", "unknown-table", "mappings/person.yaml:4:11")]
    step = ("  - {name: map", "  - {name: x, kind: sql, file: x.sql, creates: work.x}\n  - {name: map")
    assert found(step, x__sql="select *\nfrom source.visit") == [("error", "unknown-table", "x.sql:2:6")]


def test_a_declared_source_table_is_there(found: Callable[..., list[Found]]) -> None:
    """Its columns are checked as those of a loaded one are."""
    join = "joins: {v: {table: source.visits, on: v.patient = p.id, cardinality: many}}\n"
    assert found(add=join) == []
    assert [code for _, code, _ in found(add=join.replace("v.patient", "v.person"))] == ["unknown-column"]


def test_a_cdm_table_that_nothing_fills_is_worth_a_warning(found: Callable[..., list[Found]]) -> None:
    """Another project may fill it, so it is no mistake."""
    step = ("  - {name: map", "  - {name: x, kind: sql, file: x.sql, creates: work.x}\n  - {name: map")
    assert found(step, x__sql="select * from cdm.death") == [("warning", "not-written", "x.sql:1:15")]
    assert found(step, x__sql="select * from cdm.person") == []


def test_a_variable_that_nothing_uses_is_worth_a_warning(found: Callable[..., list[Found]]) -> None:
    """It is told where it is declared."""
    unused = ("variables:\n", "variables:\n  untl: {type: date}\n")
    assert found(unused) == [("warning", "unused-name", "workflow.yaml:3:3")]


def test_a_join_that_no_rule_reads_is_worth_a_warning(found: Callable[..., list[Found]]) -> None:
    """Unless another join needs it, or it is there to multiply rows."""
    join = "joins:\n  v: {table: source.visits, on: v.patient = p.id, cardinality: one}\n"
    assert found(add=join) == [("warning", "unused-name", "mappings/person.yaml:11:3")]
    assert found(add=join.replace("one", "many")) == []
    needed = "  w: {table: source.visits, on: w.id = v.id, cardinality: one}\n"
    rule = PERSON.replace("p.born > :since", "p.born > :since and w.id is null") + join + needed
    assert found(**{"mappings/person__yaml": rule}) == []


def test_a_join_on_nothing_of_its_own_is_a_mistake(found: Callable[..., list[Found]]) -> None:
    """A condition that does not mention the joined table would join every row with every row."""
    join = "joins: {v: {table: source.visits, on: p.id = p.id, cardinality: one}}\n"
    assert found(add=join) == [("error", "join-condition", "mappings/person.yaml:10:39")]
    assert found(add=join.replace("one", "many")) == []


def test_two_declared_columns_of_one_name_are_a_mistake(found: Callable[..., list[Found]]) -> None:
    """The case of a header does not matter, so that one of them would be lost."""
    twice = ("{id: text, born", "{id: text, Id: text, born")
    assert [(severity, code) for severity, code, _ in found(twice)] == [("error", "duplicate-name")]
