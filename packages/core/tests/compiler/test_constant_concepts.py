"""Promises about constant concepts: one that is known to be of a wrong domain is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from omopcloudetl.core.errors import Diagnostic, SpecificationError
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.session import Session
from omopcloudetl.core.specification.concepts import KnownConcepts

Problem = Callable[..., Diagnostic]

VISIT = dedent("""\
    name: visit
    kind: table
    target: cdm.visit_occurrence
    from: {p: source.patients}
    columns:
      visit_occurrence_id: {id: [p.id]}
      person_id: {reference: person, key: p.id}
      visit_concept_id: 9201
      visit_start_date: p.birthdate
    """)


def visit(constant: object) -> dict[str, str]:
    """The clinic with a visit mapping, whose concept stands at 8:21."""
    return {"mappings/visit.yaml": VISIT.replace("9201", str(constant))}


def test_a_concept_of_another_domain_is_refused_with_what_is_allowed(problem: Problem) -> None:
    """The error names the concept, both domains, and the concepts that may stand there, the most similar first."""
    found = problem(visit(8532))
    assert found.code == "concept-domain"
    assert (
        found.message
        == "visit_concept_id takes concepts of the domain Visit or Observation, but 8532 FEMALE is of the domain Gender"
    )
    assert (found.position.line, found.position.column) == (8, 21)
    assert found.found == "8532"
    assert set(found.allowed) >= {"9201 Inpatient Visit", "9202 Outpatient Visit", "4330441 Seen at home"}
    assert found.help == "0 stands for no concept"


def test_a_concept_of_another_class_is_refused(problem: Problem) -> None:
    """Where the specification asks for a class, a concept of the right domain must be of it."""
    assert problem(visit(4330441)).code == "concept-class"


@pytest.mark.parametrize("constant", [0, 9202, 123456789, "{value_map: p.gender, map: {M: 9202}, else: 0}"])
def test_what_is_right_or_unknown_is_accepted(
    compile_project: Callable[..., CompiledWorkflowPlan], constant: object
) -> None:
    """Concept 0, a right one, one that nobody knows and those of a value map are not complained about."""
    assert compile_project(visit(constant)).steps


@pytest.mark.parametrize(
    ("value", "column"),
    [
        ("{value_map: p.gender, map: {M: 9201, F: 8516}, else: 0}", 61),
        ("{value_map: p.gender, map: {M: 9201}, else: 8516}", 65),
    ],
)
def test_results_of_a_value_map_are_checked(problem: Problem, value: str, column: int) -> None:
    """Every result of a value map, and its else, is a constant."""
    found = problem(visit(value))
    assert (found.code, found.position.column, found.found) == ("concept-domain", column, "8516")


def test_the_type_of_an_event_is_checked(problem: Problem) -> None:
    """The type concept of an event must be of the domain that its table's type field asks for."""
    event = """\
        name: conditions
        kind: event
        from: {c: source.conditions}
        key: [c.patient, c.code, c.start]
        person: c.patient
        concept: {code: c.code, vocabulary: SNOMED}
        start: c.start
        type_concept_id: 9202
        default_table: condition_occurrence
        """
    found = problem({"mappings/conditions.yaml": event})
    assert found.message.startswith("condition_type_concept_id takes concepts of the domain Type Concept")
    assert (found.position.line, found.position.column) == (8, 18)


def test_the_first_resource_wins(tmp_path: Path) -> None:
    """A concept that several plugins name is the one of the plugin that is registered first."""
    for name, domain in (("first", "Visit"), ("second", "Gender")):
        folder = tmp_path / name / "concepts"
        folder.mkdir(parents=True)
        header = "concept_id,concept_name,domain_id,concept_class_id,standard_concept"
        (folder / "some.csv").write_text(f'{header}\n7,"A, b",{domain},X,S\n', encoding="utf-8")
    concept = KnownConcepts([tmp_path / "first", tmp_path / "second"]).get(7)
    assert concept is not None
    assert (concept.domain, concept.name) == ("Visit", "A, b")


@pytest.mark.parametrize("text", ["", "concept_id,name\n1,x\n", "{header}\nx,A,Gender,Gender,S\n", "{header}\n1,A\n"])
def test_a_file_that_is_none_of_ours_is_named(tmp_path: Path, text: str) -> None:
    """A file of concepts that cannot be read is an error that names it and its columns."""
    (tmp_path / "concepts").mkdir()
    header = "concept_id,concept_name,domain_id,concept_class_id,standard_concept"
    (tmp_path / "concepts" / "bad.csv").write_text(text.replace("{header}", header), encoding="utf-8")
    with pytest.raises(SpecificationError, match=r"concepts bad\.csv cannot be read.*concept_class_id"):
        KnownConcepts([tmp_path]).get(1)


def test_a_concept_that_is_not_standard_is_a_warning(acme: object, project: Callable[..., Path]) -> None:
    """A constant of the right domain that is not standard compiles, with a warning at its place."""
    person = """\
        name: person
        kind: table
        target: cdm.person
        from: {p: source.patients}
        columns:
          person_id: {id: [p.id]}
          gender_concept_id: {value_map: p.gender, map: {M: 8507}, else: 8551}
          year_of_birth: 1970
        """
    checked = Session.open(project({"mappings/person.yaml": person})).check()
    assert checked.plan is not None
    (warning,) = [warning for warning in checked.warnings if warning.code == "concept-not-standard"]
    assert (warning.position.line, warning.found) == (7, "8551")
    assert warning.help
