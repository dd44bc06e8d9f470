"""Promises of `vocabulary` steps: which loads they become, in which order, and which files must be there."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep

Compile = Callable[..., CompiledWorkflowPlan]
Problem = Callable[..., Diagnostic]

HEAD = dedent("""\
    name: w
    variables: {folder: {type: uri}}
    steps:
      - {name: vocab_ddl, kind: ddl, schema: vocab}
      - {name: cdm_ddl, kind: ddl, schema: cdm}
    """)
SOURCE = dedent("""\
      - name: source
        kind: bulk_load
        schema: source
        from: data
        format: csv
        tables: {patients: {file: patients.csv, columns: {id: text, gender: text, birthdate: date}}, conditions: c.csv}
      - {name: mappings, kind: dml, mappings: mappings/*.yaml}
    """)


def workflow(step: str, *more: str) -> dict[str, str]:
    """The project of the clinic with a vocabulary step in line 6, and further steps."""
    lines = "".join(f"  - {{{text}}}\n" for text in (step, *more))
    return {"workflow.yaml": HEAD + lines + "".join(f"  {line}\n" for line in SOURCE.splitlines())}


STEP = "name: v, kind: vocabulary, from: athena"


def loads(plan: CompiledWorkflowPlan) -> dict[str, BulkLoadStep]:
    """The loads of the vocabulary, by table."""
    return {step.table[-1]: step for step in plan.steps if isinstance(step, BulkLoadStep) and step.table[0] == "vocab"}


def test_every_table_that_athena_delivers_is_loaded(compile_project: Compile) -> None:
    """The project's own map is none of them; the first load is that of concepts, and the others wait for it."""
    found = loads(compile_project(workflow(STEP)))
    assert list(found) == ["concept", "concept_relationship"]
    assert [step.uri for step in found.values()] == ["athena/CONCEPT.csv", "athena/CONCEPT_RELATIONSHIP.csv"]
    assert {step.mode for step in found.values()} == {"replace_rows"}
    assert {step.format for step in found.values()} == {"athena"}
    assert found["concept_relationship"].depends_on == ("v_concept", "vocab_ddl")
    assert found["concept"].others == (
        "athena/concept.csv",
        "athena/CONCEPT.csv.gz",
        "athena/concept.csv.gz",
        "athena/CONCEPT.csv.zst",
        "athena/concept.csv.zst",
    )


def test_the_first_load_asks_for_all_files_that_rules_read(compile_project: Compile) -> None:
    """So that what is missing is one error, before anything is changed."""
    found = loads(compile_project(workflow(STEP)))
    (needed,) = found["concept"].beside
    assert needed.uris[0] == "athena/CONCEPT_RELATIONSHIP.csv"
    assert needed.needed_by == "mappings/conditions.yaml:1"
    assert found["concept_relationship"].beside == ()
    assert not any(step.optional for step in found.values())


def test_the_plan_is_the_same_whatever_files_there_are(compile_project: Compile) -> None:
    """Which of the files are there is found out when the plan runs."""
    before = compile_project(workflow(STEP))
    assert compile_project({**workflow(STEP), "athena/CONCEPT.csv": "concept_id\n"}).to_json() == before.to_json()


def test_what_nothing_reads_may_be_missing(compile_project: Compile) -> None:
    """And so may what the step says, even if a rule reads it."""
    files = {**workflow(STEP), "mappings/conditions.yaml": None}
    assert [step.optional for step in loads(compile_project(files)).values()] == [
        False,
        False,
    ]  # no lookup without them
    found = loads(compile_project(workflow(f"{STEP}, optional: concept_relationship")))
    assert found["concept_relationship"].optional
    assert found["concept"].beside == ()


def test_only_the_named_tables_are_loaded(compile_project: Compile) -> None:
    """The first of them is then the one that asks for the others."""
    found = loads(compile_project(workflow(f"{STEP}, tables: concept_relationship")))
    assert list(found) == ["concept_relationship"]
    assert not found["concept_relationship"].optional


def test_mappings_wait_until_the_vocabulary_was_looked_at(compile_project: Compile) -> None:
    """Who adds concepts comes before that, who looks them up after it."""
    files = workflow(STEP, "name: own, kind: sql, file: own.sql")
    own = "insert into vocab.concept select * from vocab.concept where concept_id < 0"
    plan = compile_project({**files, "own.sql": own})
    check = plan.step("v_check")
    assert isinstance(check, SqlStep)
    assert check.depends_on == ("own", "v_concept", "v_concept_relationship", "vocab_ddl")
    assert "v_check" in plan.step("stage_conditions").depends_on
    assert "v_check" not in plan.step("own").depends_on
    assert [statement.check for statement in check.statements if statement.check] == [
        "the vocabulary has no concepts: CONCEPT.csv is empty"
    ]


def test_an_archive_is_a_folder_of_its_members(compile_project: Compile) -> None:
    """A zip stands where a folder stands."""
    plan = compile_project(workflow("name: v, kind: vocabulary, from: ':folder'"), folder="/srv/v5.zip")
    assert loads(plan)["concept"].uri == "/srv/v5.zip/CONCEPT.csv"


@pytest.mark.parametrize(
    ("step", "code", "found", "near"),
    [
        pytest.param(f"{STEP}, tables: [concpt]", "unknown-table", "concpt", "concept", id="table"),
        pytest.param(
            f"{STEP}, tables: source_to_concept_map", "unknown-table", "source_to_concept_map", None, id="own map"
        ),
        pytest.param(f"{STEP}, optional: [conceptt]", "unknown-table", "conceptt", "concept", id="optional"),
        pytest.param(
            f"{STEP}, tables: concept, optional: concept_relationship",
            "no-effect",
            "concept_relationship",
            None,
            id="both",
        ),
        pytest.param("name: v, kind: vocabulary, from: /srv", "outside-project", None, None, id="outside"),
        pytest.param("name: v, kind: vocabulary, from: ':foldr'", "unknown-variable", "foldr", "folder", id="variable"),
        pytest.param("name: v, kind: vocabulary", "missing-key", None, None, id="no from"),
        pytest.param(f"{STEP}, format: csv", "unknown-key", "format", None, id="format"),
    ],
)
def test_what_a_step_cannot_say_is_told(problem: Problem, step: str, code: str, found: str, near: str) -> None:
    """One diagnostic, in the step's line."""
    told = problem(workflow(step))
    assert (told.code, told.found, told.position.line) == (code, found, 6)
    if near:
        assert told.suggestion == near
