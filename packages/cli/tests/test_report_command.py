"""Promises of `report`: one private file that is the run's page."""

import stat
from pathlib import Path

from omopcloudetl.core import make_report


def test_a_report_is_a_private_file(call, project: Path, tmp_path: Path) -> None:
    """The newest run by default; only the owner may read the file, also where another was there before."""
    call("run", "--project", project, "-q")
    file = tmp_path / "run.html"
    file.write_text("old")
    file.chmod(0o644)
    told = call("report", "--project", project, "-o", file)
    assert told.stdout.endswith(f"(done): {file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    page = file.read_text("utf-8")
    assert page == make_report(project)
    assert "INSERT INTO &#34;cdm&#34;.&#34;person&#34;" in page
    assert list(tmp_path.glob(".run.html*")) == []


def test_a_report_is_named_after_its_run(call, project: Path, tmp_path: Path, monkeypatch) -> None:
    """Without a name it is in the current folder; `-` is stdout."""
    call("run", "--project", project, "-q")
    monkeypatch.chdir(tmp_path)
    told = call("report", "--project", project).stdout
    (file,) = tmp_path.glob("report-*.html")
    assert told.startswith(f"report of run {file.stem.removeprefix('report-')} (done): ")
    assert call("report", "--project", project, "-o", "-").stdout == file.read_text("utf-8")


def test_a_failed_run_says_how_to_go_on(call, project: Path) -> None:
    """Its page has the error and the command for what is left."""
    (project / "data" / "patients.csv").write_text("id\na\n", "utf-8")
    call("run", "--project", project, "-q", code=1)
    page = call("report", "--project", project, "-o", "-").stdout
    assert "has no column" in page
    assert f"omopcloudetl run --project {project} --target local --resume" in page


def test_what_cannot_be_reported_is_told(call, project: Path, tmp_path: Path) -> None:
    """No run, a plan that is none, a plan of another run, a folder that is not there."""
    assert "there are no runs yet" in call("report", "--project", project, code=2).stderr
    call("run", "--project", project, "-q")
    no_plan = tmp_path / "no.json"
    no_plan.write_text("{}")
    assert "this is not a plan" in call("report", "--project", project, "--plan", no_plan, code=1).stderr
    other = tmp_path / "other.json"
    call("compile", "--project", project, "--var", "first_year=1800", "-o", other)
    wrong = call("report", "--project", project, "--plan", other, code=1).stderr
    assert "give the plan of that run, or none" in wrong
    nowhere = tmp_path / "no" / "run.html"
    assert "Could not open file" in call("report", "--project", project, "-o", nowhere, code=1).stderr


def test_a_report_has_the_sql_of_its_run(call, project: Path) -> None:
    """Not that of today's files: the run kept its plan."""
    call("run", "--project", project, "-q", "--var", "first_year=1801")
    (project / "mappings" / "person.yaml").unlink()
    assert "1801" in call("report", "--project", project, "-o", "-").stdout
