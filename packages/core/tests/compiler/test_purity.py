"""Promises of compiling: the same project gives the same bytes, whoever compiles it, where and when."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from omopcloudetl import core
from omopcloudetl.core.plan import CompiledWorkflowPlan

Project = Callable[..., Path]
Compile = Callable[..., CompiledWorkflowPlan]

COMPILE = """\
import sys
from pathlib import Path
from omopcloudetl.core.session import Session

session = Session.open(Path(sys.argv[1]))
sys.stdout.buffer.write(session.compile().to_json().encode())
"""
STOPPED_CLOCK = """\
import random, time, uuid
from omopcloudetl.core.compiler import workflow  # its libraries may look at the clock while they load

def refuse(*args, **kwargs):
    raise AssertionError("compiling asked for the time or for luck")

for name in ("time", "time_ns", "monotonic", "perf_counter", "localtime", "gmtime", "strftime"):
    setattr(time, name, refuse)
for module, name in ((uuid, "uuid4"), (uuid, "uuid1"), (random, "random"), (random, "choice")):
    setattr(module, name, refuse)
"""
LOADED = """\
import json
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""
IMPORT_CORE = """\
import importlib, pkgutil, sys
from omopcloudetl import core
for module in pkgutil.walk_packages(core.__path__, "omopcloudetl.core."):
    importlib.import_module(module.name)
"""
DRIVERS = {
    "databricks",
    "deltalake",
    "duckdb",
    "psycopg",
    "psycopg2",
    "pyodbc",
    "pyspark",
    "snowflake",
    "sqlalchemy",
}
WANDERING = {"getpass", "platform", "random", "secrets", "socket", "time", "uuid"}
"""Libraries whose answers differ from run to run or from machine to machine."""
ON_REQUEST = ("specification/download.py",)
"""Runs for `spec fetch` only; that compiling does not import it is a test below."""
PURE = ("compiler", "files", "models", "specification", "plan.py", "generator.py", "capabilities.py")


def run(
    script: str, *arguments: str, support: Path, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a script in a fresh interpreter, with the plugin `acme` on its path."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "OMOPCLOUDETL", "COV"))}
    environment = {**inherited, "PYTHONPATH": str(support), **environment}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        env=environment,
        cwd=cwd,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def reference(compile_project: Compile) -> bytes:
    """The plan as this process compiles it."""
    return compile_project().to_json().encode()


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"PYTHONHASHSEED": "1"}, id="hash-seed-1"),
        pytest.param({"PYTHONHASHSEED": "4242"}, id="hash-seed-4242"),
        pytest.param({"TZ": "Pacific/Kiritimati"}, id="time-zone"),
        pytest.param({"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}, id="locale"),
        pytest.param({"HOME": "/nowhere", "USER": "somebody", "HOSTNAME": "elsewhere"}, id="user-and-host"),
        pytest.param({"PYTHONOPTIMIZE": "2"}, id="without-assertions"),
    ],
)
def test_the_environment_leaves_no_trace_in_a_plan(
    reference: bytes,
    project: Project,
    support: Path,
    tmp_path_factory: pytest.TempPathFactory,
    environment: dict[str, str],
) -> None:
    """Another process, in another folder and environment, makes the same bytes."""
    root = project()
    found = run(COMPILE, str(root), support=support, cwd=tmp_path_factory.mktemp("cwd"), **environment)
    assert found.stdout == reference


def test_the_place_of_a_project_leaves_no_trace_in_its_plan(
    reference: bytes, project: Project, support: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A project that was moved, and is named by a relative path, has the same plan."""
    moved = tmp_path_factory.mktemp("elsewhere") / "a project"
    project().rename(moved)
    found = run(COMPILE, moved.name, support=support, cwd=moved.parent)
    assert found.stdout == reference
    assert str(moved).encode() not in reference


def test_compiling_asks_neither_for_the_time_nor_for_luck(reference: bytes, project: Project, support: Path) -> None:
    """With every clock and every source of chance taken away, the plan is the same."""
    root = project()
    found = run(STOPPED_CLOCK + COMPILE, str(root), support=support, cwd=root)
    assert found.stdout == reference


def test_no_module_on_the_way_to_a_plan_can_ask() -> None:
    """What compiles imports no clock, no chance and no name of a machine."""
    folder = Path(core.__path__[0])
    files = [path for part in PURE for path in (folder / part).glob("**/*.py")] + [folder / p for p in PURE if "." in p]
    assert len(files) > 25
    for file in set(files) - {folder / name for name in ON_REQUEST}:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            names |= {node.module} if isinstance(node, ast.ImportFrom) and node.module else set()
            assert not WANDERING & {name.partition(".")[0] for name in names}, file
            assert not (isinstance(node, ast.Attribute) and node.attr in {"now", "today", "utcnow"}), file


def test_any_change_of_a_rule_changes_the_plan(compile_project: Compile, reference: bytes) -> None:
    """The hash follows the content: a variable's value or a constant is part of it."""
    person = "name: person\nkind: table\ntarget: cdm.person\nfrom: {p: source.patients}\nkey: [p.id]\n"
    columns = "columns: {person_id: {id: [p.id]}, gender_concept_id: 0, year_of_birth: "
    hashes = {json.loads(reference)["content_hash"]}
    for value in ("1970}", "1971}", "extract(year from :since)}"):
        hashes.add(compile_project({"mappings/person.yaml": person + columns + value}).content_hash)
    last = {"mappings/person.yaml": person + columns + "extract(year from :since)}"}
    hashes.add(compile_project(last, since="2021-01-01").content_hash)
    assert len(hashes) == 5


def test_a_step_s_fingerprint_follows_what_it_depends_on(compile_project: Compile) -> None:
    """A change shows in the steps after it and in no other, so that a resumed run repeats just those."""
    before = {step.name: step.fingerprint for step in compile_project().steps}
    event = "name: conditions\nkind: event\nfrom: {c: source.conditions}\nkey: c.code\nperson: c.patient\n"
    event += "concept: {code: c.code, vocabulary: ICD10}\nstart: c.start\ntype_concept_id: 0\n"
    changed = compile_project({"mappings/conditions.yaml": event + "default_table: observation\n"})
    after = {step.name: step.fingerprint for step in changed.steps}
    same = {name for name in before if before[name] == after.get(name)}
    assert {"schemas", "cdm_tables", "source_patients", "stage_person", "write_person"} <= same
    assert not {"stage_conditions", "write_condition_occurrence", "write_observation", "ledger"} & same


def test_core_imports_no_driver(support: Path, tmp_path: Path) -> None:
    """All of core can be imported, in a fresh interpreter, and no database driver comes with it."""
    found = run(IMPORT_CORE + LOADED, support=support, cwd=tmp_path)
    loaded = set(json.loads(found.stderr))
    assert {"omopcloudetl", "sqlglot", "pydantic"} <= loaded
    assert not loaded & DRIVERS


def test_compiling_imports_no_driver(acme: ModuleType, project: Project, support: Path) -> None:
    """Loading every installed plugin and compiling opens no engine and no connection library."""
    root = project()
    found = run(COMPILE + LOADED, str(root), support=support, cwd=root)
    assert not set(json.loads(found.stderr)) & (DRIVERS | {"filelock", "httpx", "requests", "tenacity"})


def test_loading_plugins_imports_nothing_heavy(support: Path, tmp_path: Path) -> None:
    """The command line lists plugins before it knows whether it will compile."""
    script = "import sys\nfrom omopcloudetl.core.plugins import load_plugins\nload_plugins().providers()\n"
    found = run(script + LOADED, support=support, cwd=tmp_path)
    assert not set(json.loads(found.stderr)) & {"sqlglot", "sqlglotc", "ruamel", "pydantic", *DRIVERS}
