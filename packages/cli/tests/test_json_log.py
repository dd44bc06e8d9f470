"""Promises of `--log-format json`: every line on stderr is one JSON object, whatever happens."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest


def lines_of(stderr: str) -> list[dict[str, object]]:
    """The objects; a line that is none fails."""
    found = [json.loads(line) for line in stderr.splitlines()]
    assert found
    for line in found:
        assert datetime.fromisoformat(str(line["time"])).utcoffset() == timedelta(0)
        assert list(line)[:3] == ["time", "level", "event"]
    return found


def run(project: Path, *arguments: str, code: int = 0) -> tuple[str, list[dict[str, object]]]:
    """Run the command in a process of its own, where nothing is between it and stderr."""
    command = [sys.executable, "-m", "omopcloudetl.cli", *arguments, "--log-format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=project, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout, lines_of(done.stderr)


def test_a_run_is_a_stream_of_objects(project: Path) -> None:
    """Its start, each step's start and end, and its end, each with the run's id; the result stays on stdout."""
    stdout, lines = run(project, "run", "--format", "json")
    record = json.loads(stdout)
    assert {line["run_id"] for line in lines} == {record["run_id"]}
    assert (lines[0]["event"], lines[-1]["event"]) == ("run_started", "run_finished")
    for event in ("step_started", "step_finished"):
        told = [str(line["step"]) for line in lines if line["event"] == event]
        assert sorted(told) == sorted(step["name"] for step in record["steps"])
    ended = {line["step"]: line for line in lines if line["event"] == "step_finished"}
    loaded = ended["source_patients"]
    assert (loaded["state"], loaded["rows_loaded"], loaded["attempts"]) == ("done", 5, 1)


def test_warnings_and_failures_are_objects(project: Path) -> None:
    """Of steps, of the run's result, of the compiler."""
    (project / "data" / "patients.csv").write_text("id,year\na,\nb,\n", "utf-8")
    mapping = project / "mappings" / "person.yaml"
    mapping.write_text(mapping.read_text("utf-8").replace("where: p.year >= :first_year\n", ""), "utf-8")
    _, lines = run(project, "run")
    (warning,) = [line for line in lines if line["event"] == "warning"]
    assert "was quarantined" in str(warning["message"])
    assert warning["level"] == "warning"
    assert warning["run_id"] == next(line["run_id"] for line in lines if line["event"] == "run_started")
    (unused,) = [line for line in lines if line["event"] == "diagnostic"]
    assert (unused["level"], unused["code"]) == ("warning", "unused-name")
    (project / "data" / "patients.csv").write_text("id\na\n", "utf-8")
    _, lines = run(project, "run", code=1)
    (failed,) = [line for line in lines if line["event"] == "step_failed"]
    assert (failed["level"], failed["step"]) == ("error", "source_patients")


def test_quiet_says_only_what_went_wrong(project: Path) -> None:
    """With `-q` there are no lines of steps that went well."""
    (project / "data" / "patients.csv").write_text("id\na\n", "utf-8")
    _, lines = run(project, "run", "-q", code=1)
    assert {line["event"] for line in lines} == {"step_failed"}


@pytest.mark.parametrize(
    ("change", "arguments", "code", "event"),
    [
        pytest.param("mappings/person.yaml", ["run"], 2, "diagnostic", id="a wrong file"),
        pytest.param("omop.duckdb", ["run"], 1, "error", id="no database"),
        pytest.param(None, ["run", "--no-such-option"], 2, "error", id="a wrong option"),
        pytest.param(None, ["run", "--target", "x"], 2, "diagnostic", id="a wrong target"),
    ],
)
def test_errors_are_objects(project: Path, change: str | None, arguments: list[str], code: int, event: str) -> None:
    """What ends the command before or while it runs is told in the same way."""
    if change is not None:
        (project / change).write_text("no: {such: file}\n" * 2000, "utf-8")
    _, lines = run(project, *arguments, code=code)
    assert event in {line["event"] for line in lines}
    assert {line["level"] for line in lines if line["event"] == event} == {"error"}


def test_the_demo_speaks_json_too(tmp_path: Path) -> None:
    """Every command that runs something has the option; its first line says what was made."""
    _, lines = run(tmp_path, "demo", "-v")
    assert lines[0]["event"] == "project_made"
    assert lines[0]["template"] == "synthea"
