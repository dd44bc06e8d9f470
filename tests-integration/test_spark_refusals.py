"""What is not safe on Spark is refused when a project is compiled, at the author's line, with a way out."""

import pytest
from small_project import PERSON, Etl, patients

from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.plan import SqlStep
from omopcloudetl.core.session import Session, check_project

SPARK = """
name: small
targets:
  lake: {provider: spark, connection: {remote: "sc://nowhere"}}
"""


@pytest.mark.parametrize("write", ["merge", "append_new"])
def test_rows_are_not_merged_without_transactions(etl: Etl, write: str) -> None:
    """`merge` and `append_new` are refused in the workflow's line, with the engine's reason."""
    etl.write([PERSON], {"patients": patients("a")}, project=SPARK, write=f"write: {write}")

    with pytest.raises(ProjectError) as told:
        Session.open(etl.root).compile()

    assert "error[unsupported]" in str(told.value)
    assert "workflow.yaml" in str(told.value)
    assert f"each statement is a commit of its own), without which a step with `write: {write}`" in str(told.value)
    assert "help: use `write: full`" in str(told.value)


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("INSERT INTO work.more SELECT 1", True),
        ("UPDATE cdm.note SET note_type_concept_id = 1", True),
        ("DELETE FROM cdm.note WHERE note_id < 0", False),
    ],
)
def test_a_script_that_would_do_its_work_twice_is_refused(etl: Etl, statement: str, refused: bool) -> None:
    """What adds or changes rows needs a transaction, at the statement's place; what deletes them does not."""
    step = "  - {name: more, kind: sql, file: more.sql}\n"
    etl.write([PERSON], {"patients": patients("a")}, project=SPARK, steps=step)
    script = f"DELETE FROM cdm.death WHERE person_id < 0;\n{statement};\n"
    (etl.root / "more.sql").write_text(script, encoding="utf-8")

    problems = check_project(etl.root).errors

    assert [problem.code for problem in problems] == ["unsupported"] * refused
    for problem in problems:
        assert (problem.position.file, problem.position.line) == ("more.sql", 2)
        assert "might do its work twice" in problem.message


@pytest.mark.parametrize(
    ("format_", "more", "told"),
    [
        ("iceberg", "", None),
        ("iceberg", ", not_null: false", "the target says not_null: false"),
        ("delta", "", "of Delta only those of Unity Catalog"),
    ],
)
def test_keys_are_said_where_the_format_has_them(etl: Etl, format_: str, more: str, told: str | None) -> None:
    """A step with `primary_keys` says those of tables of Iceberg behind each table; elsewhere it is refused."""
    project = SPARK.replace('nowhere"', f'nowhere", format: {format_}{more}')
    etl.write([PERSON], {"patients": patients("a")}, project=project)
    workflow = etl.root / "workflow.yaml"
    text = workflow.read_text(encoding="utf-8")
    workflow.write_text(text.replace("schema: cdm}", "schema: cdm, primary_keys: true}"), encoding="utf-8")

    checked = check_project(etl.root)

    places = [(problem.code, problem.position.file) for problem in checked.errors]
    assert places == [("unsupported", "workflow.yaml")] * (told is not None)
    assert all(str(told) in problem.message for problem in checked.errors)
    if checked.plan is not None:
        (made,) = [step for step in checked.plan.steps if isinstance(step, SqlStep) and "cdm.person" in step.creates]
        sql = [" ".join(statement.sql.split()) for statement in made.statements]
        created = next(place for place, one in enumerate(sql) if "`cdm`.`person` (" in one)
        assert sql[created + 1] == "ALTER TABLE `cdm`.`person` SET IDENTIFIER FIELDS `person_id`"
