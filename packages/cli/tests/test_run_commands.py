"""Promises of `run` and `runs`, on a real database."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from omopcloudetl.cli.commands.run import resume_command
from omopcloudetl.cli.options import ProjectOptions


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
    assert any(re.search(r"source_patients  5 rows  \d+\.\d\d s$", line) for line in lines)


def test_quiet_shows_only_the_result(call, project: Path) -> None:
    """With `--quiet` nothing is told on the way, and the result is the same."""
    result = call("run", "--project", project, "--quiet")
    assert result.stderr == ""
    assert "cdm.person" in result.stdout


def test_verbose_logs(call, project: Path) -> None:
    """With `-v` the steps are logged as they end, with `-vv` as they begin too."""
    one = call("run", "--project", project, "-v").stderr
    two = call("run", "--project", project, "-vv").stderr
    assert "run_started" in one
    assert "step_finished" in one
    assert "step_started" not in one
    assert "step_started" in two


def test_a_run_as_json_is_its_record(call, project: Path) -> None:
    """Programs get one document: the record of the run, as it is kept."""
    document = json.loads(call("run", "--project", project, "--format", "json").stdout)
    assert document["state"] == "done"
    assert document["table_rows"]["cdm.person"] == 2
    shown = call("runs", "show", document["run_id"], "--project", project, "--format", "json")
    assert document.pop("diagnostics") == []  # what the compiler warned about is no part of the record
    assert json.loads(shown.stdout) == document


ENDLESS = """
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000000)
SELECT max(n) AS n FROM numbers
"""


def test_only_what_changed_is_run(call, project: Path) -> None:
    """After a run that completed, `--changed` runs the changed mapping and what depends on it."""
    call("run", "--project", project)
    mapping = next(path for path in (project / "mappings").glob("*.yaml") if "cdm.person" in path.read_text("utf-8"))
    mapping.write_text(mapping.read_text("utf-8").replace("race_concept_id: 0", "race_concept_id: 8527"), "utf-8")
    steps = json.loads(call("run", "--project", project, "--changed", "--format", "json").stdout)["steps"]
    states = {step["name"]: step["state"] for step in steps}
    assert [states[name] for name in ("source_patients", "stage_person", "write_person")] == ["skipped", "done", "done"]


@pytest.mark.parametrize("flags", [("--resume", "--changed"), ("--changed", "--resume")])
def test_resume_and_changed_exclude_each_other(call, project: Path, flags: tuple[str, str]) -> None:
    """One goes on with a run, the other begins one that has less to do: who says both means something else."""
    assert "not both" in call("run", "--project", project, *flags, code=2).output


@pytest.fixture
def failing(project: Path) -> Path:
    """A project whose source file lacks a column that a mapping reads."""
    (project / "data" / "patients.csv").write_text("id\na\n", "utf-8")
    return project


def test_a_failed_run_is_1(call, failing: Path) -> None:
    """A failed step is shown with the whole error and what to do; the exit code says it too."""
    result = call("run", "--project", failing, code=1)
    assert "failed: source_patients" in result.stdout
    *_, outcome, command, note = result.stdout.splitlines()
    assert " failed: " in outcome
    assert command == f"when the cause is gone: omopcloudetl run --project {failing} --resume"
    assert note == "(it skips steps that completed unchanged; changed data files are not noticed)"
    assert "\n  from workflow.yaml:13\n" in result.stdout
    assert "failed  source_patients" in result.stderr
    assert "Traceback" not in result.output


def test_a_failed_run_says_what_did_not_run_and_why(call, failing: Path) -> None:
    """People and programs are told which steps were skipped, once for each reason."""
    text = call("run", "--project", failing, "--quiet", code=1).stdout
    assert re.search(r"\nskipped: stage_person, .*\n  waits for source_patients, which failed\n", text)
    add = "on_failure: stop\nsteps:"
    workflow = failing / "workflow.yaml"
    workflow.write_text(workflow.read_text("utf-8").replace("steps:", add, 1), "utf-8")
    document = json.loads(call("run", "--project", failing, "--format", "json", code=1).stdout)
    states = {step["name"]: step["state"] for step in document["steps"]}
    names = [name for group in document["skipped"].values() for name in group]
    assert sorted(names) == sorted(name for name, state in states.items() if state == "skipped")
    assert "stage_person" in document["skipped"]["waits for source_patients, which failed"]


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
    assert result.stdout.startswith("dry run on target local (duckdb): ")
    assert result.stdout.rstrip().endswith("nothing was touched")
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


def test_a_run_is_found_by_the_beginning_of_its_id(call, project: Path) -> None:
    """Without an id the newest run is shown; one that cannot be read is no wrong argument."""
    assert "there are no runs yet" in call("runs", "show", "--project", project, code=2).stderr
    ids = [json.loads(call("run", "--project", project, "--format", "json").stdout)["run_id"] for _ in range(2)]
    old = "19990101T000000-000000"
    change = "UPDATE run SET run_id = ?, record = replace(record, run_id, ?) WHERE run_id = ?"
    with closing(sqlite3.connect(project / ".omopcloudetl" / "runs.sqlite3", isolation_level=None)) as store:
        store.execute(change, (old, old, ids[0]))
        for arguments, run_id in (([], ids[1]), (["1999"], old), ([ids[1]], ids[1])):
            assert f"run {run_id} done" in call("runs", "show", *arguments, "--project", project).stdout
        store.execute("UPDATE run SET record = '{}' WHERE run_id = ?", (old,))
    assert "no run record" in call("runs", "show", "1999", "--project", project, code=1).stderr
    with pytest.warns(RuntimeWarning, match="no run record"):
        listed = json.loads(call("runs", "--project", project, "--format", "json").stdout)["runs"]
    assert [run["run_id"] for run in listed] == [ids[1]]


def test_the_list_has_the_newest_runs(call, project: Path) -> None:
    """As many as are asked for, in the order in which they began."""
    ids = [json.loads(call("run", "--project", project, "--format", "json").stdout)["run_id"] for _ in range(3)]
    text = call("runs", "--project", project, "--limit", 2, "--format", "json").stdout
    assert [run["run_id"] for run in json.loads(text)["runs"]] == ids[:0:-1]


def test_the_log_tells_what_happened(call, failing: Path) -> None:
    """Its lines have time, level, event and step; for programs they are a document."""
    call("run", "--project", failing, "--quiet", code=1)
    lines = call("runs", "log", "--project", failing).stdout.splitlines()
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (info|warning|error) +\w+.*"
    assert all(re.fullmatch(pattern, line) for line in lines)
    assert re.search(r" error +step_finished source_patients state=failed seconds=\S+ error=.*year", "\n".join(lines))
    document = json.loads(call("runs", "log", "--project", failing, "--format", "json").stdout)
    assert (
        document["run_id"]
        == json.loads(call("runs", "show", "--project", failing, "--format", "json").stdout)["run_id"]
    )
    assert [document["log"][place]["event"] for place in (0, -1)] == ["run_started", "run_finished"]
    assert "there is no run 'x'" in call("runs", "log", "x", "--project", failing, code=2).stderr


def test_an_unknown_run_is_a_wrong_argument(call, project: Path) -> None:
    """A run that is not there is told with its id, to programs too."""
    assert "there is no run 'nope'" in call("runs", "show", "nope", "--project", project, code=2).stderr
    text = call("runs", "show", "nope", "--project", project, "--format", "json", code=2).stdout
    assert "there is no run 'nope'" in json.loads(text)["error"]["message"]


def test_a_mapping_that_came_to_nothing_is_a_warning(call, project: Path) -> None:
    """People are warned on stderr, programs in the document, of a run that did no good."""
    mapping = project / "mappings" / "person.yaml"
    mapping.write_text(mapping.read_text("utf-8").replace("where: p.year >= :first_year\n", ""), "utf-8")
    (project / "data" / "patients.csv").write_text("id,year\na,\nb,\n", "utf-8")
    warning = "every one of the 2 rows of person was quarantined: year_of_birth: missing; see work.quarantine"
    assert call("run", "--project", project, "--quiet").stderr.endswith(f"\nwarning: {warning}\n")
    assert json.loads(call("run", "--project", project, "--format", "json").stdout)["warnings"] == [warning]


def test_a_failed_run_as_json_says_why(call, failing: Path) -> None:
    """`error` names the steps that failed, and their records say where they come from."""
    document = json.loads(call("run", "--project", failing, "--format", "json", code=1).stdout)
    assert document["error"] == {"kind": "RunFailed", "message": "1 step failed: source_patients"}
    assert {step["name"]: step["origin"] for step in document["steps"]}["source_patients"] == "workflow.yaml:13"


@pytest.mark.parametrize(
    ("options", "command"),
    [
        (ProjectOptions(Path(), None, {}), "omopcloudetl run --resume"),
        (
            ProjectOptions(Path("a b"), "other", {"x": "1", "y": "it's"}),
            """omopcloudetl run --project 'a b' --target other --var x=1 --var 'y=it'"'"'s' --resume""",
        ),
        (ProjectOptions(Path("p"), None, {"source_uri": "/data" * 20}), "the same command with --resume"),
    ],
)
def test_the_command_to_go_on_is_the_one_that_was_given(options: ProjectOptions, command: str) -> None:
    """Project, target and variables are part of it, quoted for a shell; a long one is not repeated."""
    assert resume_command(options) == command


def test_a_hint_can_be_copied_where_uv_runs_the_command(monkeypatch) -> None:
    """What `uv run` runs is not on the path, so that a hint without it would find no command."""
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert resume_command(ProjectOptions(Path(), None, {})) == "uv run omopcloudetl run --resume"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_an_interrupted_run_says_how_to_go_on(project: Path) -> None:
    """Ctrl-C tells how many steps were done, and the command for the rest."""
    slow = "  - {name: slow, kind: sql, file: slow.sql, creates: work.slow, depends_on: [people]}\n"
    workflow = project / "workflow.yaml"
    workflow.write_text(workflow.read_text("utf-8") + slow, "utf-8")
    (project / "slow.sql").write_text(ENDLESS, "utf-8")
    command = [sys.executable, "-m", "omopcloudetl.cli", "run", "-vv", "--project", str(project)]
    # A shell that starts the tests in the background lets its children ignore Ctrl-C.
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=heeding
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "step_started" in line and "step=slow" in line:
                break
        process.send_signal(signal.SIGINT)
        last = process.stderr.read().splitlines()[-1]
        assert process.wait(timeout=30) == 130
    resume = re.escape(f"omopcloudetl run --project {project} --resume")
    assert re.fullmatch(rf"interrupted: [1-9]\d* of \d+ steps were done; to go on: {resume}", last)
