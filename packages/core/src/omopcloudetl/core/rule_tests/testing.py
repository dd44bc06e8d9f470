"""Tests the rules of a project's mappings: chooses them, compiles each alone, and runs its tests on DuckDB."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from omopcloudetl.core.errors import Diagnostic, PluginError, UnknownNameError
from omopcloudetl.core.files.project_loader import LoadedMapping, LoadedProject
from omopcloudetl.core.files.validation import close_match
from omopcloudetl.core.memory import collections_paused
from omopcloudetl.core.plugins import Plugins
from omopcloudetl.core.registrations import Provider, Settings
from omopcloudetl.core.rule_tests.report import RuleTestReport, RuleTestResult
from omopcloudetl.core.rule_tests.running import Bench, run_tests
from omopcloudetl.core.rule_tests.slices import Slice, Slicer
from omopcloudetl.core.specification.concepts import KnownConcepts
from omopcloudetl.core.specification.models import CdmSpecification

ENGINE = "duckdb"
"""The provider on which rules are tested, whatever the project's targets are."""
SETTINGS: Settings = {"path": ":memory:", "threads": 1}


def try_rules(
    project: LoadedProject, plugins: Plugins, specification: CdmSpecification, names: Iterable[str] = ()
) -> tuple[RuleTestReport, tuple[Diagnostic, ...]]:
    """The report of the tests of some mappings, or of all, and what is wrong with these and their tests.

    Where there are errors, no test is run.

    Raises:
        UnknownNameError: There is no mapping of a name.
        PluginError: The provider on which rules are tested is not installed.
        DatabaseConnectionError: The engine could not be opened.
    """
    start = time.perf_counter()
    chosen = _chosen(project, tuple(names))
    slicer = Slicer(project, specification, rules_engine(plugins).generator(), KnownConcepts(plugins.resources()))
    slices: list[Slice] = []
    with collections_paused():
        for loaded in chosen:
            made = slicer.slice(loaded) if loaded.model.tests else None
            slices += [made] if made else []
    is_wrong = any(problem.severity == "error" for problem in slicer.problems)
    results: list[RuleTestResult] = []
    if slices and not is_wrong:
        with opened_bench(plugins) as bench:
            for made in slices:
                results += run_tests(made, bench)
    untested = tuple(loaded.model.name for loaded in chosen if not loaded.model.tests)
    return RuleTestReport(tuple(results), untested, time.perf_counter() - start), tuple(slicer.problems)


@contextmanager
def opened_bench(plugins: Plugins) -> Iterator[Bench]:
    """A database in memory, which is gone at the end; raises as `try_rules` does."""
    base = Path(tempfile.gettempdir()) / f"omopcloudetl-{secrets.token_hex(8)}"  # a name; nothing is written there
    with rules_engine(plugins).connection(SETTINGS, base) as connection:
        yield Bench(connection)


def _chosen(project: LoadedProject, names: tuple[str, ...]) -> list[LoadedMapping]:
    """The mappings of the names, or of the files; all of them without any."""
    by_name = {loaded.model.name: loaded for loaded in project.mappings}
    by_name |= {loaded.document.file: loaded for loaded in project.mappings}
    for name in names:
        if name not in by_name:
            near = close_match(name, tuple(by_name))
            raise UnknownNameError(name, f"the project has no mapping '{name}'", [near] if near else [])
    return list({id(by_name[name]): by_name[name] for name in names}.values()) if names else list(project.mappings)


def rules_engine(plugins: Plugins) -> Provider:
    """The provider on which rules are tested; raises `PluginError` where it is not installed."""
    for provider in plugins.providers():
        if provider.name == ENGINE:
            return provider
    raise PluginError(f"rules are tested on {ENGINE}, which is not installed: pip install omopcloudetl-provider-duckdb")
