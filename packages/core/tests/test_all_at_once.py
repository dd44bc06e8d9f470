"""Promises of checking a whole project: one mistake never hides another, and none is told as its consequence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from omopcloudetl.core.compiler import workflow
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.errors import Position
from omopcloudetl.core.session import check_project

WriteFiles = Callable[[Mapping[str, str | bytes | None]], Path]


def codes(root: Path) -> list[tuple[str, str]]:
    """File and code of everything that is found."""
    return [(found.position.file, found.code) for found in check_project(root).diagnostics]


@pytest.fixture
def texts(project: WriteFiles) -> Callable[..., Path]:
    """Writes the project with parts of its files replaced."""
    root = project({})

    def write(*changes: tuple[str, str, str]) -> Path:
        for file, old, new in changes:
            path = root / file
            text = path.read_text(encoding="utf-8")
            assert old in text
            path.write_text(text.replace(old, new), encoding="utf-8")
        return root

    return write


def test_mistakes_in_all_kinds_of_files_are_told_together(acme: ModuleType, texts: Callable[..., Path]) -> None:
    """project.yaml, the workflow and each mapping can be wrong at the same time."""
    root = texts(
        ("project.yaml", "name: clinic", "name: clinic\nnmae: x"),
        ("workflow.yaml", "kind: ddl, schema: cdm", "kind: ddll, schema: cdm"),
        ("mappings/person.yaml", "p.birthdate", "p.birthdat"),
        ("mappings/conditions.yaml", "code: c.code", "code: d.code"),
    )
    assert codes(root) == [
        ("mappings/conditions.yaml", "unknown-alias"),
        ("mappings/person.yaml", "unknown-column"),
        ("project.yaml", "unknown-key"),
        ("workflow.yaml", "unknown-kind"),
    ]


def test_a_mapping_that_cannot_be_read_is_no_unknown_reference(acme: ModuleType, texts: Callable[..., Path]) -> None:
    """Who refers to its rows is not told that there are none; other mistakes still are."""
    root = texts(
        ("mappings/person.yaml", "kind: table", "kind: tabel"),
        ("mappings/conditions.yaml", "start: c.start", "start: c.start +"),
    )
    assert codes(root) == [("mappings/conditions.yaml", "sql-syntax"), ("mappings/person.yaml", "unknown-kind")]


def test_mistakes_beside_each_other_in_one_mapping_are_told_together(
    acme: ModuleType, texts: Callable[..., Path]
) -> None:
    """A column or a key that cannot be read hides neither the others nor makes them wrong."""
    root = texts(
        ("mappings/person.yaml", "else: 0}", "els: 0}"),
        ("mappings/person.yaml", "id: [p.id]", "idd: [p.id]"),
        ("mappings/person.yaml", "key: [p.id]\n", "descriptoin: x\n"),
        ("mappings/person.yaml", "p.birthdate", "q.birthdate"),
        ("mappings/person.yaml", "person_source_value", "person_source_valeu"),
        ("mappings/conditions.yaml", "concept: {code: c.code", "visit: [1]\nconcept: {code: e.code"),
    )
    assert [(d.position.file[9:], d.code, d.found) for d in check_project(root).diagnostics] == [
        ("conditions.yaml", "invalid-value", "1"),
        ("conditions.yaml", "unknown-alias", "e"),
        ("person.yaml", "unknown-key", "descriptoin"),
        ("person.yaml", "unknown-kind", "{idd}"),
        ("person.yaml", "unknown-key", "els"),
        ("person.yaml", "unknown-alias", "q"),
        ("person.yaml", "unknown-field", "person_source_valeu"),
    ]


def test_a_mapping_without_its_tables_is_judged_no_further(acme: ModuleType, texts: Callable[..., Path]) -> None:
    """Where `from` cannot be read, no alias is called unknown."""
    root = texts(("mappings/person.yaml", "source.patients", "sauce.patients"))
    assert codes(root) == [("mappings/person.yaml", "invalid-value")]


def test_a_reference_to_no_table_of_the_cdm_is_always_told(acme: ModuleType, texts: Callable[..., Path]) -> None:
    """A mapping that cannot be read could not give ids to a table that does not exist."""
    root = texts(
        ("mappings/conditions.yaml", "kind: event", "kind: evnt"),
        ("mappings/person.yaml", "person_source_value: p.id", "person_source_value: {reference: caresite, key: p.id}"),
    )
    assert ("mappings/person.yaml", "unknown-reference") in codes(root)


@pytest.mark.parametrize("text", [None, "select {{ x }}", "select from from", "delete from work.x"])
def test_a_sql_file_that_cannot_be_read_hides_no_other_mistake(
    acme: ModuleType, texts: Callable[..., Path], text: str | None
) -> None:
    """What its step creates is not unknown; a table that nothing loads still is."""
    root = texts(
        (
            "workflow.yaml",
            "- {name: mappings",
            "- {name: x, kind: sql, file: x.sql, creates: work.x}\n  - {name: mappings",
        ),
        ("mappings/person.yaml", "source.patients", "source.patiens"),
        ("mappings/conditions.yaml", "from: {c: source.conditions}", "from: {c: work.x}"),
    )
    if text is not None:
        (root / "x.sql").write_text(text, encoding="utf-8")
    found = check_project(root).errors
    assert [(d.position.file, d.found) for d in found if d.code == "unknown-table"] == [
        ("mappings/person.yaml", "source.patiens")
    ]
    assert len(found) == 2


def test_tables_of_a_sql_file_that_cannot_be_read_are_not_unknown(acme: ModuleType, texts: Callable[..., Path]) -> None:
    """A file without `creates` might make any table."""
    root = texts(
        ("workflow.yaml", "- {name: mappings", "- {name: x, kind: sql, file: x.sql}\n  - {name: mappings"),
        ("mappings/conditions.yaml", "from: {c: source.conditions}", "from: {c: work.x}"),
    )
    assert codes(root) == [("workflow.yaml", "missing-file")]


@pytest.mark.parametrize(("rule", "is_told"), [("p.id", True), ("{value_mpa: j.code}", False), ("j.code +", False)])
def test_a_join_is_not_unused_where_a_rule_cannot_be_read(
    acme: ModuleType, texts: Callable[..., Path], rule: str, is_told: bool
) -> None:
    """The rule might use it."""
    join = "joins: {j: {table: source.conditions, on: j.patient = p.id, cardinality: one}}\n"
    root = texts(
        ("mappings/person.yaml", "key: [p.id]\n", join),
        ("mappings/person.yaml", "person_source_value: p.id", f"person_source_value: {rule}"),
    )
    assert (("mappings/person.yaml", "unused-name") in codes(root)) == is_told


def test_a_variable_that_is_declared_wrongly_is_not_unknown(acme: ModuleType, texts: Callable[..., Path]) -> None:
    """Rules that use it are right."""
    root = texts(
        ("workflow.yaml", "type: date, default: 2020-01-01", "type: dat, default: 2020-01-01"),
        ("mappings/person.yaml", "p.id\n", "cast(:since as varchar)\n"),
    )
    assert ("workflow.yaml", "invalid-value") in codes(root)
    assert not {"unknown-variable", "missing-variable"} & {code for _, code in codes(root)}


def test_every_name_that_is_wrong_is_told(acme: ModuleType, texts: Callable[..., Path]) -> None:
    """Two steps of earlier names and an unknown dependency are three mistakes, a consequence is none."""
    root = texts(
        ("workflow.yaml", "name: cdm_tables", "name: vocabulary_tables"),
        ("workflow.yaml", "name: source\n", "name: vocabulary_tables\n"),
        ("workflow.yaml", "kind: dml", "kind: dml, depends_on: [nothing, cdm]"),
    )
    found = check_project(root).diagnostics
    assert [(d.position.line, d.found) for d in found] == [
        (7, "vocabulary_tables"),
        (8, "vocabulary_tables"),
        (16, "nothing"),
        (16, "cdm"),
    ]


def test_keys_given_twice_are_told_beside_each_other(acme: ModuleType, texts: Callable[..., Path]) -> None:
    """The second of each pair is reported."""
    root = texts(("project.yaml", "name: clinic", "name: clinic\nname: x\nname: y"))
    assert [found.position.line for found in check_project(root).diagnostics] == [2, 3]


def test_a_warning_changes_no_plan(
    acme: ModuleType, texts: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan of a project with warnings is the same, with its ledger, and `required` returns it."""
    root, before = texts(), check_project(texts())
    expected = before.required()

    def careful(compilation: Compilation) -> None:
        compilation.problem("some-code", "careful", Position("workflow.yaml", 2, 1), severity="warning")

    monkeypatch.setattr(workflow, "PASSES", (careful, *workflow.PASSES))
    checked = check_project(root)
    added = set(checked.diagnostics) - set(before.diagnostics)
    assert [(d.severity, d.code) for d in added] == [("warning", "some-code")]
    assert (checked.warnings, checked.errors) == (checked.diagnostics, ())
    assert checked.required() == expected


def test_a_right_project_has_a_plan_and_nothing_to_tell(acme: ModuleType, texts: Callable[..., Path]) -> None:
    """No mistake is made up."""
    checked = check_project(texts())
    assert checked.plan is not None
    assert checked.errors == ()
