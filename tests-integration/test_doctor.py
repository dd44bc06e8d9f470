"""`omopcloudetl doctor` on DuckDB: what it finds, its exit code, and that the database is as it was."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

PROJECT = """\
name: tiny
schemas: {cdm: omop}
targets:
  base: {abstract: true, provider: duckdb, connection: {threads: 1}}
  local: {extends: base, connection: {path: local.duckdb}}
  other: {extends: base, connection: {path: "${secret:TINY_PATH}.duckdb"}, schemas: {cdm: cdm_other}}
default_target: local
"""
WORKFLOW = """\
name: tiny
steps:
  - {name: tables, kind: ddl, schema: cdm}
  - name: source
    kind: bulk_load
    schema: source
    from: data
    format: csv
    tables: {patients: patients.csv}
"""
SECRET = "s3cr3t-place"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one file to load."""
    (tmp_path / "project.yaml").write_text(PROJECT)
    (tmp_path / "workflow.yaml").write_text(WORKFLOW)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "patients.csv").write_text("id\na\n")
    return tmp_path


def call(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command on this project."""
    command = [sys.executable, "-m", "omopcloudetl.cli", *arguments, "--project", str(root)]
    variables = {key: value for key, value in os.environ.items() if key != "TINY_PATH"} | environment
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def examine(root: Path, *arguments: str, code: int = 0, **environment: str) -> list[dict[str, Any]]:
    """The findings as a program reads them."""
    done = call(root, "doctor", "--format", "json", *arguments, **environment)
    assert done.returncode == code, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["healthy"] is (code == 0)
    return list(found["findings"])


def of(findings: list[dict[str, Any]], check: str) -> dict[str, Any]:
    """The one finding of a check."""
    (found,) = [finding for finding in findings if finding["check"] == check]
    return found


def files(root: Path) -> dict[str, bytes]:
    """Everything in the project's folder."""
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_before_the_first_run_nothing_is_made(root: Path) -> None:
    """The database is not made to look at it, and neither is the state folder."""
    before = files(root)
    findings = examine(root)
    assert of(findings, "database file")["found"] == "local.duckdb will be made by the first run"
    assert of(findings, "connection")["outcome"] == "skipped"
    assert files(root) == before
    assert not (root / ".omopcloudetl").exists()


def test_after_a_run_the_database_is_the_same_byte_for_byte(root: Path) -> None:
    """Tables are made, written, read and dropped in each schema that is written, and nothing of it stays."""
    assert call(root, "run", "-q").returncode == 0
    before = files(root)
    findings = examine(root)
    assert of(findings, "connection")["found"].startswith("opened: DuckDB ")
    schemas = {finding["check"]: finding["found"] for finding in findings if finding["check"].startswith("schema")}
    assert list(schemas) == ["schema source", "schema omop (cdm)", "schema work"]
    assert set(schemas.values()) == {"a table can be made, written, read and dropped"}
    assert files(root) == before


def test_schemas_that_are_missing_can_be_made(root: Path) -> None:
    """In a database of another program the first run makes what it needs; the catalogue stays as it was."""
    with duckdb.connect(str(root / "local.duckdb")) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS n")
    (root / "local.duckdb").chmod(0o600)
    findings = examine(root)
    assert of(findings, "schema omop (cdm)")["found"] == "is not there yet; the first run can make it and its tables"
    with duckdb.connect(str(root / "local.duckdb"), read_only=True) as connection:
        tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        schemas = connection.execute("SELECT schema_name FROM duckdb_schemas() WHERE NOT internal").fetchall()
    assert (tables, schemas) == ([("main", "mine")], [])


def test_a_file_that_is_no_database_is_a_problem(root: Path) -> None:
    """In the engine's words, and the file is left alone."""
    (root / "local.duckdb").write_text("this is a text of more than a few bytes" * 100)
    before = files(root)
    found = of(examine(root, code=1), "connection")
    assert found["outcome"] == "problem"
    assert "not a valid DuckDB database" in found["found"]
    assert files(root) == before


def test_a_database_that_another_process_writes_is_a_problem(root: Path) -> None:
    """The holder is named."""
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(root / "local.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        found = of(examine(root, code=1), "connection")
        holder.communicate("")
    assert f"another process (PID {holder.pid}) has it open" in found["found"]


def test_all_targets_are_looked_at_with_their_own_settings(root: Path) -> None:
    """A secret that one of them lacks is a problem of that one; abstract targets are left out."""
    findings = examine(root, "--all-targets", code=1)
    assert list(dict.fromkeys(finding["target"] for finding in findings)) == [None, "local", "other"]
    (problem,) = [finding for finding in findings if finding["outcome"] == "problem"]
    assert (problem["check"], problem["target"]) == ("secrets", "other")
    assert "TINY_PATH" in problem["found"]


def test_no_secret_is_shown(root: Path) -> None:
    """Neither in the finding about the file that it names, nor in an error, in text and in JSON."""
    for arguments in (("doctor",), ("doctor", "--format", "json"), ("run",), ("doctor",), ("targets",)):
        done = call(root, *arguments, *(() if arguments == ("targets",) else ("--target", "other")), TINY_PATH=SECRET)
        assert done.returncode == 0, done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr
    (root / f"{SECRET}.duckdb").write_text("no database" * 100)
    done = call(root, "doctor", "--target", "other", TINY_PATH=SECRET)
    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr
    assert "***" in done.stdout


def test_people_see_what_to_do(root: Path) -> None:
    """Each finding on its line, help below what is wrong, and the sum at the end."""
    (root / "data" / "patients.csv").unlink()
    done = call(root, "doctor")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("problem  input files: 1 file missing"))
    assert lines[at + 1] == "         data/patients.csv (workflow.yaml:9)"
    assert lines[at + 2].startswith("         help: set the variable")
    assert lines[-1] == "1 problem, 0 warnings"
    assert "\ntarget local\n" in done.stdout


def test_a_target_or_all_of_them(root: Path) -> None:
    """The two options contradict each other, and that is a wrong command."""
    assert call(root, "doctor", "--target", "local", "--all-targets").returncode == 2


def test_targets_are_listed_without_values(root: Path) -> None:
    """What each extends and which settings it has; never what they are."""
    done = call(root, "targets", "--format", "json")
    found = {target["name"]: target for target in json.loads(done.stdout)["targets"]}
    assert (found["local"]["default"], found["other"]["default"], found["base"]["abstract"]) == (True, False, True)
    assert found["other"]["extends"] == ["base"]
    assert found["other"]["connection"] == ["path", "threads"]
    assert "duckdb" in call(root, "targets").stdout
    (root / "project.yaml").write_text(PROJECT.replace("abstract: true", "extends: local"))
    wrong = call(root, "targets")
    assert wrong.returncode == 2
    assert "base → local → base" in wrong.stderr
