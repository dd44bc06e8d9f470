"""Reads what a session is made of: a project, its plugins, its target's provider, with all mistakes at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omopcloudetl.core.errors import Diagnostic, PluginError, ProjectError, in_order
from omopcloudetl.core.memory import collections_paused
from omopcloudetl.core.plugins import Plugins, load_plugins

if TYPE_CHECKING:
    from omopcloudetl.core.files.project_loader import LoadedProject
    from omopcloudetl.core.files.yaml_document import YamlDocument
    from omopcloudetl.core.registrations import Provider
    from omopcloudetl.core.specification.models import CdmSpecification


def read_parts(
    root: Path, target: str | None, variables: Mapping[str, str] | None
) -> tuple[LoadedProject, Plugins, list[Diagnostic]]:
    """A project, its plugins, and its mistakes so far; raises `ProjectError` where there is nothing to go on with."""
    from omopcloudetl.core.files.project_loader import read_project

    with collections_paused():
        reading = read_project(root, target=target, variables=variables)
    if reading.config is None or reading.config_document is None:
        raise ProjectError(told(root, reading.problems))
    plugins, problems = _load_plugins(reading.config.plugins, reading.config_document)
    problems += reading.problems
    if reading.project is None:
        raise ProjectError(told(root, problems))
    return reading.project, plugins, problems


def specification_of(project: LoadedProject, plugins: Plugins) -> CdmSpecification:
    """The CDM as the project's version, source and overlays make it; raises `ProjectError`."""
    from omopcloudetl.core.specification.manager import SpecificationManager
    from omopcloudetl.core.specification.of_project import project_specification

    manager = SpecificationManager(plugins.resources())
    return project_specification(project.root, project.config, project.config_document, manager)


def provider_of(project: LoadedProject, plugins: Plugins) -> tuple[Provider | None, list[Diagnostic]]:
    """The provider of the project's target, and what is wrong with its name or the target's settings."""
    from omopcloudetl.core.files.validation import close_match
    from omopcloudetl.core.secrets import unescaped

    name = project.target.provider
    providers = {provider.name: provider for provider in plugins.providers()}
    provider = providers.get(name)
    if provider is None:
        problem = Diagnostic(
            "unknown-provider",
            f"no plugin provides the database '{name}'",
            project.target.at("provider"),
            found=name,
            allowed=tuple(providers),
            suggestion=close_match(name, tuple(providers)),
            help="install its package; a plugin outside the namespace is named under `plugins:`",
        )
        return None, [problem]
    return provider, [
        Diagnostic(
            "connection",
            f"{key}: {problem}",
            project.target.at("connection", key),
            help=f"change the target's `connection:`; docs of the provider {name} list its settings",
        )
        for key, problem in provider.check(unescaped(project.target.connection))
        if key in project.target.connection or "targets" not in project.incomplete
    ]


def told(root: Path, diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The diagnostics in order, each at exactly the text that it is about."""
    found = in_order(diagnostics)
    if not found:
        return ()
    from omopcloudetl.core.files.spans import Sources

    return tuple(in_order(Sources(root).with_spans(found)))


def _load_plugins(names: Sequence[str], document: YamlDocument) -> tuple[Plugins, list[Diagnostic]]:
    """The plugins that can be loaded, and a diagnostic for each that a project names and that cannot."""
    try:
        return load_plugins(names), []
    except PluginError:
        good, problems = [], []
        load_plugins()  # if this fails, it is no mistake of the project
        for i, name in enumerate(names):
            try:
                load_plugins([name])
            except PluginError as error:
                help_ = "install its package, or take it out of `plugins:`"
                problems.append(Diagnostic("plugin", str(error), document.at("plugins", i), found=name, help=help_))
            else:
                good.append(name)
        return load_plugins(good), problems
