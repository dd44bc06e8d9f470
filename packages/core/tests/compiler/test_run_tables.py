"""Promises of the tables in which runs note what is done: they are in the plan, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.plan import CompiledWorkflowPlan

Compile = Callable[..., CompiledWorkflowPlan]
Problem = Callable[..., Diagnostic]
STEP = "  - {name: s, kind: sql, file: s.sql%s}\n"


def test_a_plan_makes_the_tables_in_the_target_s_words(compile_project: Compile) -> None:
    """Statements with the dialect's types and the physical schema, and queries for the one workflow."""
    project = 'name: clinic\ncdm_version: "9.9"\nplugins: [acme]\nschemas: {work: a.b}\n'
    project += "targets: {here: {provider: acme, orchestrator: acme}}\n"
    tables = compile_project({"project.yaml": project}).run_tables
    assert tables is not None
    assert (tables.workflow, tables.runs, tables.steps) == ("clinic", ("a", "b", "etl_run"), ("a", "b", "etl_step"))
    schema, runs, steps = (statement.sql for statement in tables.statements)
    assert schema == 'CREATE SCHEMA IF NOT EXISTS "a"."b"'
    assert runs.startswith('CREATE TABLE IF NOT EXISTS "a"."b"."etl_run" (\n  "run_id" TEXT,\n  "run_number" BIGINT')
    assert '"finished_at" TIMESTAMP' in steps
    assert "\"project\" = 'clinic' AND \"workflow\" = 'clinic'" in tables.steps_since


@pytest.mark.parametrize(
    ("text", "more", "place", "verb"),
    [
        pytest.param("select 1 as x", ", creates: work.etl_run", "workflow.yaml:17:48", "write", id="made"),
        pytest.param("delete from work.ETL_STEP", "", "workflow.yaml:17:5", "write", id="changed"),
        pytest.param("select * from work.etl_run", ", creates: work.x", "s.sql:1:15", "read", id="read"),
    ],
)
def test_no_step_may_touch_them(
    project_workflow: str, problem: Problem, text: str, more: str, place: str, verb: str
) -> None:
    """A row that somebody else wrote would prove what never happened; what is read would change with each run."""
    found = problem({"workflow.yaml": project_workflow + STEP % more, "s.sql": text})
    assert (found.code, str(found.position)) == ("reserved-table", place)
    assert f"no step may {verb} it" in found.message


def test_no_mapping_may_read_them(problem: Problem) -> None:
    """Nor may a mapping's `from`."""
    person = "name: person\nkind: table\ntarget: cdm.person\nfrom: {p: work.etl_step}\nkey: [p.step]\n"
    person += "columns: {person_id: {id: [p.step]}, gender_concept_id: 0, year_of_birth: 1970}"
    found = problem({"mappings/person.yaml": person})
    assert (found.code, found.found) == ("reserved-table", "work.etl_step")


def test_no_other_schema_may_hide_them(compile_project: Compile, problem: Problem) -> None:
    """A source that lies in the schema for work has no table of this name."""
    project = 'name: clinic\ncdm_version: "9.9"\nplugins: [acme]\nschemas: {work: one, source: one}\n'
    project += "targets: {here: {provider: acme, orchestrator: acme}}\n"
    workflow = (
        "name: w\nsteps:\n  - {name: source, kind: bulk_load, schema: source, from: data, format: csv,"
        " tables: {%s: a.csv}}\n"
    )
    compile_project({"project.yaml": project, "workflow.yaml": workflow % "runs", "mappings/person.yaml": None})
    found = problem({"project.yaml": project, "workflow.yaml": workflow % "etl_run", "mappings/person.yaml": None})
    assert (found.code, found.message) == (
        "two-tables-in-one",
        "source.etl_run and work.etl_run are both the table one.etl_run",
    )


def test_a_plan_says_what_is_only_made_and_what_is_amended(compile_project: Compile, project_workflow: str) -> None:
    """Tables that a step makes empty have no content of it; a file of statements may build on what it finds."""
    workflow = (
        project_workflow
        + STEP % ", depends_on: mappings"
        + "  - {name: made, kind: sql, file: m.sql, creates: work.m}\n"
    )
    files = {"s.sql": "update cdm.person set gender_concept_id = 0", "m.sql": "select 1 as x"}
    plan = compile_project({"workflow.yaml": workflow, **files})
    tables = plan.step("cdm_tables")
    assert tables.creates == tables.writes != ()
    assert (plan.step("write_person").creates, plan.step("s").creates) == ((), ())
    assert {step.name for step in plan.steps if step.amends} == {"s"}
