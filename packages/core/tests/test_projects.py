"""Promises of the functions that programs begin with; what they need of plugins comes from `support/acme.py`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

import omopcloudetl.core
from omopcloudetl.core import (
    OmopCloudEtlError,
    PluginError,
    ProjectError,
    RunError,
    check_project,
    create_project,
    find_specification,
    list_plugins,
    list_runs,
    list_specifications,
    list_targets,
    make_ddl,
    open_project,
    read_run,
    read_run_log,
    read_run_plan,
)

Project = Callable[..., Path]


def test_every_name_of_the_api_is_there() -> None:
    """What `__all__` promises can be imported, is listed, and nothing else is."""
    names = omopcloudetl.core.__all__
    assert names == sorted(names)
    assert not [name for name in names if getattr(omopcloudetl.core, name) is None]
    assert set(names) == set(omopcloudetl.core._OWNERS)
    assert set(names) <= set(dir(omopcloudetl.core))
    with pytest.raises(AttributeError, match="no attribute 'opne_project'"):
        omopcloudetl.core.opne_project  # noqa: B018


def test_the_package_is_light() -> None:
    """`import omopcloudetl.core` reads no model, no compiler and no plugin."""
    code = "import sys, omopcloudetl.core; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "pluggy", "sqlglot", "ruamel.yaml"} & set(done.stdout.split())


def test_a_project_opens_with_values_of_python(acme: ModuleType, project: Project) -> None:
    """A variable's value may be a date, a number or a path as well as its text."""
    session = open_project(project(), variables={"since": date(2024, 2, 29), "unset": True})
    assert session.project.variables == {"since": date(2024, 2, 29), "unset": "true"}


def test_a_relative_path_is_relative_to_the_current_folder(
    acme: ModuleType, project: Project, project_workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `--var`; the plan has it relative to the project."""
    workflow = project_workflow.replace("unset: {type: text}", "unset: {type: text}\n  place: {type: uri}")
    root = project({"workflow.yaml": workflow})
    monkeypatch.chdir(root.parent)
    session = open_project(root.name, variables={"place": Path("exports"), "since": "2020-01-01"})
    assert session.project.variables["place"] == "../exports"


def test_what_is_wrong_is_returned_or_raised(acme: ModuleType, project: Project) -> None:
    """`check_project` returns what `open_project` raises, all of it, also beside variables."""
    root = project({"mappings/person.yaml": "kind: tabel", "workflow.yaml": None})
    checked = check_project(str(root), variables={"since": "2020-01-01"})
    with pytest.raises(ProjectError) as caught:
        open_project(root)
    assert checked.plan is None
    assert {found.code for found in checked.errors} == {found.code for found in caught.value.diagnostics}
    with pytest.raises(ProjectError, match="there is no folder"):
        open_project(root / "nowhere")


def test_runs_are_read_whatever_the_files_are(acme: ModuleType, project: Project) -> None:
    """The records outlive a project that is broken later; the newest comes first and needs no id."""
    root = project()
    session = open_project(root)
    with pytest.raises(RunError, match="there are no runs yet"):
        read_run(root)
    session.run(session.compile())
    (root / "project.yaml").write_text("plugins: [acme]\ntargets: {}")
    assert [found.run_id for found in list_runs(root)] == ["1"]
    assert read_run(str(root), "1").name == read_run(root).name == session.run_record().name == "clinic"
    assert read_run_plan(root) == session.compile()
    assert [entry.event for entry in read_run_log(root)[1]] == ["run_finished"]
    with pytest.raises(ProjectError, match="there is no file"):
        list_runs(root / "mappings")


def test_plugins_and_specifications_are_those_of_the_project(acme: ModuleType, project: Project) -> None:
    """A project's own plugins count when it is named, and so does its specification."""
    root = project()
    assert "acme" in [found.name for found in list_plugins(root).providers()]
    assert "acme" not in [found.name for found in list_plugins().providers()]
    assert find_specification("project", root).version == find_specification("9.9", root).version == "9.9"
    with pytest.raises(OmopCloudEtlError, match=r"9\.9"):
        find_specification("9.9")


def test_a_session_lists_its_targets(acme: ModuleType, project: Project) -> None:
    """With what each inherits, abstract ones too."""
    text = """\
        name: clinic
        cdm_version: "9.9"
        plugins: [acme]
        targets:
          base: {abstract: true, provider: acme}
          here: {extends: base}
        """
    found = open_project(project({"project.yaml": text})).targets()
    assert [(one.name, one.provider, one.abstract, one.lineage) for one in found] == [
        ("base", "acme", True, ()),
        ("here", "acme", False, ("base",)),
    ]


def test_a_template_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Making a project says which templates there are."""
    with pytest.raises(OmopCloudEtlError, match="there is no template 'nope'"):
        create_project(tmp_path / "new", "nope")


def test_targets_are_listed_without_opening_the_project(acme: ModuleType, project: Project) -> None:
    """The default is marked; a chain that leads nowhere is an error with its place."""
    root = project({"workflow.yaml": None})
    assert [(target.name, is_default) for target, is_default in list_targets(root)] == [("here", True)]
    (root / "project.yaml").write_text("name: p\ntargets: {a: {extends: b, provider: x}}\n")
    with pytest.raises(ProjectError, match="there is no target 'b' to extend"):
        list_targets(root)


def test_specifications_are_listed_and_become_ddl(acme: ModuleType, project: Project) -> None:
    """Those of the project's plugins are among them; what is not given comes from the project."""
    root = project()
    assert "9.9" in [one.version for one in list_specifications(root) if one.source == "bundled"]
    statements = [one.sql or "" for one in make_ddl(root, keys="none")]
    assert any('CREATE TABLE IF NOT EXISTS "cdm"."person"' in sql for sql in statements)
    assert statements == [one.sql or "" for one in make_ddl(root, reference="9.9", dialect="acme", keys="none")]
    with pytest.raises(PluginError, match="there is no provider 'acne'"):
        make_ddl(root, dialect="acne")
