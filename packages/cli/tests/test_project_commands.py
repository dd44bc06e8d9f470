"""Promises of `init` and `demo`, with the real template and the real demo data."""

import json
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test stands in a folder of its own."""
    monkeypatch.chdir(tmp_path)


def test_init_makes_a_project(call, tmp_path: Path) -> None:
    """The template is there, the variables are set, and what is missing is named."""
    result = call("init", "p", "--template", "synthea", "--var", "source_uri=files")
    assert "vocabulary_uri (uri)" in result.stdout
    assert "omopcloudetl validate --project p" in result.stdout
    assert "source_uri: ../files" in (tmp_path / "p" / "project.yaml").read_text("utf-8")
    assert "missing-variable" in call("validate", "--project", "p", code=2).stderr
    call("validate", "--project", "p", "--var", "vocabulary_uri=files")


def test_init_as_json(call) -> None:
    """Programs get the files and the variables that need a value."""
    document = json.loads(call("init", "p", "--template", "synthea", "--format", "json").stdout)
    assert document["project"] == "p"
    assert "project.yaml" in document["files"]
    assert set(document["unset"]) == {"source_uri", "vocabulary_uri"}


def test_a_suggested_command_can_be_copied(call) -> None:
    """A folder with a space is quoted where it is part of a command."""
    assert "--project 'a b'" in call("init", "a b", "--template", "synthea").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new", "--template", "synhea"], "did you mean 'synthea'?"),
        (["used", "--template", "synthea"], "exists and is not an empty folder"),
        (["new", "--template", "synthea", "--var", "sorce_uri=x"], "did you mean: source_uri"),
        (["new"], "Missing option '--template'"),
    ],
)
def test_init_refuses(call, tmp_path: Path, arguments: list[str], message: str) -> None:
    """What cannot be made is the user's mistake, and nothing is left behind."""
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").touch()
    assert message in call("init", *arguments, code=2).stderr
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["mine.txt"]


def test_the_demo_shows_an_omop_database(call, tmp_path: Path) -> None:
    """One command makes project, plan and database, and says where they are."""
    text = call("demo").stdout
    for place in ("omop-demo/omop.duckdb", "omop-demo/plan.json"):
        assert place in text
        assert (tmp_path / place).is_file()
    assert "cdm.person" in text
    assert "Ledger" in text
    assert "omopcloudetl compile --project omop-demo --sql" in text


def test_the_demo_can_be_repeated(call) -> None:
    """A project that is there already is run again, and the CDM is the same."""
    first, second = (json.loads(call("demo", "d", "--quiet", "--format", "json").stdout) for _ in range(2))
    assert first["run"]["table_rows"] == second["run"]["table_rows"]
    assert first["run"]["plan_hash"] == second["run"]["plan_hash"]
    assert second["database"] == "duckdb (d/omop.duckdb)"


def test_the_demo_runs_no_project_of_somebody_else(call, tmp_path: Path) -> None:
    """A project that is not the demo is refused, whatever its data, and stays as it is."""
    call("init", "mine", "--template", "synthea", "--var", "source_uri=files", "--var", "vocabulary_uri=files")
    (tmp_path / "mine" / "data" / "source").mkdir(parents=True)
    call("init", "bare", "--template", "synthea", "--var", "source_uri=bare/data/source")
    before = sorted(tmp_path.rglob("*"))
    for name in ("mine", "bare"):
        error = call("demo", name, code=2).stderr
        assert f"{name} holds a project that is not the demo" in error
        assert f"omopcloudetl run --project {name}" in error
    assert sorted(tmp_path.rglob("*")) == before


def test_the_demo_takes_no_folder_of_somebody_else(call, tmp_path: Path) -> None:
    """A folder that holds something else is refused and stays as it is."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    assert "not an empty folder" in call("demo", "mine", code=2).stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
