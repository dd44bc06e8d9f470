"""Promises of `validate` and `compile`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from omopcloudetl.core.plan import CompiledWorkflowPlan


def test_validate_says_what_the_project_makes(call, project: Path) -> None:
    """A project without mistakes is summed up in one line and nothing is written."""
    before = sorted(project.rglob("*"))
    result = call("validate", "--project", project)
    assert result.stdout.startswith("tiny is valid: 1 mapping, ")
    assert sorted(project.rglob("*")) == before


def test_validate_as_json(call, project: Path) -> None:
    """Programs get the same as one document."""
    document = json.loads(call("validate", "--project", project, "--format", "json").stdout)
    assert (document["valid"], document["mappings"], document["target"]) == (True, 1, "local")


def test_mistakes_are_shown_where_they_are(call, project: Path, monkeypatch) -> None:
    """A diagnostic has a path that opens from here and the piece that is wrong, and the count comes last."""
    (project / "mappings" / "person.yaml").write_text("name: person\nkind: tabel\n", "utf-8")
    monkeypatch.chdir(project.parent)
    result = call("validate", "--project", "tiny", code=2)
    assert result.stdout == ""
    assert result.stderr.startswith("error[unknown-kind]: ")
    assert " --> tiny/mappings/person.yaml:2:7\n" in result.stderr
    assert "\n2 | kind: tabel\n  |       ^^^^^\n" in result.stderr
    assert result.stderr.endswith("\n1 error in 1 file\n")


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("", True), ("1", False)])
def test_mistakes_have_colours_on_a_terminal_unless_it_shall_have_none(
    project: Path, no_color: str | None, coloured: bool
) -> None:
    """NO_COLOR that is not empty takes the colours away; the text is the same."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    (project / "mappings" / "person.yaml").write_text("name: person\nkind: tabel\n", "utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    if no_color is not None:
        environment["NO_COLOR"] = no_color
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "omopcloudetl.cli", "validate", "--project", str(project)]
    subprocess.run(command, env=environment, stderr=theirs, timeout=60)
    os.close(theirs)
    text = os.read(ours, 100_000).decode()
    os.close(ours)
    assert ("\x1b[" in text) == coloured
    assert "kind: tabel" in text


def test_mistakes_as_json(call, project: Path) -> None:
    """Editors get every mistake as data, with paths relative to the project."""
    (project / "mappings" / "person.yaml").write_text("name: person\nkind: tabel\n", "utf-8")
    result = call("compile", "--project", project, "--format", "json", code=2)
    document = json.loads(result.stdout)
    (problem,) = document["diagnostics"]
    assert document["valid"] is False
    assert problem["position"] == {"file": "mappings/person.yaml", "line": 2, "column": 7}
    assert problem["end"] == {"file": "mappings/person.yaml", "line": 2, "column": 12}
    assert problem["suggestion"] == "table"
    assert result.stderr == ""


def test_no_project_is_the_users_mistake(call, tmp_path: Path) -> None:
    """A folder without project.yaml is named, with what to do."""
    for command in (["validate"], ["run"], ["runs"], ["plugins"], ["spec", "list"]):
        result = call(*command, "--project", tmp_path / "nowhere", code=2)
        assert "omopcloudetl init" in result.stderr


def test_compile_shows_the_steps(call, project: Path) -> None:
    """Each step is a line with its place, and the last line has the plan's hash."""
    plan = _plan(call, project)
    text = call("compile", "--project", project).stdout
    assert all(f" {step.name} " in text for step in plan.steps)
    assert text.rstrip().endswith(f"plan {plan.content_hash[:12]}")


def _plan(call, project: Path, *more: object) -> CompiledWorkflowPlan:
    text = call("compile", "--project", project, "-o", "-", *more).stdout
    return CompiledWorkflowPlan.from_json(text)


def test_the_plan_can_be_written_or_printed(call, project: Path, tmp_path: Path) -> None:
    """`-o FILE` and `-o -` give the same bytes, which are the plan."""
    result = call("compile", "--project", project, "-o", tmp_path / "plan.json")
    assert f"written to {tmp_path / 'plan.json'}" in result.stdout
    printed = call("compile", "--project", project, "-o", "-").stdout_bytes
    assert (tmp_path / "plan.json").read_bytes() == printed


def test_a_plan_that_cannot_be_written_is_a_message(call, project: Path, tmp_path: Path) -> None:
    """A folder that is not there is the user's mistake, without a traceback."""
    result = call("compile", "--project", project, "-o", tmp_path / "no" / "plan.json", code=1)
    assert "No such file or directory" in result.stderr


def test_compile_as_json_has_no_sql(call, project: Path) -> None:
    """The summary for programs lists steps and their dependencies; the SQL is in the plan."""
    document = json.loads(call("compile", "--project", project, "--format", "json").stdout)
    plan = _plan(call, project)
    assert document["content_hash"] == plan.content_hash
    assert [step["name"] for step in document["steps"]] == [step.name for step in plan.steps]
    assert all(isinstance(step.get("statements", 0), int) for step in document["steps"])


def test_the_sql_is_a_script_with_comments(call, project: Path) -> None:
    """Every statement of the plan stands in the script, below its step and its purpose."""
    script = call("compile", "--project", project, "--sql").stdout
    for step in _plan(call, project).steps:
        assert f"\n-- step {step.name}: " in script
        for statement in step.statements if step.kind == "sql" else ():
            assert f"{statement.sql};\n" in script
            assert f"-- {statement.purpose}\n" in script
    assert "bulk load of data/patients.csv (csv) into source.patients" in script


@pytest.mark.parametrize("other", [["-o", "-"], ["--format", "json"]])
def test_only_one_thing_goes_to_stdout(call, project: Path, other: list[str]) -> None:
    """The script and a document do not mix."""
    assert "--sql" in call("compile", "--project", project, "--sql", *other, code=2).stderr


def test_the_target_is_chosen(call, project: Path) -> None:
    """`--target` takes another target, and an unknown one is told with those there are."""
    result = call("validate", "--project", project, "--target", "other")
    assert "target other" in result.stdout
    result = call("validate", "--project", project, "--target", "othr", code=2)
    assert "did you mean: other" in result.stderr


def test_variables_come_from_the_command_line(call, project: Path, tmp_path, monkeypatch) -> None:
    """`--var` wins over the project, and a relative path is relative to the current folder."""
    monkeypatch.chdir(tmp_path)
    plan = _plan(call, project, "--var", "source_uri=files", "--var", "first_year=1955")
    assert [step.uri for step in plan.steps if step.kind == "bulk_load"] == ["../files/patients.csv"]
    assert "1955" in plan.to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source_uri", "'source_uri' is not NAME=VALUE"),
        ("=x", "'=x' is not NAME=VALUE"),
        ("sorce_uri=x", "did you mean: source_uri"),
        ("first_year=soon", "must be of type integer"),
    ],
)
def test_wrong_variables_are_the_users_mistake(call, project: Path, text: str, message: str) -> None:
    """A value without a name, an unknown name, or a value of another type is refused."""
    assert message in call("validate", "--project", project, "--var", text, code=2).stderr
