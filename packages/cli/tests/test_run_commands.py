"""Promises of `run` and `runs`, on a real database."""

import json
from pathlib import Path

import pytest


def test_a_run_shows_tables_and_ledger(call, project: Path) -> None:
    """The result names the CDM tables with rows and says what became of every source row."""
    result = call("run", "--project", project)
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "cdm.person 2" in lines
    # Five rows: one born too early, one of unknown year, two of the same person.
    assert any(line.startswith("person 5 0 2 0 1 2 person 0") for line in lines)
    assert lines[-1].startswith("run ")
    assert " done: " in lines[-1]


def test_steps_are_told_on_stderr(call, project: Path) -> None:
    """Where nobody watches, each finished step is one line with its count, rows and time."""
    lines = call("run", "--project", project).stderr.splitlines()
    total = len(lines)
    assert lines[-1].startswith(f"[{total}/{total}] done ")
    assert any("source_patients  5 rows  0." in line for line in lines)


def test_quiet_shows_only_the_result(call, project: Path) -> None:
    """With `--quiet` nothing is told on the way, and the result is the same."""
    result = call("run", "--project", project, "--quiet")
    assert result.stderr == ""
    assert "cdm.person" in result.stdout


def test_verbose_logs(call, project: Path) -> None:
    """With `-v` the steps are logged as they end, with `-vv` as they begin too."""
    one = call("run", "--project", project, "-v").stderr
    two = call("run", "--project", project, "-vv").stderr
    assert "step_finished" in one
    assert "step_started" not in one
    assert "step_started" in two


def test_a_run_as_json_is_its_record(call, project: Path) -> None:
    """Programs get one document: the record of the run, as it is kept."""
    document = json.loads(call("run", "--project", project, "--format", "json").stdout)
    assert document["state"] == "done"
    assert document["table_rows"]["cdm.person"] == 2
    shown = call("runs", "show", document["run_id"], "--project", project, "--format", "json")
    assert json.loads(shown.stdout) == document


@pytest.fixture
def failing(project: Path) -> Path:
    """A project whose source file lacks a column that a mapping reads."""
    (project / "data" / "patients.csv").write_text("id\na\n", "utf-8")
    return project


def test_a_failed_run_is_1(call, failing: Path) -> None:
    """A failed step is shown with the whole error and what to do; the exit code says it too."""
    result = call("run", "--project", failing, code=1)
    assert "failed: source_patients" in result.stdout
    assert "failed:" in result.stdout.splitlines()[-2]
    assert result.stdout.splitlines()[-1].endswith(f"run --project {failing} --resume")
    assert "failed  source_patients" in result.stderr
    assert "Traceback" not in result.output


def test_a_failed_run_is_told_once_when_quiet(call, failing: Path) -> None:
    """Quiet is quiet on failure as well: the result tells it."""
    result = call("run", "--project", failing, "--quiet", code=1)
    assert result.stderr == ""
    assert "failed: source_patients" in result.stdout


def test_resume_goes_on_where_a_run_failed(call, failing: Path) -> None:
    """When the cause is gone, `--resume` runs what is left."""
    call("run", "--project", failing, code=1)
    (failing / "data" / "patients.csv").write_text("id,year\na,1950\n", "utf-8")
    text = call("run", "--project", failing, "--resume", "--format", "json").stdout
    document = json.loads(text)
    states = {step["name"]: step["state"] for step in document["steps"]}
    assert document["state"] == "done"
    assert states["tables"] == "skipped"
    assert states["source_patients"] == "done"


def test_a_dry_run_touches_nothing(call, project: Path) -> None:
    """`--dry-run` shows the steps and leaves neither a database nor a record."""
    before = sorted(project.rglob("*"))
    result = call("run", "--project", project, "--dry-run")
    assert "source_patients" in result.stdout
    assert "nothing was touched" in result.stdout
    assert sorted(project.rglob("*")) == before


def test_a_database_that_cannot_open_is_one_line(call, project: Path) -> None:
    """What the engine refuses is told in one line, without a traceback."""
    (project / "omop.duckdb").write_text("this is no database" * 1000, "utf-8")
    result = call("run", "--project", project, "--quiet", code=1)
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_an_error_as_json_is_a_document(call, project: Path) -> None:
    """With `--format json` stdout is one document for an error too."""
    (project / "omop.duckdb").write_text("this is no database" * 1000, "utf-8")
    result = call("run", "--project", project, "-q", "--format", "json", code=1)
    assert json.loads(result.stdout)["error"]["kind"] == "DatabaseConnectionError"


def test_runs_are_listed_newest_first(call, project: Path) -> None:
    """`runs` lists what was run, and `runs show` shows one of them with its steps."""
    assert call("runs", "--project", project).stdout == "no runs yet\n"
    ids = []
    for _ in range(2):
        text = call("run", "--project", project, "--format", "json").stdout
        ids.append(json.loads(text)["run_id"])
    text = call("runs", "--project", project, "--format", "json").stdout
    assert {run["run_id"] for run in json.loads(text)["runs"]} == set(ids)
    assert all(run_id in call("runs", "--project", project).stdout for run_id in ids)
    shown = call("runs", "--project", project, "show", ids[0]).stdout
    assert "source_patients" in shown
    assert "Ledger" in shown


def test_an_unknown_run_is_one_line(call, project: Path) -> None:
    """A run that is not there is told with its id."""
    result = call("runs", "show", "nope", "--project", project, code=1)
    assert result.stderr.startswith("error: there is no run 'nope'")
