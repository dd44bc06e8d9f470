"""Promises of an examination: every check has a finding, a wrong one has a way out, and no secret is shown."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from omopcloudetl.core import Report, examine_project
from omopcloudetl.core.doctor.machine import check_room, check_state
from omopcloudetl.core.findings import Finding
from omopcloudetl.core.text import in_bytes

Project = Callable[..., Path]
PROJECT = """\
    name: clinic
    cdm_version: "9.9"
    plugins: [acme]
    targets:
      base: {abstract: true, provider: acme, orchestrator: acme}
      here: {extends: base, connection: {password: "${secret:vault_key}"}}
      there: {extends: base, connection: {password: "${secret:nope}"}}
    default_target: here
    """
DATA = {"data/patients.csv": "id,gender,birthdate\n", "data/conditions.csv": "patient,code,start\n"}


def findings(report: Report, check: str) -> list[tuple[str, str]]:
    """Outcome and text of the findings of one check."""
    return [(finding.outcome, finding.found) for finding in report.findings if finding.check == check]


def test_a_project_that_is_all_right_has_only_good_findings(
    acme: ModuleType, project: Project, project_workflow: str
) -> None:
    """From Python to the schemas, in this order, and the project's state folder is not made."""
    head, _, rest = project_workflow.partition("variables:")
    used = f"{head}steps:{rest.partition('steps:')[2]}"  # without variables that no rule reads
    root = project({"project.yaml": PROJECT, "workflow.yaml": used, **DATA})
    report = examine_project(root)
    assert [finding for finding in report.findings if finding.outcome != "ok"] == []
    checks = [finding.check for finding in report.findings]
    assert checks[:5] == ["python", "packages", "plugins", "state folder", "earlier runs"]
    assert checks[5:11] == ["specification", "project files", "target", "secrets", "input files", "connection"]
    assert {finding.target for finding in report.findings[5:]} == {"here"}
    assert report.healthy
    assert not (root / ".omopcloudetl").exists()


def test_secrets_are_named_and_never_shown(acme: ModuleType, project: Project) -> None:
    """The place that has a secret is told; one that nobody has is a problem, and no connection is tried."""
    root = project({"project.yaml": PROJECT, **DATA})
    report = examine_project(root, all_targets=True)
    assert findings(report, "secrets")[0] == ("ok", "vault_key (vault)")
    missing = next(finding for finding in report.of("problem"))
    assert (missing.check, missing.target) == ("secrets", "there")
    assert "connection.password needs it" in (missing.help or "")
    assert findings(report, "connection")[-1] == ("skipped", "a secret is missing")
    assert "sesame" not in json.dumps(report.to_json()) + repr(report)


def test_wrong_files_are_a_problem_with_their_places(acme: ModuleType, project: Project) -> None:
    """The mistakes are listed; a target whose project cannot be read is not looked at."""
    report = examine_project(project({"project.yaml": PROJECT, "workflow.yaml": "a: ["}))
    ((outcome, found),) = findings(report, "project files")
    assert outcome == "problem"
    assert "workflow.yaml:1:" in found
    assert findings(report, "target")[0][0] == "skipped"
    assert not report.healthy


def test_mistakes_of_the_rules_do_not_hide_the_database(acme: ModuleType, project: Project) -> None:
    """A project that loads and does not compile still has a connection to look at, with all its schemas."""
    root = project({"project.yaml": PROJECT, "mappings/conditions.yaml": "name: conditions\nkind: table\n", **DATA})
    wrong = (root / "mappings" / "person.yaml").read_text().replace("person_source_value", "person_sauce")
    (root / "mappings" / "person.yaml").write_text(wrong)
    (root / "mappings" / "conditions.yaml").unlink()
    report = examine_project(root)
    assert findings(report, "project files")[0][0] == "problem"
    assert findings(report, "connection")[0][0] == "ok"
    assert [finding.check for finding in report.findings][-4:] == [
        "schema source",
        "schema vocab",
        "schema cdm",
        "schema work",
    ]


def test_a_specification_that_is_not_here_is_a_problem(acme: ModuleType, project: Project) -> None:
    """With the versions there are."""
    report = examine_project(project({"project.yaml": PROJECT.replace('"9.9"', '"9.8"'), **DATA}))
    assert findings(report, "specification")[0][0] == "problem"


def test_input_files_that_are_missing_are_named(acme: ModuleType, project: Project) -> None:
    """Each with the line that loads it."""
    root = project({"project.yaml": PROJECT, "data/patients.csv": "id\n"})
    ((outcome, found),) = findings(examine_project(root), "input files")
    assert outcome == "problem"
    assert found.splitlines()[0] == "1 file missing"
    assert found.splitlines()[1].startswith("data/conditions.csv (workflow.yaml:")


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        (["CONCEPT.csv", "concept_relationship.csv.gz"], None),
        (["CONCEPT.csv"], "athena/CONCEPT_RELATIONSHIP.csv (workflow.yaml:6)"),
        (["v.zip"], "athena/CONCEPT.csv (workflow.yaml:6)"),
    ],
    ids=["other spellings", "one missing", "an archive beside it"],
)
def test_the_files_of_a_vocabulary_are_looked_for_in_all_their_places(
    acme: ModuleType, project: Project, files: list[str], missing: str | None
) -> None:
    """As a run looks for them."""
    step = "- {name: v, kind: vocabulary, from: athena}"
    workflow = f"name: w\nsteps:\n  - {{name: t, kind: ddl, schema: vocab}}\n  # two\n  # lines\n  {step}\n"
    content = {f"athena/{name}": b"x\n" for name in files}
    report = examine_project(project({"project.yaml": PROJECT, "workflow.yaml": workflow, **content}))
    ((outcome, found),) = findings(report, "input files")
    assert outcome == ("problem" if missing else "ok")
    assert missing is None or missing in found


def test_members_of_an_archive_are_looked_for_in_it(acme: ModuleType, project: Project) -> None:
    """The archive counts once; a member that it lacks is missing."""
    root = project({"project.yaml": PROJECT})
    with zipfile.ZipFile(root / "v.zip", "w") as archive:
        archive.writestr("download/CONCEPT.csv", "x\n")
    step = "- {name: v, kind: vocabulary, from: v.zip, tables: TABLES}"
    workflow = f"name: w\nsteps:\n  - {{name: t, kind: ddl, schema: vocab}}\n  {step}\n"
    for tables, outcome in (("concept", "ok"), ("[concept, concept_relationship]", "problem")):
        (root / "workflow.yaml").write_text(workflow.replace("TABLES", tables), encoding="utf-8")
        ((found, text),) = findings(examine_project(root), "input files")
        assert found == outcome
        assert ("1 file" in text) if outcome == "ok" else ("v.zip/CONCEPT_RELATIONSHIP.csv" in text)


def test_a_password_in_the_file_is_a_warning(acme: ModuleType, project: Project) -> None:
    """Its value is not repeated; a secret in its place is what to write."""
    text = PROJECT.replace("${secret:vault_key}", "hunter2")
    report = examine_project(project({"project.yaml": text, **DATA}))
    assert findings(report, "target")[1] == ("warning", "connection.password stands in the file (project.yaml:6:48)")
    assert "hunter2" not in json.dumps(report.to_json())


def test_a_record_that_cannot_be_read_is_a_warning(acme: ModuleType, project: Project) -> None:
    """The others are read; the file is named, and no warning goes past the report."""
    root = project({"project.yaml": PROJECT, ".omopcloudetl/acme_run.json": "{}", **DATA})
    (root / ".omopcloudetl").chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = examine_project(root)
    assert [outcome for outcome, _ in findings(report, "earlier runs")] == ["warning", "ok"]
    assert findings(report, "state folder")[0][0] == "warning"
    assert report.healthy


def test_a_broken_plugin_is_told(acme: ModuleType, project: Project) -> None:
    """One that the project names is a problem of its files, at its line."""
    report = examine_project(project({"project.yaml": PROJECT.replace("[acme]", "[acme, no_such_plugin]")}))
    assert "no_such_plugin cannot be loaded" in findings(report, "project files")[0][1]


@pytest.mark.parametrize("root", ["nowhere", "."], ids=["no-folder", "no-project"])
def test_where_there_is_no_project_it_says_so(tmp_path: Path, root: str) -> None:
    """The rest of the machine is looked at all the same."""
    report = examine_project(tmp_path / root, all_targets=True)
    assert findings(report, "python")[0][0] == "ok"
    assert findings(report, "project files")[0][0] == "problem"


def test_room_on_the_disk_is_measured_against_the_files(tmp_path: Path) -> None:
    """A disk on which a run would not fit is a warning, also for a folder that is not there yet."""
    (found,) = check_room(tmp_path / "not" / "yet", [1000])
    assert found.outcome == "ok"
    (found,) = check_room(tmp_path, [10**18])
    assert (found.outcome, found.check) == ("warning", "disk")


def test_a_state_folder_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    """A run could keep no record there."""
    (tmp_path / "state").write_text("")
    assert [finding.outcome for finding in check_state(tmp_path / "state")] == ["problem"]


@pytest.mark.parametrize(
    ("size", "text"), [(999, "999 bytes"), (1_500, "1.5 kB"), (2_000_000, "2.0 MB"), (5 * 10**13, "50.0 TB")]
)
def test_sizes_are_for_people(size: int, text: str) -> None:
    """In the units of disks."""
    assert in_bytes(size) == text


def test_a_report_is_healthy_without_problems() -> None:
    """Warnings do not stand in the way of a run."""
    report = Report((Finding("a", "warning", "x"), Finding("b", "skipped", "y")))
    assert report.healthy
    assert not Report((*report.findings, Finding("c", "problem", "z"))).healthy
    assert repr(report) == "<Report: 0 ok, 1 warning, 0 problem, 1 skipped>"
