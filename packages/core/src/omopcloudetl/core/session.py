"""Wires a project to its plugins: open it, compile it, run it. The command line is written on this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from omopcloudetl.core.checked import Checked
from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.opening import provider_of, read_parts, specification_of, told

if TYPE_CHECKING:
    from omopcloudetl.core.compiler.workflow import WorkflowCompiler
    from omopcloudetl.core.connection import BaseConnection
    from omopcloudetl.core.explain.context import Context
    from omopcloudetl.core.explain.model import Explanation
    from omopcloudetl.core.files.project_loader import LoadedProject
    from omopcloudetl.core.generator import BaseSQLGenerator
    from omopcloudetl.core.models.project import ResolvedTarget
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.plugins import Plugins
    from omopcloudetl.core.registrations import Provider
    from omopcloudetl.core.rule_tests.report import RuleTestReport
    from omopcloudetl.core.run_events import OnEvent
    from omopcloudetl.core.run_history import RunHistory
    from omopcloudetl.core.runs import RunRecord
    from omopcloudetl.core.specification.models import CdmSpecification
    from omopcloudetl.core.vocabulary.coverage import Coverage
    from omopcloudetl.core.vocabulary.loading import VocabularyLoad

STATE_FOLDER = ".omopcloudetl"


def check_project(root: Path, *, target: str | None = None, variables: Mapping[str, str] | None = None) -> Checked:
    """Read and compile the project in `root`; the mistakes in its files are in the result, never raised.

    Raises:
        PluginError: A plugin that no project names is broken, or two plugins bring the same thing.
    """
    try:
        return Session.open(root, target=target, variables=variables).check()
    except ProjectError as error:
        return Checked(None, error.diagnostics)


def check_rules(
    root: Path, mappings: Sequence[str], *, target: str | None = None, variables: Mapping[str, str] | None = None
) -> RuleTestReport:
    """Run rule tests as `Session.test` does; the provider of the target need not be installed.

    Raises:
        ProjectError: The project's files are wrong, or one of these mappings, or of their tests.
        PluginError: DuckDB is not installed, or a plugin is broken.
        UnknownNameError: The project has no mapping of this name.
    """
    project, plugins, problems = read_parts(root, target, variables)
    if problems:
        raise ProjectError(told(root, problems))
    return _report(project, plugins, mappings)


def _report(project: LoadedProject, plugins: Plugins, mappings: Sequence[str]) -> RuleTestReport:
    from omopcloudetl.core.rule_tests.testing import try_rules

    report, found = try_rules(project, plugins, specification_of(project, plugins), mappings)
    diagnostics = told(project.root, found)
    errors = tuple(diagnostic for diagnostic in diagnostics if diagnostic.severity == "error")
    if errors:
        raise ProjectError(errors)
    return replace(report, warnings=diagnostics)


@dataclass(frozen=True, repr=False)
class Session:
    """A project that was read for one target, and the plugins it uses."""

    project: LoadedProject
    plugins: Plugins
    provider: Provider
    _explained: list[Context] = field(default_factory=list, init=False, compare=False)
    """Of the plan that was explained last: its files and statements are read once."""

    @classmethod
    def open(cls, root: Path, *, target: str | None = None, variables: Mapping[str, str] | None = None) -> Session:
        """Read the project in `root`.

        Args:
            root: The folder that holds `project.yaml`.
            target: Which of its targets; without it the default one.
            variables: Values of workflow variables, as text; they win over those of the project file.

        Raises:
            ProjectError: The project's files are wrong.
            PluginError: Two plugins bring the same thing.
        """
        project, plugins, problems = read_parts(root, target, variables)
        provider, found = provider_of(project, plugins)
        problems += found
        if provider is None:
            raise ProjectError(told(root, problems))
        session = cls(project, plugins, provider)
        if problems:
            raise ProjectError(told(root, [*problems, *session.check().errors]))
        return session

    def check(self) -> Checked:
        """Compile the project and return the plan, if there is one, with every mistake and every warning."""
        try:
            compiler = self._compiler()
        except ProjectError as error:
            return Checked(None, told(self.root, error.diagnostics))
        checked = compiler.check(self.project)
        return replace(checked, diagnostics=told(self.root, checked.diagnostics))

    def _compiler(self) -> WorkflowCompiler:
        from omopcloudetl.core.compiler.workflow import WorkflowCompiler
        from omopcloudetl.core.specification.concepts import KnownConcepts

        concepts = KnownConcepts(self.plugins.resources())
        return WorkflowCompiler(self.specification(), self.generator(), concepts)

    def generator(self) -> BaseSQLGenerator:
        """The SQL generator for the target."""
        return self.provider.generator_for(self.project.target.connection)

    def __repr__(self) -> str:
        target = self.project.target
        return f"<Session {self.project.config.name}: target {target.name} ({target.provider}), in {self.root}>"

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.project.root

    @property
    def state(self) -> Path:
        """The folder of the project's run records."""
        return self.root / STATE_FOLDER

    def specification(self) -> CdmSpecification:
        """The CDM as the project's version, source and overlays make it; raises `ProjectError`."""
        return specification_of(self.project, self.plugins)

    def compile(self) -> CompiledWorkflowPlan:
        """The project's plan; raises `ProjectError` with every mistake there is."""
        return self.check().required()

    def explain(self, name: str, plan: CompiledWorkflowPlan | None = None) -> Explanation:
        """Where a field comes from, who writes a table, what a step does: `person.gender_concept_id`, `person`.

        Args:
            name: A field, a table, a step of the plan or the workflow, or a mapping; docs/explain.md says which wins.
            plan: What `compile` made; without it the project is compiled.

        Raises:
            ProjectError: The project cannot be compiled.
            UnknownNameError: Nothing has this name.
        """
        from omopcloudetl.core.explain.context import Context
        from omopcloudetl.core.explain.explanation import explain

        plan = plan or self.compile()
        if not any(context.plan is plan for context in self._explained):
            self._explained[:] = [Context(self.project, plan, self.specification())]
        return explain(self._explained[0], name)

    def test(self, *mappings: str) -> RuleTestReport:
        """Run the rule tests of some mappings, or of all, on an embedded DuckDB in memory, whatever the target is.

        Args:
            mappings: Names of mappings, or their files.

        Raises:
            ProjectError: One of these mappings, or of their tests, is wrong; the others are not looked at.
            UnknownNameError: The project has no mapping of this name.
            PluginError: DuckDB is not installed.
        """
        return _report(self.project, self.plugins, mappings)

    def history(self) -> AbstractContextManager[RunHistory]:
        """The project's earlier runs, of all targets: their records, plans and logs, for the block of a `with`."""
        from omopcloudetl.core.run_history import open_history

        return open_history(self.plugins, self.state)

    def runs(self, limit: int | None = None) -> list[RunRecord]:
        """The records of earlier runs, of all targets, the newest first, or only so many."""
        with self.history() as history:
            return history.list_runs(limit)

    def run_record(self, run_id: str | None = None) -> RunRecord:
        """The record of a run, of which the beginning of the id is enough, or the newest; raises `RunError`."""
        with self.history() as history:
            return history.read_run(run_id)

    def report(self, run_id: str | None = None) -> str:
        """The report of a run, found as `run_record` finds it, as the text of one HTML page; raises `RunError`."""
        from omopcloudetl.core.report.making import report_run

        with self.history() as history:
            return report_run(history, run_id)

    def targets(self) -> list[ResolvedTarget]:
        """Every target of the project with what it inherits."""
        from omopcloudetl.core.files.targets import resolve_targets

        return list(resolve_targets(self.project.config, self.project.config_document, []).values())

    def connection(self) -> BaseConnection:
        """A connection to the target, not open yet; its secrets are resolved here and kept nowhere else."""
        from omopcloudetl.core.known_secrets import remember
        from omopcloudetl.core.redaction import RedactedConnection, redacted
        from omopcloudetl.core.secrets import resolve_with_values

        providers = self.plugins.secrets_providers()
        target = self.project.target
        settings, secrets = resolve_with_values(
            target.connection,
            providers,
            lambda key: f"connection.{key} of the target {target.name} ({target.at('connection', key)})",
        )
        remember(secrets)
        with redacted(secrets):
            connection = self.provider.connection(settings, self.root)
        return RedactedConnection(connection, secrets) if secrets else connection

    def load_vocabulary(
        self, uri: str | Path, *, tables: Sequence[str] = (), listeners: Sequence[object] = ()
    ) -> VocabularyLoad:
        """Load Athena's files into the target's vocabulary tables, outside of the workflow.

        Args:
            uri: A folder or a zip; a relative path is relative to the current folder.
            tables: Which tables; without it, all that there is a file of. Those that a rule of the project reads
                must have one.
            listeners: Objects that implement any of the run event hooks.

        Returns:
            What was loaded; a step that failed is in its record, not an exception.

        Raises:
            ProjectError: The place cannot be one.
            UnknownNameError: There is no vocabulary table of a name.
        """
        from omopcloudetl.core.vocabulary.loading import STATE_FOLDER as FOLDER
        from omopcloudetl.core.vocabulary.loading import VocabularyLoad, vocabulary_project

        project = vocabulary_project(self.project, self.specification(), self.check().plan, str(uri), tables)
        plan = replace(self, project=project).compile()
        return VocabularyLoad.of(self.run(plan, listeners=listeners, state=self.state / FOLDER))

    def coverage(self, mappings: Sequence[str] = (), *, roles: Sequence[str] = ()) -> Coverage:
        """Which codes of the mappings have standard concepts, by the tables that the last run left.

        Args:
            mappings: Names of mappings; all that look codes up without any.
            roles: Whose codes are listed, such as `concept`, `unit` and `value`; all but `value` without any, because
                texts of values may say more of a person than a code does.

        Raises:
            ProjectError: The project cannot be compiled.
            UnknownNameError: No mapping has a name, or none that looks codes up.
            RunError: There was no run that made the tables.
        """
        from omopcloudetl.core.vocabulary.coverage import check_names, read_coverage

        self.compile()  # a project with mistakes has none
        queries = self._compiler().coverage(self.project, [loaded.model.name for loaded in self.project.mappings])
        check_names(mappings, [loaded.model.name for loaded in self.project.mappings], queries)
        queries = {name: sql for name, sql in queries.items() if name in (mappings or queries)}
        schema = self.project.config.physical_schemas(self.project.target)["work"].split(".")
        tables = {name: (*schema, sql.table.partition(".")[2]) for name, sql in queries.items()}
        with self.connection() as connection:
            return read_coverage(connection, queries, tables, roles)

    def run(
        self,
        plan: CompiledWorkflowPlan,
        *,
        dry_run: bool = False,
        resume: bool = False,
        on_event: OnEvent | None = None,
        listeners: Sequence[object] = (),
        state: Path | None = None,
    ) -> RunRecord:
        """Execute a plan on the target; a failed step is in the record, not an exception.

        Args:
            plan: What `compile` made.
            dry_run: Walk the plan and touch nothing.
            resume: Skip what the target's database proves to be complete and unchanged: after a failure, or to run
                only what changed.
            on_event: Called with each `RunEvent`, one at a time; an exception of it becomes a warning.
            listeners: Objects that implement any of the run event hooks, for this run only.
            state: The folder that keeps the run's record; the project's own by default.

        Raises:
            PluginError: There is no such orchestrator.
            SecretError: A secret of the connection is not found.
            DatabaseConnectionError: No connection could be opened.
            RunError: Another run of the target goes on, or the run's record could not be kept.
        """
        from omopcloudetl.core.events import RunEvents
        from omopcloudetl.core.orchestrator import ExecutionContext
        from omopcloudetl.core.run_events import EventCallback

        orchestrator = self.plugins.orchestrator(self.project.target.orchestrator)
        context = ExecutionContext(
            target=self.project.target_name,
            connect=self.connection,
            base=self.root,
            state=state or self.state,
            events=RunEvents(self.plugins.manager),
            lock_folder=self.state,
        )
        callback = [] if on_event is None else [EventCallback(on_event)]
        registered = []
        try:
            for listener in [*callback, *listeners]:
                self.plugins.manager.register(listener)
                registered.append(listener)
            return orchestrator.make(context).execute_plan(plan, dry_run=dry_run, resume=resume)
        finally:
            for listener in registered:
                self.plugins.manager.unregister(listener)
