"""Promises about `write:` and `deletes:`: what cannot be merged is refused at its place, with a way out."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.plan import CompiledWorkflowPlan, SqlStep

Compile = Callable[..., CompiledWorkflowPlan]
Problem = Callable[..., Diagnostic]
STEP = "mappings: mappings/*.yaml"
PERSON = dedent("""\
    name: more_persons
    kind: table
    target: cdm.person
    from: {p: source.patients}
    key: [p.id]
    columns: {person_id: {id: [p.id]}, gender_concept_id: 0, year_of_birth: 1970}
    """)
CDM_SOURCE = dedent("""\
    name: cdm_source
    kind: table
    target: cdm.cdm_source
    key: ["'x'"]
    columns: {cdm_source_name: "'x'"}
    """)
PLACE = dedent("""\
    name: places
    kind: table
    target: cdm.location
    from: {p: source.patients}
    columns:
      location_id: {id: [p.gender], strategy: ordinal}
    """)


def with_step(workflow: str, write: str, more: str = "") -> dict[str, str]:
    """The workflow whose step of mappings writes so, and a second one with its own mapping if `more` says how."""
    mappings = "mappings: [mappings/person.yaml, mappings/conditions.yaml]" if more else STEP
    lines = workflow.replace(STEP, f"{mappings}{write}")
    return {"workflow.yaml": f"{lines}  - {{name: more, kind: dml, mappings: more.yaml{more}}}\n" if more else lines}


def place(problem: Diagnostic) -> str:
    """File and line."""
    return f"{problem.position.file}:{problem.position.line}"


@pytest.mark.parametrize(
    ("write", "more", "advice"),
    [
        (", write: merge", ", write: full", "give 'more' `write: merge` and `deletes: keep`"),
        (", write: merge", ", write: merge, deletes: delete", "give 'more' `write: merge` and `deletes: keep`"),
        (", write: merge, deletes: delete", ", write: full", "give 'more' `write: merge` and `deletes: delete`"),
        (", write: append_new", ", write: merge", "give 'more' `write: append_new`"),
    ],
)
def test_steps_that_share_a_table_write_it_alike(
    problems: Callable[..., list[Diagnostic]], project_workflow: str, write: str, more: str, advice: str
) -> None:
    """The second step is told how the first writes."""
    found = problems({**with_step(project_workflow, write, more), "more.yaml": PERSON})
    modes = [problem for problem in found if problem.code == "write-mode"]
    assert [(place(problem), problem.help) for problem in modes] == [
        ("workflow.yaml:17", f"a table is written in one way: {advice}")
    ]


def test_deletes_belongs_to_a_merge(problem: Problem, project_workflow: str) -> None:
    """A policy for deletes without a merge has no effect, and is refused."""
    found = problem(with_step(project_workflow, ", write: append_new, deletes: delete"))
    assert place(found) == "workflow.yaml:16"
    assert "has a meaning with `write: merge` only, not with `write: append_new`" in found.message


@pytest.mark.parametrize("write", ["merge", "append_new"])
def test_a_table_without_an_id_is_not_merged(problem: Problem, project_workflow: str, write: str) -> None:
    """Its rows could not be found again; a step of its own with `full` is the way out."""
    found = problem({**with_step(project_workflow, f", write: {write}"), "mappings/cdm_source.yaml": CDM_SOURCE})
    assert (found.code, place(found)) == ("no-row-id", "mappings/cdm_source.yaml:3")
    assert found.help == "write cdm_source in a `dml` step of its own with `write: full`"


def test_numbers_that_change_are_not_merged(problem: Problem, project_workflow: str) -> None:
    """`strategy: ordinal` contradicts rows that stay."""
    found = problem({**with_step(project_workflow, ", write: merge"), "mappings/places.yaml": PLACE})
    assert (found.code, place(found), found.allowed) == ("id-strategy", "mappings/places.yaml:6", ("registry", "hash"))


def test_a_row_that_is_kept_refers_to_rows_that_are_kept(problem: Problem, project_workflow: str) -> None:
    """Events that outlive their source must not point to persons who do not."""
    first = project_workflow.replace(STEP, "mappings: mappings/person.yaml")
    files = {
        "workflow.yaml": f"{first}  - {{name: more, kind: dml, mappings: mappings/conditions.yaml, write: merge}}\n"
    }
    found = problem(files)
    assert (found.code, place(found)) == ("kept-reference", "workflow.yaml:17")
    assert found.help == "give 'mappings' a `write` that keeps rows, or 'more' one that does not"


@pytest.mark.parametrize("write", ["merge", "merge, deletes: delete", "append_new"])
def test_events_and_entities_can_be_merged_together(
    compile_project: Compile, project_workflow: str, write: str
) -> None:
    """One step may say it for all of its mappings; each table is still one transaction."""
    plan = compile_project(with_step(project_workflow, f", write: {write}"))
    (person,) = (step for step in plan.steps if step.name == "write_person")
    assert isinstance(person, SqlStep)
    assert person.transaction == "step"
    assert sum(statement.sql.startswith("MERGE INTO") for statement in person.statements) == ("merge" in write)
