"""Wires a project to its plugins: open it, compile it, run it. The command line is written on this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omopcloudetl.core.errors import Diagnostic, Position, ProjectError
from omopcloudetl.core.memory import collections_paused
from omopcloudetl.core.plugins import Plugins, load_plugins

if TYPE_CHECKING:
    from omopcloudetl.core.connection import BaseConnection
    from omopcloudetl.core.files.project_loader import LoadedProject
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.registrations import Provider
    from omopcloudetl.core.runs import RunRecord
    from omopcloudetl.core.specification.models import CdmSpecification

STATE_FOLDER = ".omopcloudetl"


def _unknown_provider(name: str, where: Position, known: tuple[str, ...]) -> Diagnostic:
    from omopcloudetl.core.files.validation import close_match

    return Diagnostic(
        "unknown-provider",
        f"no plugin provides the database '{name}'",
        where,
        found=name,
        allowed=known,
        suggestion=close_match(name, known),
        help="install its package; a plugin outside the namespace is named under `plugins:`",
    )


@dataclass(frozen=True)
class Session:
    """A project that was read for one target, and the plugins it uses."""

    project: LoadedProject
    plugins: Plugins
    provider: Provider

    @classmethod
    def open(cls, root: Path, *, target: str | None = None, variables: Mapping[str, str] | None = None) -> Session:
        """Read the project in `root`.

        Args:
            root: The folder that holds `project.yaml`.
            target: Which of its targets; without it the default one.
            variables: Values of workflow variables, as text; they win over those of the project file.

        Raises:
            ProjectError: The project's files are wrong.
            PluginError: A plugin that the project names cannot be loaded.
        """
        from omopcloudetl.core.files.project_loader import load_project, load_project_config

        config, _ = load_project_config(root)
        plugins = load_plugins(config.plugins)
        with collections_paused():
            project = load_project(root, target=target, variables=variables)
        providers = {provider.name: provider for provider in plugins.providers()}
        provider = providers.get(project.target.provider)
        if provider is None:
            where = project.target.at("provider")
            raise ProjectError([_unknown_provider(project.target.provider, where, tuple(providers))])
        problems = [
            Diagnostic("connection", f"{key}: {problem}", project.target.at("connection", key))
            for key, problem in provider.check(project.target.connection)
        ]
        if problems:
            raise ProjectError(problems)
        return cls(project, plugins, provider)

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
        from omopcloudetl.core.specification.manager import SpecificationManager
        from omopcloudetl.core.specification.of_project import project_specification

        manager = SpecificationManager(self.plugins.resources())
        return project_specification(self.root, self.project.config, self.project.config_document, manager)

    def compile(self) -> CompiledWorkflowPlan:
        """The project's plan; raises `ProjectError` with every mistake there is."""
        from omopcloudetl.core.compiler.workflow import WorkflowCompiler
        from omopcloudetl.core.specification.concepts import KnownConcepts

        concepts = KnownConcepts(self.plugins.resources())
        return WorkflowCompiler(self.specification(), self.provider.generator(), concepts).compile(self.project)

    def connection(self) -> BaseConnection:
        """A connection to the target, not open yet; its secrets are resolved here and kept nowhere else."""
        from omopcloudetl.core.redaction import RedactedConnection, redacted
        from omopcloudetl.core.secrets import resolve_with_values

        providers = self.plugins.secrets_providers()
        settings, secrets = resolve_with_values(self.project.target.connection, providers)
        with redacted(secrets):
            connection = self.provider.connection(settings, self.root)
        return RedactedConnection(connection, secrets) if secrets else connection

    def run(
        self,
        plan: CompiledWorkflowPlan,
        *,
        dry_run: bool = False,
        resume: bool = False,
        listeners: Sequence[object] = (),
    ) -> RunRecord:
        """Execute a plan on the target; a failed step is in the record, not an exception.

        Args:
            plan: What `compile` made.
            dry_run: Walk the plan and touch nothing.
            resume: Skip what the newest run of this target completed unchanged.
            listeners: Objects that implement any of the run event hooks, for this run only.
        """
        from omopcloudetl.core.events import RunEvents
        from omopcloudetl.core.orchestrator import ExecutionContext

        orchestrator = self.plugins.orchestrator(self.project.target.orchestrator)
        context = ExecutionContext(
            target=self.project.target_name,
            connect=self.connection,
            base=self.root,
            state=self.state,
            events=RunEvents(self.plugins.manager),
        )
        registered = []
        try:
            for listener in listeners:
                self.plugins.manager.register(listener)
                registered.append(listener)
            return orchestrator.make(context).execute_plan(plan, dry_run=dry_run, resume=resume)
        finally:
            for listener in registered:
                self.plugins.manager.unregister(listener)
