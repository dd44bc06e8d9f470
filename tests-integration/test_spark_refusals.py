"""What is not safe on Spark is refused when a project is compiled, at the author's line, with a way out."""

import pytest
from small_project import PERSON, Etl, patients

from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.session import Session

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
