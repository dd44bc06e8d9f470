"""What is not safe on Spark is refused when a project is compiled, at the author's line, with a way out."""

import pytest
from small_project import PERSON, Etl, patients

from omopcloudetl.core.errors import ProjectError
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
