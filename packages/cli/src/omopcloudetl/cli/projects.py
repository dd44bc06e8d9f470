"""Opens what the shared options name: a project's session, or its plugins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.options import ProjectOptions

if TYPE_CHECKING:
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.plugins import Plugins
    from omopcloudetl.core.runs import RunRecord
    from omopcloudetl.core.session import Session

PROJECT_FILE = "project.yaml"


def open_session(options: ProjectOptions) -> Session:
    """The project for its target; a relative path in `--var` is relative to the current folder."""
    from omopcloudetl.core.projects import open_project

    return open_project(options.project, target=options.target, variables=options.variables)


def compile_and_warn(
    session: Session, options: ProjectOptions, *, as_json: bool
) -> tuple[CompiledWorkflowPlan, list[object]]:
    """The project's plan and its warnings for programs; people see them on stderr, unless stdout has them."""
    from omopcloudetl.cli.errors import show_diagnostics
    from omopcloudetl.cli.messages import state_of_command

    checked = session.check()
    plan = checked.required()
    if not as_json or state_of_command().log_json:
        show_diagnostics(checked.warnings, options.project)
    return plan, [warning.to_json() for warning in checked.warnings]


def find_run(project: Path, run_id: str | None, argument: str) -> RunRecord:
    """The run of an id, or the newest; an id that names no run, or several, is a wrong argument of this name."""
    from omopcloudetl.core.projects import read_run

    with run_argument(run_id, argument):
        return read_run(project, run_id)


@contextmanager
def run_argument(run_id: str | None, argument: str) -> Iterator[None]:
    """Let an id that names no run, or several, be a wrong argument of this name."""
    from omopcloudetl.core.errors import UnknownRunError

    try:
        yield
    except UnknownRunError as error:
        if run_id is None:
            raise click.UsageError(str(error)) from None
        raise click.BadParameter(str(error), param_hint=argument) from None


def folder_or_none(project: Path) -> Path | None:
    """The project's folder; None when none was named and the current folder holds none."""
    return None if project == Path() and not (project / PROJECT_FILE).is_file() else project


def load_project_plugins(project: Path) -> Plugins:
    """The plugins of a project; those that are always there when the current folder holds none."""
    from omopcloudetl.core.projects import list_plugins

    return list_plugins(folder_or_none(project))
