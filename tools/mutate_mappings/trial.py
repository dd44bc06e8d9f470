"""Tries mutants: compiles each, and runs the rule tests of its mapping until one fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from omopcloudetl.core.files.project_loader import LoadedMapping, LoadedProject, load_project
from omopcloudetl.core.models.mapping import DMLDefinition
from omopcloudetl.core.models.workflow import SqlStep
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.projects import create_project
from omopcloudetl.core.rule_tests.running import Bench, run_tests
from omopcloudetl.core.rule_tests.slices import Slice, Slicer
from omopcloudetl.core.rule_tests.testing import opened_bench, rules_engine
from omopcloudetl.core.specification.concepts import KnownConcepts
from omopcloudetl.core.specification.manager import SpecificationManager
from omopcloudetl.core.specification.of_project import project_specification
from tools.mutate_mappings.mutants import Mutant, mutants_of, mutants_of_sql

State = Literal["noticed", "survived", "same", "refused"]
"""A test failed; all passed; the same SQL as the mapping's own came out; or it does not compile."""
VARIABLES = {"source_uri": "data", "vocabulary_uri": "vocabulary"}
_ADAPTER = TypeAdapter(DMLDefinition)


@dataclass(frozen=True)
class Trial:
    """What became of a mutant."""

    mutant: Mutant
    state: State
    by: str | None = None
    """The test that failed first."""


@dataclass
class Laboratory:
    """A shipped project, and an engine to try its mutants on."""

    project: LoadedProject
    slicer: Slicer
    bench: Bench
    own: dict[str, Slice] = field(default_factory=dict)
    """The mappings as they are shipped, compiled."""

    def mutants(self, names: Iterable[str] = ()) -> Iterator[Mutant]:
        """The mutants of some mappings, or of all that have tests."""
        wanted = set(names)
        for loaded in self.project.mappings:
            if loaded.model.tests and (not wanted or loaded.model.name in wanted):
                yield from mutants_of(loaded.document.data)
                for step in self._own(loaded.model.name).steps:
                    if step.is_sql_file:
                        file = self._files()[step.name]
                        yield from mutants_of_sql(loaded.document.data, file, self.project.sql_files[file])

    def try_out(self, mutant: Mutant) -> Trial:
        """Compile a mutant and run its tests."""
        original = self._mapping(mutant.mapping)
        try:
            model = _ADAPTER.validate_python(mutant.data, by_alias=True, by_name=False)
        except ValidationError:
            return Trial(mutant, "refused")
        loaded = replace(original, model=model, document=replace(original.document, data=mutant.data))
        project = self.project
        if mutant.sql is not None:
            project = replace(project, sql_files={**project.sql_files, mutant.sql[0]: mutant.sql[1]})
        made = self.made(loaded, project)
        if made is None:
            return Trial(mutant, "refused")
        if made.steps == self._own(mutant.mapping).steps:
            return Trial(mutant, "same")
        failed = next((result.name for result in run_tests(made, self.bench) if not result.passed), None)
        return Trial(mutant, "survived" if failed is None else "noticed", failed)

    def made(self, loaded: LoadedMapping, project: LoadedProject) -> Slice | None:
        """A mapping of a project, compiled."""
        self.slicer.problems.clear()
        self.slicer.project = project
        return self.slicer.slice(loaded)

    def _own(self, name: str) -> Slice:
        """The mapping as it is shipped."""
        if name not in self.own:
            made = self.made(self._mapping(name), self.project)
            assert made is not None, self.slicer.problems
            self.own[name] = made
        return self.own[name]

    def _mapping(self, name: str) -> LoadedMapping:
        return next(loaded for loaded in self.project.mappings if loaded.model.name == name)

    def _files(self) -> dict[str, str]:
        """Step → the SQL file it runs."""
        return {step.name: step.file for step in self.project.workflow.steps if isinstance(step, SqlStep)}


@contextmanager
def laboratory(folder: Path, template: str = "synthea") -> Iterator[Laboratory]:
    """A shipped project in a new folder, ready for its mutants to be tried."""
    create_project(folder, template, variables=VARIABLES)
    plugins = load_plugins()
    project = load_project(folder)
    manager = SpecificationManager(plugins.resources())
    specification = project_specification(folder, project.config, project.config_document, manager)
    slicer = Slicer(project, specification, rules_engine(plugins).generator(), KnownConcepts(plugins.resources()))
    with opened_bench(plugins) as bench:
        yield Laboratory(project, slicer, bench)
