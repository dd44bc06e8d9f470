"""A planted secret is searched for in everything that a run prints and writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "hunter2-s3cr3t"
PROJECT = """
name: secretive
targets:
  local:
    provider: duckdb
    connection: {path: "PATH"}
"""
WORKFLOW = """
name: secretive
steps:
  - {name: tables, kind: ddl, schema: cdm}
  - {name: ones, kind: sql, file: ones.sql, creates: work.ones}
"""


@pytest.mark.parametrize(
    ("path", "sql", "code"),
    [
        ("${secret:DB_NAME}.duckdb", "SELECT 1 AS n", 0),
        ("${secret:DB_NAME}/no/such/folder.duckdb", "SELECT 1 AS n", 1),
        ("${secret:DB_NAME}.duckdb", "SELECT n FROM work.missing AS m", 2),
        ("${secret:DB_NAME}.duckdb", "SELECT CAST('x' AS INTEGER) AS n", 1),
    ],
    ids=["done", "no-connection", "wrong-files", "failed-step"],
)
@pytest.mark.parametrize("arguments", [("run", "-vv"), ("run", "--format", "json")], ids=["text", "json"])
def test_a_secret_is_in_nothing_that_is_printed_or_written(
    tmp_path: Path, path: str, sql: str, code: int, arguments: tuple[str, ...]
) -> None:
    """Neither output, nor plan, nor run record holds a secret's value, however the run ends."""
    (tmp_path / "project.yaml").write_text(PROJECT.replace("PATH", path), encoding="utf-8")
    (tmp_path / "workflow.yaml").write_text(WORKFLOW, encoding="utf-8")
    (tmp_path / "ones.sql").write_text(sql, encoding="utf-8")
    command = [sys.executable, "-m", "omopcloudetl.cli"]
    environment = os.environ | {"DB_NAME": SECRET}
    done = subprocess.run(
        [*command, *arguments, "--project", str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert SECRET not in done.stdout + done.stderr
    texts = [file for file in tmp_path.rglob("*") if file.is_file() and not file.name.startswith(SECRET)]
    assert texts
    assert not [file.name for file in texts if SECRET.encode() in file.read_bytes()]
