"""Malformed projects, as data in `malformed/cases`: each is told what is wrong, where, and what to do."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result
from malformed_project import Case, Expected, read_cases, snapshot

from omopcloudetl.cli.main import cli

CASES = read_cases()
WRONG_FILES = [case for case in CASES if case.expect]
FAILING_RUNS = [case for case in CASES if case.run_says]
AS_PROCESS = {
    "yaml/tab_indents",
    "yaml/billion_laughs",
    "encoding/latin_1",
    "workflow/cycle_of_two",
    "expressions/quote_never_closed",
}


def call(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, list(map(str, arguments)))


def by_name(cases: list[Case]) -> list[Any]:
    """The cases as parameters."""
    return [pytest.param(case, id=case.name) for case in cases]


def has_way_out(diagnostic: Mapping[str, Any]) -> bool:
    """Whether it says what to do: in words, by what is allowed, or by a close match."""
    return bool(diagnostic["help"] or diagnostic["allowed"] or diagnostic["suggestion"])


def assert_no_traceback(*texts: str) -> None:
    """Nothing of Python's or a library's own is shown."""
    for text in texts:
        for word in ("Traceback", 'File "', "pydantic", "ruamel", "sqlglot", "<class", "Error("):
            assert word not in text


def errors_of(result: Result) -> list[dict[str, Any]]:
    """The errors among the diagnostics that the command wrote as JSON."""
    document = json.loads(result.stdout)
    assert document["valid"] is False
    return [found for found in document["diagnostics"] if found["severity"] == "error"]


@pytest.mark.parametrize("case", by_name(WRONG_FILES))
def test_each_mistake_is_a_diagnostic_with_a_place_and_a_way_out(case: Case, tmp_path: Path) -> None:
    """Exactly the expected errors, no traceback; no file is made or changed."""
    root = case.write_into(tmp_path)
    before = snapshot(tmp_path)
    result = call("validate", "--project", root, "--format", "json", *case.options)
    assert isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code == 2
    found = errors_of(result)
    said = [
        f"{d['position']['file']}:{d['position']['line']}:{d['position']['column']} {d['code']}: {d['message']}"
        for d in found
    ]
    expected = [Expected.read(text) for text in case.expect]
    assert len(found) == len(expected), said
    assert [e for e in expected if not any(e.is_met_by(d) for d in found)] == [], said
    assert [d for d in found if not has_way_out(d)] == []
    assert_no_traceback(result.output)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("case", by_name([case for case in WRONG_FILES if case.name in AS_PROCESS]))
def test_the_same_in_a_process_of_its_own(case: Case, tmp_path: Path) -> None:
    """The installed command says it too, in a few seconds."""
    root = case.write_into(tmp_path)
    command = [sys.executable, "-m", "omopcloudetl.cli", "validate", "--project", str(root)]
    done = subprocess.run([*command, *case.options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    first = Expected.read(case.expect[0])
    assert f"{root.as_posix()}/{first.file}:{first.line}:{first.column}" in done.stderr
    assert_no_traceback(done.stdout, done.stderr)


@pytest.mark.parametrize("case", by_name(FAILING_RUNS))
def test_a_run_that_fails_says_why_and_leaves_the_cdm(case: Case, tmp_path: Path, base_database: Path) -> None:
    """A missing file, column or secret is one clear error, and the CDM of the run before stays as it was."""
    root = case.write_into(tmp_path)
    database = root / "omop.duckdb"
    database.write_bytes(base_database.read_bytes())
    before = cdm(database)
    result = call("run", "--project", root, "--format", "json", *case.options)
    assert isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code == 1
    error = failure(json.loads(result.stdout))
    assert [piece for piece in case.run_says if piece not in error] == [], error
    assert_no_traceback(result.output)
    assert cdm(database) == before


@pytest.fixture(scope="module")
def base_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database that the base project makes."""
    root = Case("base").write_into(tmp_path_factory.mktemp("base"))
    result = call("run", "--project", root)
    assert result.exit_code == 0, result.output
    return root / "omop.duckdb"


def failure(document: Mapping[str, Any]) -> str:
    """What a failed run says: the errors of its steps, or its own."""
    failed = [step["error"] for step in document.get("steps", ()) if step["state"] == "failed"]
    return "\n".join(failed or [document["error"]["message"]])


def cdm(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every CDM table."""
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'cdm'").fetchall()
        return {name: connection.execute(f"FROM cdm.{name} ORDER BY ALL").fetchall() for (name,) in sorted(tables)}


def test_the_base_project_is_right(tmp_path: Path) -> None:
    """What the cases differ from has no mistake of its own."""
    root = Case("base").write_into(tmp_path)
    result = call("validate", "--project", root)
    assert result.exit_code == 0, result.output


def test_there_are_more_than_a_hundred_cases_of_every_sort() -> None:
    """The data are there, each expects something, and those run as a process are among them."""
    assert len(CASES) >= 110
    assert all(bool(case.expect) != bool(case.run_says) for case in CASES)
    assert {case.name for case in CASES} >= AS_PROCESS
