"""Promises of targets: what they inherit, where each setting stands, and which of them can be run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from omopcloudetl.core.errors import Diagnostic, ProjectError
from omopcloudetl.core.files.project_loader import load_project
from omopcloudetl.core.files.targets import choose_target, resolve_targets
from omopcloudetl.core.files.validation import validate_document
from omopcloudetl.core.files.yaml_document import parse_yaml
from omopcloudetl.core.models.project import ProjectConfig, ResolvedTarget

INHERITING = """\
name: p
schemas: {cdm: omop, work: tmp}
variables: {first: 1, last: 9}
targets:
  base:
    abstract: true
    provider: x
    connection: {host: h, port: 1, timeout: 5}
    schemas: {work: scratch, vocab: athena}
    variables: {last: 10}
  site:
    extends: base
    connection: {port: 2}
    orchestrator: o
  prod:
    extends: site
    connection: {host: prod, timeout: null}
    schemas: {work: null, cdm: cdm_prod}
    variables: {first: 2}
default_target: site
"""
SCHEMAS = {"source": "source", "vocab": "athena"}


def resolve(text: str) -> tuple[dict[str, ResolvedTarget], list[Diagnostic]]:
    """The targets of a project file, and what is wrong with them."""
    document = parse_yaml("project.yaml", text)
    problems: list[Diagnostic] = []
    config = validate_document(document, TypeAdapter(ProjectConfig))
    return resolve_targets(config, document, problems), problems


def choose(text: str, asked: str | None = None) -> tuple[str | None, list[Diagnostic]]:
    """The target that a project is loaded for, and what is wrong with that."""
    document = parse_yaml("project.yaml", text)
    problems: list[Diagnostic] = []
    return choose_target(validate_document(document, TypeAdapter(ProjectConfig)), document, asked, problems), problems


def test_settings_are_merged_key_by_key_along_the_chain() -> None:
    """The nearest target wins for each key, and plain values are replaced."""
    targets, problems = resolve(INHERITING)
    assert problems == []
    site, prod = targets["site"], targets["prod"]
    assert site.connection == {"host": "h", "port": 2, "timeout": 5}
    assert (site.provider, site.orchestrator, site.variables) == ("x", "o", {"last": 10})
    assert (prod.provider, prod.orchestrator, prod.lineage) == ("x", "o", ("site", "base"))
    assert prod.variables == {"first": 2, "last": 10}


def test_null_removes_a_key() -> None:
    """A key that is nothing is as if no target had said it."""
    targets, _ = resolve(INHERITING)
    assert targets["prod"].connection == {"host": "prod", "port": 2}
    assert targets["prod"].schemas == {"vocab": "athena", "cdm": "cdm_prod"}


def test_a_layout_is_inherited_as_a_whole() -> None:
    """A target has the layout of the one it extends, and one of its own replaces all of it."""
    layout = "    layout: {by: person, tables: {visit: {cluster: a}}}\n"
    text = INHERITING.replace("    provider: x\n", f"    provider: x\n{layout}")
    own = text.replace("    extends: site\n", "    extends: site\n    layout: {by: date}\n")
    assert [resolve(found)[0]["prod"].layout.by for found in (INHERITING, text, own)] == ["nothing", "person", "date"]
    assert not resolve(own)[0]["prod"].layout.tables


def test_a_physical_schema_is_the_targets_then_the_projects_then_the_logical_name() -> None:
    """Where a target says nothing, or nothing any more, the project's schema holds."""
    config = ProjectConfig.model_validate(parse_yaml("project.yaml", INHERITING).data)
    targets, _ = resolve(INHERITING)
    assert config.physical_schemas(targets["site"]) == SCHEMAS | {"cdm": "omop", "work": "scratch"}
    assert config.physical_schemas(targets["prod"]) == SCHEMAS | {"cdm": "cdm_prod", "work": "tmp"}


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        pytest.param(("provider",), 7, 15, id="in-the-last-parent"),
        pytest.param(("connection", "port"), 13, 24, id="in-the-parent"),
        pytest.param(("connection", "host"), 17, 24, id="own"),
        pytest.param(("connection", "timeout"), 17, 39, id="where-it-is-removed"),
        pytest.param(("connection", "user"), 17, 17, id="nowhere"),
        pytest.param(("orchestrator",), 14, 19, id="scalar"),
        pytest.param(("schemas", "vocab"), 9, 37, id="schema"),
        pytest.param(("nonsense",), 16, 5, id="no-such-key"),
    ],
)
def test_a_setting_is_pointed_at_where_it_stands(path: tuple[str, ...], line: int, column: int) -> None:
    """A diagnostic about an inherited value names the line of the target that says it."""
    targets, _ = resolve(INHERITING)
    where = targets["prod"].at(*path)
    assert (where.file, where.line, where.column) == ("project.yaml", line, column)


@pytest.mark.parametrize(
    ("targets", "code", "place", "message"),
    [
        pytest.param(
            "{a: {extends: b}, b: {extends: c}, c: {extends: a, provider: x}, d: {extends: c}}",
            "target-cycle",
            "project.yaml:2:24",
            "the target 'a' extends itself: a → b → c → a",
            id="cycle",
        ),
        pytest.param(
            "{a: {extends: a, provider: x}}",
            "target-cycle",
            "project.yaml:2:24",
            "the target 'a' extends itself: a → a",
            id="self",
        ),
        pytest.param(
            "{base: {provider: x}, b: {extends: bse}, c: {extends: b}}",
            "unknown-target",
            "project.yaml:2:45",
            "there is no target 'bse' to extend: b → bse",
            id="unknown",
        ),
        pytest.param(
            "{a: {}, b: {provider: x}}",
            "missing-key",
            "project.yaml:2:14",
            "targets.a needs the key 'provider'",
            id="no-provider",
        ),
        pytest.param(
            "{a: {abstract: true}, b: {extends: a}}",
            "missing-key",
            "project.yaml:2:35",
            "targets.b needs the key 'provider'; b → a have none",
            id="no-provider-in-the-chain",
        ),
    ],
)
def test_a_chain_that_leads_nowhere_is_one_diagnostic(targets: str, code: str, place: str, message: str) -> None:
    """A cycle, an unknown name and a missing provider are told once, with the chain and a way out."""
    _, (found,) = resolve(f"name: p\ntargets: {targets}\n")
    assert (found.code, str(found.position), found.message) == (code, place, message)
    assert found.help or found.suggestion == "base"


def test_a_target_beside_a_broken_one_is_resolved() -> None:
    """What is wrong with one target takes nothing from another."""
    targets, _ = resolve("name: p\ntargets: {a: {extends: nope}, b: {provider: x}}\n")
    assert list(targets) == ["b"]


def test_an_abstract_target_is_never_chosen() -> None:
    """The only target that can be run is the default; the abstract one is refused with those that can."""
    text = "name: p\ntargets:\n  base: {abstract: true}\n  b: {extends: base, provider: x}\n"
    assert choose(text) == ("b", [])
    name, (found,) = choose(text, "base")
    assert (name, found.code, str(found.position), found.allowed) == (
        None,
        "abstract-target",
        "project.yaml:3:10",
        ("b",),
    )
    _, (none,) = choose("name: p\ntargets: {base: {abstract: true}}\n")
    assert none.message == "every target of the project is abstract"


@pytest.mark.parametrize("default", ["base", "nope"])
def test_the_default_target_can_be_run(default: str) -> None:
    """A default that is abstract or no target at all is a mistake of the file."""
    text = INHERITING.replace("default_target: site", f"default_target: {default}")
    with pytest.raises(ProjectError, match="abstract" if default == "base" else "none of the targets") as caught:
        resolve(text)
    (found,) = caught.value.diagnostics
    assert (str(found.position), found.allowed) == ("project.yaml:20:17", ("site", "prod"))


def test_a_targets_variables_win_over_the_projects(project: Callable[..., Path]) -> None:
    """From outside, then of the target with what it inherits, then of the project, then the default."""
    workflow = """\
        name: w
        variables: {first: {type: integer}, last: {type: integer}, other: {type: integer, default: 3}}
        steps: [{name: a, kind: ddl, schema: cdm}]
        """
    root = project({"project.yaml": INHERITING, "workflow.yaml": workflow})
    assert load_project(root, target="site").variables == {"first": 1, "last": 10, "other": 3}
    found = load_project(root, target="prod", variables={"last": "7"})
    assert found.variables == {"first": 2, "last": 7, "other": 3}


def test_a_variable_of_any_target_must_exist_and_fit(project: Callable[..., Path]) -> None:
    """A name that the workflow lacks is told for every target; a value of the wrong type where it stands."""
    text = """\
        name: p
        targets:
          a: {provider: x, variables: {since: never}}
          b: {provider: x, variables: {snce: 2020-01-01}}
        default_target: a
        """
    root = project({"project.yaml": text})
    with pytest.raises(ProjectError, match="unknown-variable") as caught:
        load_project(root)
    assert [(d.code, str(d.position)) for d in caught.value.diagnostics] == [
        ("unknown-variable", "project.yaml:4:32"),
        ("variable-type", "project.yaml:3:39"),
    ]
