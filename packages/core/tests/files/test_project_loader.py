"""Promises of the project loader: which files are read, which are refused, and all mistakes at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from omopcloudetl.core.errors import Diagnostic, ProjectError
from omopcloudetl.core.files.project_loader import LoadedProject, load_project

Project = Callable[..., Path]

ONE_MAPPING = """\
name: w
steps:
  - {{name: m, kind: dml, mappings: {0}}}
"""
SQL_STEP = """\
    name: w
    steps:
      - {name: m, kind: sql, file: sql/a.sql, creates: work.a}
    """


def mistakes(root: Path, target: str | None = None) -> list[Diagnostic]:
    """What is wrong with a project's files."""
    with pytest.raises(ProjectError) as caught:
        load_project(root, target=target)
    return list(caught.value.diagnostics)


def mistake(root: Path, target: str | None = None) -> Diagnostic:
    """The one thing that is wrong."""
    (found,) = mistakes(root, target)
    return found


def names(project: LoadedProject) -> list[str]:
    """The mappings' files, in the order they are compiled in."""
    return [mapping.document.file for mapping in project.mappings]


def test_a_project_is_its_files(project: Project) -> None:
    """A right project is loaded with its workflow, its mappings and the values of its variables."""
    found = load_project(project({"workflow.yaml": SQL_STEP, "sql/a.sql": "\ufeffselect 'é'"}))
    assert (found.config.name, found.workflow.name, found.target_name) == ("clinic", "w", "here")
    assert found.sql_files == {"sql/a.sql": "select 'é'"}


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        pytest.param("mappings/*.yaml", ["mappings/conditions.yaml", "mappings/person.yaml"], id="glob"),
        pytest.param("'**/person.yaml'", ["mappings/person.yaml"], id="deep-glob"),
        pytest.param("'mappings/person.yam[l]'", ["mappings/person.yaml"], id="class"),
        pytest.param("./mappings/person.yaml", ["mappings/person.yaml"], id="dot"),
        pytest.param(
            "[mappings/person.yaml, mappings/*.yaml]",
            ["mappings/person.yaml", "mappings/conditions.yaml"],
            id="twice-in-a-step",
        ),
    ],
)
def test_mappings_are_files_and_globs(project: Project, pattern: str, files: list[str]) -> None:
    """A glob stands for its files in the order of their names, and a file named twice is read once."""
    root = project(
        {
            "project.yaml": "name: p\ntargets: {t: {provider: x}}\n",
            "workflow.yaml": ONE_MAPPING.format(pattern),
        }
    )
    (root / "mappings" / "folder.yaml").mkdir()
    assert names(load_project(root)) == files


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        pytest.param("mappings/*.yml", "no file matches 'mappings/*.yml'", id="nothing-matches"),
        pytest.param("'mappings/**.yaml'", "", id="bad-pattern"),
    ],
)
def test_a_glob_must_match_something(project: Project, pattern: str, words: str) -> None:
    """A glob without files is a mistake in the workflow, at the glob."""
    root = project(
        {
            "workflow.yaml": ONE_MAPPING.format(pattern),
            "mappings/person.yaml": None,
            "mappings/conditions.yaml": None,
        }
    )
    found = mistake(root)
    assert (found.code, str(found.position)) == ("no-mappings", "workflow.yaml:3:36")
    assert words in found.message


@pytest.mark.parametrize(
    ("files", "place", "message"),
    [
        pytest.param(
            {"project.yaml": None},
            "project.yaml:1:1",
            "there is no file project.yaml in the project",
            id="project",
        ),
        pytest.param(
            {"workflow.yaml": None},
            "project.yaml:1:1",
            "there is no file workflow.yaml in the project",
            id="workflow",
        ),
        pytest.param(
            {"workflow.yaml": ONE_MAPPING.format("m/x.yaml")},
            "workflow.yaml:3:36",
            "there is no file m/x.yaml in the project",
            id="mapping",
        ),
        pytest.param(
            {"workflow.yaml": ONE_MAPPING.format("mappings")},
            "workflow.yaml:3:36",
            "there is no file mappings in the project",
            id="folder-as-mapping",
        ),
        pytest.param(
            {"workflow.yaml": SQL_STEP},
            "workflow.yaml:3:32",
            "there is no file sql/a.sql in the project",
            id="sql",
        ),
    ],
)
def test_a_missing_file_is_reported_where_it_is_named(
    project: Project, files: dict[str, str | None], place: str, message: str
) -> None:
    """The report of a missing file points to the line that asks for it."""
    found = mistake(project(files))
    assert (found.code, str(found.position), found.message) == ("missing-file", place, message)


def test_a_missing_project_says_how_to_make_one(tmp_path: Path) -> None:
    """Whoever runs the command in the wrong folder is told what to do."""
    found = mistake(tmp_path / "nowhere")
    assert "there is no folder" in found.message
    assert "init" in (found.help or "")


@pytest.mark.parametrize(
    "path",
    [
        "../x.yaml",
        "mappings/../../x.yaml",
        "/etc/passwd",
        "../*.yaml",
        "mappings/*/../../../*.yaml",
    ],
    ids=["parent", "parent-in-the-middle", "absolute", "glob-of-parent", "parent-in-a-glob"],
)
def test_a_path_that_leaves_the_project_is_refused(project: Project, path: str) -> None:
    """No file outside the project is read, however its path is written."""
    root = project({"inside/workflow.yaml": ONE_MAPPING.format(path), "x.yaml": "secret"})
    (root / "project.yaml").rename(root / "inside" / "project.yaml")
    found = mistake(root / "inside")
    assert (found.code, str(found.position)) == ("outside-project", "workflow.yaml:3:36")
    assert "secret" not in str(found)


@pytest.mark.parametrize("path", ["mappings/x.yaml", "mappings/*.yaml"], ids=["named", "by-glob"])
def test_an_absolute_path_is_refused_also_inside_the_project(project: Project, path: str) -> None:
    """A path that only this machine has gets into no plan."""
    root = project({"mappings/x.yaml": "name: x"})
    (root / "workflow.yaml").write_text(ONE_MAPPING.format(f"{root}/{path}"), encoding="utf-8")
    found = mistake(root)
    assert (found.code, str(found.position)) == ("outside-project", "workflow.yaml:3:36")
    assert "absolute" in found.message


@pytest.mark.parametrize("pattern", ["mappings/x.yaml", "mappings/*.yaml"], ids=["named", "by-glob"])
def test_a_link_that_leaves_the_project_is_refused(project: Project, pattern: str) -> None:
    """A link to a file outside the project is not followed."""
    root = project(
        {
            "inside/workflow.yaml": ONE_MAPPING.format(pattern),
            "inside/mappings/.keep": "",
            "x.yaml": "secret: 1",
        }
    )
    (root / "project.yaml").rename(root / "inside" / "project.yaml")
    (root / "inside" / "mappings" / "x.yaml").symlink_to(root / "x.yaml")
    found = mistake(root / "inside")
    assert found.code == "outside-project"
    assert "secret" not in str(found)


def test_a_link_to_itself_is_refused(project: Project) -> None:
    """A link that leads nowhere is an error of the project, not of the program."""
    root = project({"workflow.yaml": ONE_MAPPING.format("mappings/loop.yaml")})
    (root / "mappings" / "loop.yaml").symlink_to(root / "mappings" / "loop.yaml")
    assert mistake(root).code in {"outside-project", "missing-file"}


def test_a_link_within_the_project_is_followed(project: Project) -> None:
    """A link that stays inside is as good as the file."""
    root = project({"workflow.yaml": ONE_MAPPING.format("mappings/link.yaml")})
    (root / "mappings" / "link.yaml").symlink_to(root / "mappings" / "person.yaml")
    assert names(load_project(root)) == ["mappings/link.yaml"]


def test_a_file_that_is_not_utf_8_is_refused_at_the_byte(project: Project) -> None:
    """A file of another encoding is reported where it stops being text."""
    found = mistake(project({"mappings/person.yaml": b"name: person\n# caf\xe9\n"}))
    assert (found.code, str(found.position)) == ("encoding", "mappings/person.yaml:2:6")
    assert "0xE9" in found.message
    assert found.help == "save it as UTF-8"


def test_two_mappings_of_one_name_are_refused(project: Project) -> None:
    """A mapping's name is its identity, so the second of the name is reported with the place of the first."""
    root = project()
    (root / "mappings" / "z.yaml").write_text((root / "mappings" / "person.yaml").read_text())
    found = mistake(root)
    assert (found.code, str(found.position)) == ("duplicate-name", "mappings/z.yaml:1:7")
    assert "mappings/person.yaml:1:7" in found.message


def test_a_mapping_belongs_to_one_step(project: Project) -> None:
    """A mapping that two steps run is refused, with the names of both."""
    steps = ONE_MAPPING.format("mappings/*.yaml") + "  - {name: n, kind: dml, mappings: mappings/person.yaml}\n"
    found = mistake(project({"workflow.yaml": steps}))
    assert found.message == "the mapping is run by two steps, m and n"


def test_the_mistakes_of_several_files_are_reported_together(project: Project) -> None:
    """One run shows what is wrong with every mapping, SQL file, variable and target."""
    workflow = ONE_MAPPING.format("[mappings/*.yaml, nope.yaml]") + "  - {name: s, kind: sql, file: s.sql}\n"
    config = "name: p\nvariables: {x: 1}\ntargets: {a: {provider: x}, b: {provider: x}}\n"
    broken = {"mappings/person.yaml": "kind: tabel", "mappings/conditions.yaml": "a: b: c"}
    found = mistakes(project({"project.yaml": config, "workflow.yaml": workflow, **broken}))
    assert [(d.code, d.position.file) for d in found] == [
        ("yaml-syntax", "mappings/conditions.yaml"),
        ("unknown-kind", "mappings/person.yaml"),
        ("missing-file", "workflow.yaml"),
        ("missing-file", "workflow.yaml"),
        ("unknown-variable", "project.yaml"),
        ("no-target", "project.yaml"),
    ]


def test_one_of_several_targets_must_be_chosen(project: Project) -> None:
    """Without a default the caller says which target, and is told which there are."""
    config = "name: p\ntargets: {a: {provider: x}, b: {provider: y}}\n"
    root = project({"project.yaml": config})
    found = mistake(root)
    assert (found.code, found.allowed) == ("no-target", ("a", "b"))
    assert load_project(root, target="b").target.provider == "y"
    (root / "project.yaml").write_text(config + "default_target: a\n")
    assert load_project(root).target.provider == "x"
    assert load_project(root, target="b").target.provider == "y"


def test_an_unknown_target_is_refused(project: Project) -> None:
    """A target that the project does not have is reported with those it has."""
    found = mistake(project(), target="her")
    assert (found.code, str(found.position)) == ("unknown-target", "project.yaml:5:3")
    assert (found.found, found.suggestion, found.allowed) == ("her", "here", ("here",))
