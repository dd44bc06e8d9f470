"""Everything that a run writes is for its owner only, whatever the umask says."""

import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = """
name: private
targets: {local: {provider: duckdb, connection: {path: cdm.duckdb}}}
"""
WORKFLOW = """
name: private
steps:
  - {name: source, kind: bulk_load, schema: source, from: data, format: csv, tables: {patients: "patients.zip/*.csv"}}
  - {name: ones, kind: sql, file: ones.sql, creates: work.ones}
"""
COMMANDS = (
    ("run", "-q"),
    ("run", "-q", "--resume"),
    ("compile", "-o", "plan.json"),
    ("report", "-o", "report.html"),
    ("runs", "log"),
    ("vocab", "load", "vocabulary"),
)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
@pytest.mark.parametrize("sql", ["SELECT 1 AS n", "SELECT CAST('x' AS INTEGER) AS n"], ids=["done", "failed"])
def test_what_a_run_writes_is_for_its_owner_only(tmp_path: Path, sql: str) -> None:
    """Files have the mode 0600 and folders 0700: records, logs, locks, plans, reports, the database."""
    (tmp_path / "data").mkdir()
    with zipfile.ZipFile(tmp_path / "data/patients.zip", "w") as archive:
        archive.writestr("patients.csv", "id\n1\n")
    (tmp_path / "project.yaml").write_text(PROJECT)
    (tmp_path / "workflow.yaml").write_text(WORKFLOW)
    (tmp_path / "ones.sql").write_text(sql)
    before = set(tmp_path.rglob("*"))
    for arguments in COMMANDS:
        command = [sys.executable, "-m", "omopcloudetl.cli", *arguments]
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, umask=0)
    made = {path for path in tmp_path.rglob("*") if path not in before}
    names = {path.name for path in made}
    assert {"plan.json", "report.html", "cdm.duckdb", "runs.sqlite3"} <= names, names
    modes = {str(path.relative_to(tmp_path)): oct(stat.S_IMODE(path.stat().st_mode)) for path in made}
    wanted = {str(path.relative_to(tmp_path)): oct(0o700 if path.is_dir() else 0o600) for path in made}
    assert modes == wanted


LOOKING = """
import os, stat, sys
from pathlib import Path
from omopcloudetl.core.hookspecs import hookimpl


class Looking:
    @hookimpl
    def omopcloudetl_step_finished(self, step, record):
        for path in Path().rglob("*"):
            print(path, oct(stat.S_IMODE(path.stat().st_mode)))


from omopcloudetl.core.session import Session

own = Session.run
Session.run = lambda self, plan, *, listeners, **more: own(self, plan, listeners=[*listeners, Looking()], **more)
sys.argv = ["omopcloudetl", "run", "-q"]
from omopcloudetl.cli.main import main

main()
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_what_the_engine_writes_meanwhile_is_for_the_owner_only(tmp_path: Path) -> None:
    """The engine's write-ahead log has the rows of patients, and is there after a crash."""
    (tmp_path / "project.yaml").write_text(PROJECT)
    (tmp_path / "workflow.yaml").write_text(
        "name: w\nsteps:\n  - {name: a, kind: sql, file: a.sql, creates: work.a}\n"
        "  - {name: b, kind: sql, file: b.sql, creates: work.b}\n"
    )
    (tmp_path / "a.sql").write_text("SELECT 1 AS n")
    (tmp_path / "b.sql").write_text("SELECT n FROM work.a")
    command = [sys.executable, "-c", LOOKING]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, umask=0)
    assert done.returncode == 0, done.stderr
    assert "cdm.duckdb.wal 0o600" in done.stdout
    given = {"project.yaml", "workflow.yaml", "a.sql", "b.sql"}
    seen = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in done.stdout.splitlines() if " 0o" in line}
    assert {mode for name, mode in seen.items() if name not in given} == {"0o600", "0o700"}
