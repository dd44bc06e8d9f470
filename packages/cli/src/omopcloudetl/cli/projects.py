"""Opens what the shared options name: a project's session, its plugins, or its run records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omopcloudetl.cli.options import ProjectOptions
from omopcloudetl.core.plugins import Plugins, load_plugins

if TYPE_CHECKING:
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.session import Session

PROJECT_FILE = "project.yaml"


def open_session(options: ProjectOptions) -> Session:
    """The project for its target; a relative path in `--var` is relative to the current folder."""
    from omopcloudetl.core.session import Session

    variables = options.variables
    if variables:
        from omopcloudetl.core.templates import place_given_uris

        variables = place_given_uris(options.project, variables, Path.cwd())
    return Session.open(options.project, target=options.target, variables=variables)


def compile_and_warn(
    session: Session, options: ProjectOptions, *, as_json: bool
) -> tuple[CompiledWorkflowPlan, list[object]]:
    """The project's plan and its warnings for programs; people see them on stderr, unless it is all JSON."""
    from omopcloudetl.cli.errors import show_diagnostics

    checked = session.check()
    plan = checked.required()
    if not as_json:
        show_diagnostics(checked.warnings, options.project)
    return plan, [warning.to_json() for warning in checked.warnings]


def load_project_plugins(project: Path) -> Plugins:
    """The plugins of a project; those that are always there when the current folder holds none."""
    if project == Path() and not (project / PROJECT_FILE).is_file():
        return load_plugins()
    from omopcloudetl.core.files.project_loader import load_project_config

    config, _ = load_project_config(project)
    return load_plugins(config.plugins)


def state_folder(project: Path) -> Path:
    """The folder of a project's run records; the project's files need not be right."""
    from omopcloudetl.core.session import STATE_FOLDER

    if not (project / PROJECT_FILE).is_file():
        from omopcloudetl.core.files.project_loader import load_project_config

        load_project_config(project)  # says that there is no project, and where
    return project / STATE_FOLDER
