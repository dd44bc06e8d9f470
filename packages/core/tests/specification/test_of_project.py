"""Promises of a project's specification: where it comes from, what overlays make of it, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.session import Session

Project = Callable[..., Path]
Compile = Callable[..., CompiledWorkflowPlan]

PROJECT = """\
name: clinic
cdm_version: "9.9"
plugins: [acme]
targets:
  here: {provider: acme, orchestrator: acme}
"""
BUNDLED = Path(__file__).parents[1] / "support/resources/specifications/9.9.json"
OVERLAY = """\
name: site
base: "9.9"
tables:
  person: {add: {site_note: {type: varchar(20)}}}
"""


def opened(project: Project, more: str, **files: str | bytes) -> Session:
    """A session of the clinic's project with lines more in its project file."""
    return Session.open(
        project({"project.yaml": PROJECT + more, **{k.replace("__", "/"): v for k, v in files.items()}})
    )


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that holds nothing."""
    monkeypatch.setenv("OMOPCLOUDETL_CACHE_DIR", str(tmp_path / "cache"))


def test_a_folder_in_the_project_is_a_source(acme: ModuleType, project: Project) -> None:
    """The same facts from a folder make the same plan, byte for byte."""
    bundled = opened(project, "").compile()
    session = opened(project, "specification: {path: spec}\n", **{"spec__9.9.json": BUNDLED.read_bytes()})
    assert session.compile().to_json() == bundled.to_json()


def test_an_absolute_folder_is_a_source_that_leaves_no_trace(
    acme: ModuleType, project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A site may keep its specification outside all projects; a plan does not say where."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "9.9.json").write_bytes(BUNDLED.read_bytes())
    plan = opened(project, f"specification: {{path: {folder}}}\n").compile()
    assert str(folder) not in plan.to_json()


def test_an_overlay_changes_the_tables_and_the_plan(acme: ModuleType, project: Project) -> None:
    """A field of an overlay can be filled, is in the DDL, and makes another plan."""
    before = opened(project, "").compile()
    session = opened(project, "overlays: overlays/site.yaml\n", **{"overlays__site.yaml": OVERLAY})
    assert "site_note" in session.specification().by_name["person"].by_name
    plan = session.compile()
    assert any("site_note" in one.sql for step in plan.steps if step.kind == "sql" for one in step.statements)
    assert plan.content_hash != before.content_hash


def test_overlays_stand_on_each_other(acme: ModuleType, project: Project) -> None:
    """They are applied in the order of the list."""
    second = OVERLAY.replace("add: {site_note", "change: {site_note").replace("20", "99")
    session = opened(project, "overlays: [a.yaml, b.yaml]\n", **{"a.yaml": OVERLAY, "b.yaml": second})
    assert session.specification().by_name["person"].by_name["site_note"].type == "varchar(99)"
    with pytest.raises(ProjectError, match="person has no field 'site_note'"):
        opened(project, "overlays: [b.yaml, a.yaml]\n").specification()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        pytest.param("specification: ohdsi\n", "project.yaml:6:16: error[no-specification]", id="not-fetched"),
        pytest.param("specification: ohdsi\n", "omopcloudetl spec fetch 9.9", id="way-out"),
        pytest.param("specification: {path: spec}\n", "project.yaml:6:23: error[no-specification]", id="no-folder"),
        pytest.param("specification: {path: ../spec}\n", "error[outside-project]", id="outside"),
        pytest.param("specification: ohdsy\n", "did you mean: ohdsi", id="word"),
        pytest.param("specification: {}\n", "specification needs `source` or `path`, and not both", id="neither"),
        pytest.param("specification: {source: ohdsi, path: x}\n", "`source` or `path`, and not both", id="both"),
        pytest.param("overlays: [none.yaml]\n", "project.yaml:6:12: error[missing-file]", id="no-overlay"),
        pytest.param("overlays: [../x.yaml]\n", "error[outside-project]", id="overlay-outside"),
        pytest.param("overlays: [workflow.yaml]\n", "workflow.yaml:2:1: error[unknown-key]", id="no-overlay-file"),
    ],
)
def test_what_is_not_there_is_told_at_its_place(acme: ModuleType, project: Project, more: str, message: str) -> None:
    """Each mistake is a diagnostic with a way out; nothing is fetched meanwhile."""
    with pytest.raises(ProjectError) as caught:
        opened(project, more).compile()
    assert message in str(caught.value)


def test_mistakes_in_official_files_have_their_lines(acme: ModuleType, project: Project) -> None:
    """A CSV file of the project is checked like its other files."""
    fields = "cdmTableName,cdmFieldName,isRequired,cdmDatatype,isPrimaryKey,isForeignKey"
    fields += ",fkTableName,fkFieldName,fkDomain,fkClass\nperson,person_id,Yes,money,Yes,No,,,,\n"
    files = {
        "spec__OMOP_CDMv9.9_Field_Level.csv": fields,
        "spec__OMOP_CDMv9.9_Table_Level.csv": "cdmTableName,schema,isRequired\nperson,CDM,Yes\n",
    }
    with pytest.raises(ProjectError, match=r"^spec/OMOP_CDMv9\.9_Field_Level\.csv:2:1: error\[invalid-value\]"):
        opened(project, "specification: {path: spec}\n", **files).compile()
