"""Small projects, and a plugin outside the namespace to compile and run them with.

Nothing here needs more than core: the plugin `support/acme.py` brings a dialect, an orchestrator and a
CDM specification of ten tables, version 9.9.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from omopcloudetl.core.errors import Diagnostic, ProjectError
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.session import Session

SUPPORT = Path(__file__).parent / "support"

PROJECT = """\
    name: clinic
    cdm_version: "9.9"
    plugins: [acme]
    targets:
      here: {provider: acme, orchestrator: acme}
    """
WORKFLOW = """\
    name: clinic
    variables:
      since: {type: date, default: 2020-01-01}
      unset: {type: text}
    steps:
      - {name: vocabulary_tables, kind: ddl, schema: vocab}
      - {name: cdm_tables, kind: ddl, schema: cdm}
      - name: source
        kind: bulk_load
        schema: source
        from: data
        format: csv
        tables:
          patients: {file: patients.csv, columns: {id: text, gender: text, birthdate: date}}
          conditions: conditions.csv
      - {name: mappings, kind: dml, mappings: mappings/*.yaml}
    """
PERSON = """\
    name: person
    kind: table
    target: cdm.person
    from: {p: source.patients}
    key: [p.id]
    columns:
      person_id: {id: [p.id]}
      gender_concept_id: {value_map: p.gender, map: {M: 8507, F: 8532}, else: 0}
      year_of_birth: extract(year from p.birthdate)
      person_source_value: p.id
    """
CONDITIONS = """\
    name: conditions
    kind: event
    from: {c: source.conditions}
    key: [c.patient, c.code, c.start]
    person: c.patient
    concept: {code: c.code, vocabulary: SNOMED}
    start: c.start
    type_concept_id: 32827
    default_table: condition_occurrence
    """
FILES = {
    "project.yaml": PROJECT,
    "workflow.yaml": WORKFLOW,
    "mappings/person.yaml": PERSON,
    "mappings/conditions.yaml": CONDITIONS,
}

WriteFiles = Callable[[Mapping[str, str | bytes | None]], Path]


@pytest.fixture
def write_files(tmp_path: Path) -> WriteFiles:
    """Write files into a fresh folder; None removes one."""

    def write(files: Mapping[str, str | bytes | None]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink(missing_ok=True)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(dedent(content), encoding="utf-8", newline="\n")
        return tmp_path

    return write


@pytest.fixture
def project(write_files: WriteFiles) -> Callable[..., Path]:
    """Write the project of a small clinic, with some of its files replaced or added."""

    def make(files: Mapping[str, str | bytes | None] | None = None) -> Path:
        return write_files({**FILES, **(files or {})})

    return make


@pytest.fixture
def support() -> Path:
    """The folder of the plugin's module."""
    return SUPPORT


@pytest.fixture
def fresh_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget afterwards what a test imported from folders of its own."""
    monkeypatch.delenv("OMOPCLOUDETL_PLUGINS", raising=False)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if "pytest-" in file or file.startswith(str(SUPPORT)):
            del sys.modules[name]


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch, fresh_modules: None) -> ModuleType:
    """The plugin `acme`, on the path and with no events heard."""
    import importlib

    monkeypatch.syspath_prepend(str(SUPPORT))
    return importlib.import_module("acme")


@pytest.fixture
def compile_project(acme: ModuleType, project: Callable[..., Path]) -> Callable[..., CompiledWorkflowPlan]:
    """Compile the clinic's project, with some of its files replaced."""

    def compile_(files: Mapping[str, str | bytes | None] | None = None, **variables: str) -> CompiledWorkflowPlan:
        return Session.open(project(files), variables=variables).compile()

    return compile_


@pytest.fixture
def problems(compile_project: Callable[..., CompiledWorkflowPlan]) -> Callable[..., list[Diagnostic]]:
    """The mistakes that compiling a wrong project reports."""

    def find(files: Mapping[str, str | bytes | None] | None = None, **variables: str) -> list[Diagnostic]:
        with pytest.raises(ProjectError) as caught:
            compile_project(files, **variables)
        return list(caught.value.diagnostics)

    return find


@pytest.fixture
def problem(problems: Callable[..., list[Diagnostic]]) -> Callable[..., Diagnostic]:
    """The one mistake that compiling a wrong project reports."""

    def find(files: Mapping[str, str | bytes | None] | None = None, **variables: str) -> Diagnostic:
        (found,) = problems(files, **variables)
        return found

    return find


@pytest.fixture
def project_workflow() -> str:
    """The text of the clinic's workflow, to add steps to."""
    return dedent(WORKFLOW)
