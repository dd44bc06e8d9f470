"""Planted secrets are searched for in everything that the commands print and write."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest

SECRETS = {
    "plain": "hunter2-s3cr3t",
    "regex": "h[u]n.t*e+r(2)?$^|s",
    "quotes": "h'u\"n\\ter2",
    "url": "hu n/t:e@r?2#=&%",
    "lines": "-----BEGIN KEY-----\nhunter2hunter2\n-----END KEY-----",
}
PROJECT = """
name: secretive
targets:
  base: {abstract: true, provider: duckdb}
  local:
    extends: base
    connection: {path: "PATH"}
default_target: local
"""
WORKFLOW = """
name: secretive
steps:
  - {name: tables, kind: ddl, schema: cdm}
  - {name: ones, kind: sql, file: ones.sql, creates: work.ones}
"""
FAILING = "SELECT CAST('x' AS INTEGER) AS n"
NO_FOLDER = "${secret:DB_NAME}/no/such/folder.duckdb"


def _spellings(secret: str) -> set[str]:
    """The ways in which the secret could have been written; whole lines of it count too."""
    lines = [line for line in secret.splitlines() if len(line) > 8]
    ways = {part for text in (secret, *lines) for part in (text, quote(text), quote(text, safe=""), repr(text)[1:-1])}
    return ways | {json.dumps(text)[1:-1] for text in (secret, *lines)}


def _leaks(secret: str, text: str) -> list[str]:
    return [way for way in _spellings(secret) if way in text]


def _make(root: Path, path: str, sql: str) -> None:
    (root / "project.yaml").write_text(PROJECT.replace("PATH", path), encoding="utf-8")
    (root / "workflow.yaml").write_text(WORKFLOW, encoding="utf-8")
    (root / "ones.sql").write_text(sql, encoding="utf-8")


def _call(root: Path, secret: str, *arguments: str, **secrets: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DB_NAME": secret, "PYTHONWARNINGS": "default"} | secrets
    command = [sys.executable, "-m", "omopcloudetl.cli", *arguments, "--project", str(root)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("path", "sql", "code"),
    [
        ("${secret:DB_NAME}.duckdb", "SELECT 1 AS n", 0),
        (NO_FOLDER, "SELECT 1 AS n", 1),
        ("${secret:DB_NAME}.duckdb", "SELECT n FROM work.missing AS m", 2),
        ("${secret:DB_NAME}.duckdb", FAILING, 1),
    ],
    ids=["done", "no-connection", "wrong-files", "failed-step"],
)
@pytest.mark.parametrize("arguments", [("run", "-vv"), ("run", "--format", "json")], ids=["text", "json"])
def test_a_secret_is_in_nothing_that_is_printed_or_written(
    tmp_path: Path, path: str, sql: str, code: int, arguments: tuple[str, ...]
) -> None:
    """Neither output, nor plan, nor run record holds a secret's value, however the run ends."""
    secret = SECRETS["plain"]
    _make(tmp_path, path, sql)
    done = _call(tmp_path, secret, *arguments)
    assert done.returncode == code, done.stderr
    assert not _leaks(secret, done.stdout + done.stderr)
    texts = [file for file in tmp_path.rglob("*") if file.is_file() and not file.name.startswith(secret)]
    assert texts
    assert not [file.name for file in texts if secret.encode() in file.read_bytes()]


@pytest.mark.parametrize("arguments", [("run", "-vv"), ("doctor",), ("doctor", "--format", "json")])
def test_secrets_of_any_characters_are_hidden_in_errors(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Characters of patterns, quotes, URLs and several lines do not bring a secret into an error."""
    named = "/".join(f"${{secret:{kind.upper()}}}" for kind in SECRETS)
    _make(tmp_path, f"{named}/no/such/folder.duckdb", "SELECT 1 AS n")
    done = _call(tmp_path, "", *arguments, **{kind.upper(): secret for kind, secret in SECRETS.items()})
    told = done.stderr + done.stdout
    assert done.returncode == 1, told
    assert "no/such" in told
    assert "***/***/***/***/***" in told
    assert {kind: _leaks(secret, told) for kind, secret in SECRETS.items()} == {key: [] for key in SECRETS}


def test_a_secret_is_not_in_the_database(tmp_path: Path) -> None:
    """The engine's catalogue, its settings and its tables hold no value of a secret after a run."""
    secret = SECRETS["plain"]
    _make(tmp_path, "cdm.duckdb", "SELECT 1 AS n")
    text = (tmp_path / "project.yaml").read_text()
    text = text.replace("provider: duckdb}", "provider: duckdb,\n   connection: {temp}}")
    text = text.replace("{temp}", '{temp_directory: "${secret:DB_NAME}"}')
    (tmp_path / "project.yaml").write_text(text)
    done = _call(tmp_path, secret, "run")
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(tmp_path / "cdm.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "SELECT sql FROM duckdb_tables() UNION ALL SELECT sql FROM duckdb_views()"
        ).fetchall()
    assert found
    assert secret not in str(found)
    assert secret.encode() not in (tmp_path / "cdm.duckdb").read_bytes()


@pytest.mark.parametrize("command", [("compile", "-o", "-"), ("compile", "--sql"), ("validate",), ("plugins",)])
def test_a_command_that_needs_no_secret_looks_none_up(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Whoever compiles needs no password, and what a compiler prints holds the reference at most."""
    _make(tmp_path, "${secret:DB_NAME}.duckdb", "SELECT 1 AS n")
    done = _call(tmp_path, SECRETS["plain"], *command)
    assert done.returncode == 0, done.stderr
    assert not _leaks(SECRETS["plain"], done.stdout + done.stderr)
    environment = {key: value for key, value in os.environ.items() if key != "DB_NAME"}
    call = [sys.executable, "-m", "omopcloudetl.cli", *command, "--project", str(tmp_path)]
    assert subprocess.run(call, env=environment, capture_output=True, check=False).returncode == 0


def test_a_missing_secret_names_target_setting_and_places(tmp_path: Path) -> None:
    """The error says which secret is missing, whose setting needs it, and where it was looked for."""
    _make(tmp_path, "${secret:NO_SUCH_SECRET}.duckdb", "SELECT 1 AS n")
    done = _call(tmp_path, "", "run", "-q")
    assert done.returncode == 1
    for part in ("'NO_SUCH_SECRET'", "connection.path", "target local", "project.yaml:7:24", "variable NO_SUCH_SECRET"):
        assert part in done.stderr
