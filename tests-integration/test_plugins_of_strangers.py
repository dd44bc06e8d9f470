"""Distributions that this project does not know join it: one outside the namespace, one inside."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parent / "plugins"
PROJECT = """
name: stranger
plugins: [acme_sqlite.plugin]
targets:
  lite: {provider: acme-sqlite, connection: {folder: database}}
"""
WORKFLOW = """
name: stranger
steps:
  - {name: tables, kind: ddl, schema: cdm}
  - {name: ones, kind: sql, file: ones.sql, creates: work.ones}
  - {name: persons, kind: sql, file: persons.sql}
"""
PERSONS = """
INSERT INTO cdm.person
  (person_id, gender_concept_id, year_of_birth, race_concept_id, ethnicity_concept_id)
SELECT n, 0, 1970, 0, 0 FROM work.ones
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both distributions, built and installed into a folder of their own."""
    folder = tmp_path_factory.mktemp("installed")
    sources = tmp_path_factory.mktemp("sources")
    copies = [shutil.copytree(plugin, sources / plugin.name) for plugin in sorted(PLUGINS.iterdir())]
    uv = shutil.which("uv")
    assert uv, "the tests are started by uv"
    command = [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--target", str(folder)]
    subprocess.run([*command, *map(str, copies)], check=True)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project on the stranger's provider."""
    (tmp_path / "project.yaml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "workflow.yaml").write_text(WORKFLOW, encoding="utf-8")
    (tmp_path / "ones.sql").write_text("SELECT 1 AS n UNION ALL SELECT 2", encoding="utf-8")
    (tmp_path / "persons.sql").write_text(PERSONS, encoding="utf-8")
    return tmp_path


def omopcloudetl(installed: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in an environment that has the strangers installed."""
    environment = os.environ | {"PYTHONPATH": str(installed)} | variables
    return subprocess.run(
        [sys.executable, "-m", "omopcloudetl.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_provider_from_outside_the_namespace_runs_a_project(installed: Path, project: Path) -> None:
    """A project names the stranger in `plugins:` and runs on its engine, orchestrator and ledger included."""
    listener = project / "heard.txt"
    done = omopcloudetl(installed, "run", "--project", str(project), GREETING_FILE=str(listener))
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(project / "database" / "cdm.sqlite")) as database:
        assert database.execute("SELECT person_id FROM person ORDER BY 1").fetchall() == [(1,), (2,)]
    assert listener.read_text(encoding="utf-8") == "stranger: done"


def test_the_environment_can_name_a_plugin_too(installed: Path) -> None:
    """OMOPCLOUDETL_PLUGINS adds a plugin to every project and to the list."""
    done = omopcloudetl(installed, "plugins", "--format", "json", OMOPCLOUDETL_PLUGINS="acme_sqlite.plugin")
    assert done.returncode == 0, done.stderr
    listed = {plugin["name"]: plugin for plugin in json.loads(done.stdout)["plugins"]}
    assert listed["acme_sqlite.plugin"]["distribution"] == "acme-sqlite"
    assert listed["acme_sqlite.plugin"]["version"] == "1.2.3"
    assert listed["acme_sqlite.plugin"]["hooks"] == ["omopcloudetl_register_providers"]


def test_a_plugin_inside_the_namespace_is_found_without_being_named(installed: Path) -> None:
    """A portion that ships plugin.py joins by being installed; its command stands beside the built-in ones."""
    listed = omopcloudetl(installed, "plugins")
    assert "omopcloudetl.greeting.plugin" in listed.stdout
    assert "0.0.7" in listed.stdout
    assert "acme_sqlite" not in listed.stdout
    assert omopcloudetl(installed, "greet").stdout == "hello from a stranger\n"
    assert "greet" in omopcloudetl(installed, "--help").stdout


def test_a_plugin_that_was_asked_for_and_is_missing_is_an_error(installed: Path) -> None:
    """A name in OMOPCLOUDETL_PLUGINS that cannot be imported stops the command with one line."""
    done = omopcloudetl(installed, "plugins", OMOPCLOUDETL_PLUGINS="acme_oracle.plugin")
    assert done.returncode == 1
    assert "acme_oracle.plugin" in done.stderr
    assert "Traceback" not in done.stderr
