"""Promises of `omopcloudetl.core.templates`."""

import pickle
from datetime import date
from pathlib import Path

import pytest

from omopcloudetl.core import templates
from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.templates import TemplateError, create_project, set_variables

PROJECT = """\
# What it is.
name: tiny

variables: {}

# Where it runs.
targets:
  local: {provider: duckdb}
"""
WORKFLOW = """\
name: tiny
variables:
  source_uri: {type: uri, description: where the files are}
  first_year: {type: integer, default: 1990}
steps:
  - {name: tables, kind: ddl, schema: cdm}
"""


@pytest.fixture
def resources(tmp_path: Path) -> list[Path]:
    """Two resource folders: one with the template `tiny`, one with another and the demo data."""
    files = {
        "one/templates/tiny/project.yaml": PROJECT,
        "one/templates/tiny/workflow.yaml": WORKFLOW,
        "one/templates/tiny/mappings/deep/person.yaml": "name: person\r\n",
        "one/templates/tiny/__pycache__/junk.pyc": "junk",
        "one/templates/no_template/README.md": "no project file here",
        "two/templates/tiny/project.yaml": "name: shadowed",
        "two/templates/other/project.yaml": PROJECT,
        "two/demo/source/patients.csv": "id\n1\n",
        "two/demo/vocabulary/CONCEPT.csv": "concept_id\n0\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return [tmp_path / "one", tmp_path / "two"]


def test_templates_of_all_resources_are_listed(resources: list[Path]) -> None:
    """Every folder with a project file is a template, each name once, in order."""
    assert templates.list_templates(resources) == ["other", "tiny"]


def test_a_template_is_copied_byte_for_byte(resources: list[Path], tmp_path: Path) -> None:
    """All files but caches arrive as they are, from the first resources that have the template."""
    made = create_project(resources, "tiny", tmp_path / "new" / "p", {})
    names = ["mappings/deep/person.yaml", "project.yaml", "workflow.yaml"]
    assert made.files == tuple(tmp_path / "new" / "p" / name for name in names)
    assert made.files[0].read_bytes() == b"name: person\r\n"
    assert made.files[1].read_text("utf-8") == PROJECT


def test_variables_are_set_with_their_type(resources: list[Path], tmp_path: Path) -> None:
    """A given value stands in the project file as its type, and the comments stay in place."""
    given = {"source_uri": "s3://bucket/x", "first_year": "2001"}
    made = create_project(resources, "tiny", tmp_path / "p", given)
    expected = "variables:\n  source_uri: s3://bucket/x\n  first_year: 2001\n"
    assert made.files[1].read_text("utf-8") == PROJECT.replace("variables: {}\n", expected)
    assert made.unset == {}


def test_variables_without_a_value_are_named(resources: list[Path], tmp_path: Path) -> None:
    """A variable that has neither a value nor a default is reported, not refused."""
    made = create_project(resources, "tiny", tmp_path / "p", {})
    assert {name: v.description for name, v in made.unset.items()} == {"source_uri": "where the files are"}


@pytest.mark.parametrize(
    ("given", "code", "hint"),
    [
        ({"sorce_uri": "x"}, "unknown-variable", "did you mean: source_uri"),
        ({"first_year": "soon"}, "variable-type", "must be of type integer"),
    ],
)
def test_wrong_variables_make_no_project(
    resources: list[Path], tmp_path: Path, given: dict[str, str], code: str, hint: str
) -> None:
    """An unknown variable or a value of another type is refused before anything is written."""
    with pytest.raises(ProjectError, match=hint) as caught:
        create_project(resources, "tiny", tmp_path / "p", given)
    assert [problem.code for problem in caught.value.diagnostics] == [code]
    assert not (tmp_path / "p").exists()


def test_a_folder_in_use_is_refused(resources: list[Path], tmp_path: Path) -> None:
    """Nothing is ever overwritten; an empty folder is free."""
    used, empty = tmp_path / "used", tmp_path / "empty"
    used.mkdir()
    empty.mkdir()
    (used / "project.yaml").write_text("mine", "utf-8")
    for directory in (used, used / "project.yaml"):
        with pytest.raises(TemplateError, match="exists and is not an empty folder"):
            create_project(resources, "tiny", directory, {})
    assert (used / "project.yaml").read_text("utf-8") == "mine"
    assert create_project(resources, "tiny", empty, {}).files


def test_an_unknown_template_names_those_there_are(resources: list[Path], tmp_path: Path) -> None:
    """The error has the near match and the list, and it pickles."""
    with pytest.raises(TemplateError) as caught:
        create_project(resources, "tinny", tmp_path / "p", {})
    text = "there is no template 'tinny'; did you mean 'tiny'? There are: other, tiny"
    assert str(pickle.loads(pickle.dumps(caught.value))) == text


def test_a_template_without_its_workflow_is_refused(resources: list[Path], tmp_path: Path) -> None:
    """A template that lacks a file it names is an error of ours, not a traceback."""
    with pytest.raises(TemplateError, match="the template 'other' has no file workflow"):
        create_project(resources, "other", tmp_path / "p", {})


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("data", "../../data"),
        ("./data/*.csv", "../../data/*.csv"),
        ("projects/p/data", "data"),
        ("../far", "../../../far"),
        (".", "../.."),
        ("/abs/data/", "/abs/data/"),
        ("C:\\data", "C:\\data"),
        ("s3://bucket/x", "s3://bucket/x"),
        ("file:///x", "file:///x"),
        ("", ""),
    ],
)
def test_relative_paths_move_with_the_project(tmp_path: Path, uri: str, expected: str) -> None:
    """A path relative to one folder is rewritten to another; everything else stays untouched."""
    project = tmp_path / "projects" / "p"
    assert templates.relative_to_project(uri, project, tmp_path) == expected


def test_a_project_behind_a_link_finds_its_files(tmp_path: Path) -> None:
    """`..` leaves the real folder, not the link to it, so links are resolved first."""
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    uri = templates.relative_to_project("data", tmp_path / "link", tmp_path)
    assert (tmp_path / "link" / uri).resolve() == (tmp_path / "data").resolve()


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path in the home folder becomes absolute where the shell left `~` alone."""
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("USERPROFILE", "/home/someone")
    assert templates.relative_to_project("~/x", tmp_path, tmp_path) == "/home/someone/x"


def test_given_uris_of_a_project_are_placed(resources: list[Path], tmp_path: Path) -> None:
    """Only variables of type `uri` are rewritten, by the workflow of the project itself."""
    root = create_project(resources, "tiny", tmp_path / "p", {}).directory
    given = {"source_uri": "data", "first_year": "data", "unknown": "data"}
    placed = templates.place_given_uris(root, given, tmp_path)
    assert placed == {"source_uri": "../data", "first_year": "data", "unknown": "data"}


def test_a_missing_workflow_is_left_to_the_loader(resources: list[Path], tmp_path: Path) -> None:
    """Placing does not judge a project; whoever loads it says what is wrong, with the place."""
    root = create_project(resources, "tiny", tmp_path / "p", {}).directory
    (root / "workflow.yaml").unlink()
    assert templates.place_given_uris(root, {"a": "b"}, tmp_path) == {"a": "b"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("a: 1\n", "a: 1\nvariables:\n  x: y\n", id="absent"),
        pytest.param("variables:\n# c\nb: 2\n", "variables:\n  x: y\n# c\nb: 2\n", id="nothing"),
        pytest.param(
            "variables:\n  a: 1 # tail\n\n# next\nb: 2\n",
            "variables:\n  a: 1 # tail\n  x: y\n\n# next\nb: 2\n",
            id="block",
        ),
        pytest.param(
            "variables: {a: 1} # c\nb: [1,  '2']\n",
            "variables: {a: 1, x: y} # c\nb: [1, '2']\n",
            id="flow",
        ),
        pytest.param("variables:\n  # why\n  x: null\n", "variables:\n  # why\n  x: y\n", id="replaced"),
    ],
)
def test_comments_survive_new_variables(before: str, after: str) -> None:
    """Values are added where `variables:` is, and every comment keeps its place."""
    assert set_variables(before, {"x": "y"}) == after


def test_dates_stay_text() -> None:
    """YAML would read a bare date as a timestamp; it is written as the text the loader expects."""
    assert "x: '2020-02-29'" in set_variables("name: p\n", {"x": date(2020, 2, 29)})


def test_demo_data_is_copied_below_data(resources: list[Path], tmp_path: Path) -> None:
    """The demo's files come to `data/source` and `data/vocabulary`, and never over others."""
    made = templates.copy_demo_data(resources, tmp_path / "p")
    names = ["data/source/patients.csv", "data/vocabulary/CONCEPT.csv"]
    assert [path.relative_to(tmp_path / "p").as_posix() for path in made] == names
    with pytest.raises(TemplateError, match="cannot be written"):
        templates.copy_demo_data(resources, tmp_path / "p")


def test_missing_demo_data_is_an_error(tmp_path: Path) -> None:
    """Without a plugin that brings demo data there is none to copy."""
    with pytest.raises(TemplateError, match="no plugin brings the demo data 'source'"):
        templates.copy_demo_data([tmp_path], tmp_path / "p")
