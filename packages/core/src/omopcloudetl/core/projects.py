"""What programs and notebooks begin with: make, open, check and examine projects; read their runs and plugins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from omopcloudetl.core import session
from omopcloudetl.core.checked import Checked
from omopcloudetl.core.errors import Diagnostic, ProjectError
from omopcloudetl.core.plugins import Plugins, load_plugins

if TYPE_CHECKING:
    from omopcloudetl.core.findings import Report
    from omopcloudetl.core.models.project import ResolvedTarget
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.rule_tests.report import RuleTestReport
    from omopcloudetl.core.run_history import RunHistory
    from omopcloudetl.core.run_store import LogEntry
    from omopcloudetl.core.runs import RunRecord
    from omopcloudetl.core.templates import NewProject

Value = str | bool | int | float | date | PurePath
"""A value of a variable, as Python has it."""
Variables = Mapping[str, Value]
PROJECT_FILE = "project.yaml"
DEMO_TEMPLATE = "synthea"
DEMO_VARIABLES = {"source_uri": "data/source", "vocabulary_uri": "data/vocabulary"}


def open_project(
    root: str | Path = ".", *, target: str | None = None, variables: Variables | None = None
) -> session.Session:
    """Read the project in the folder `root`.

    Args:
        root: The folder that holds `project.yaml`.
        target: Which of its targets; without it the default one, or the only one.
        variables: Values of workflow variables; they win over those in the files. A relative path is
            relative to the current folder, as it is after `--var`.

    Raises:
        ProjectError: The project's files are wrong; `diagnostics` has every mistake with its place.
        PluginError: Two plugins bring the same thing.
    """
    return session.Session.open(Path(root), target=target, variables=_as_text(Path(root), variables))


def check_project(root: str | Path = ".", *, target: str | None = None, variables: Variables | None = None) -> Checked:
    """Read and compile the project in the folder `root`; its mistakes are in the result, never raised.

    The arguments are those of `open_project`. No database is opened and nothing is written.
    """
    return session.check_project(Path(root), target=target, variables=_as_text(Path(root), variables))


def create_project(directory: str | Path, template: str, *, variables: Variables | None = None) -> NewProject:
    """Make a project from a template, in a folder that is new or empty.

    Args:
        directory: The project's folder.
        template: Its name, such as `synthea`.
        variables: Values to write into `project.yaml`; a relative path is relative to the current folder.

    Raises:
        TemplateError: There is no such template, or the folder is not empty.
        ProjectError: A variable is unknown or not of its type.
    """
    from omopcloudetl.core import templates

    values = {name: _text(value) for name, value in (variables or {}).items()}
    resources = load_plugins().resources()
    return templates.create_project(resources, template, Path(directory), values, base=Path.cwd())


def create_demo(directory: str | Path) -> bool:
    """Make the demo's project and its data, unless they are there; returns whether they were made.

    Raises:
        TemplateError: The folder holds something else.
    """
    from omopcloudetl.core import templates

    folder = Path(directory)
    if (folder / PROJECT_FILE).exists():
        if not _is_demo(folder):
            raise templates.TemplateError(f"{folder} holds a project that is not the demo")
        return False
    resources = load_plugins().resources()
    templates.create_project(resources, DEMO_TEMPLATE, folder, DEMO_VARIABLES, base=folder)
    templates.copy_demo_data(resources, folder)
    return True


def examine_project(
    root: str | Path = ".",
    *,
    target: str | None = None,
    all_targets: bool = False,
    variables: Variables | None = None,
) -> Report:
    """Look at all that a run needs, as `omopcloudetl doctor` does; nothing that is made to look stays.

    The arguments are those of `open_project`; `all_targets` looks at every target that can be run.
    """
    from omopcloudetl.core.doctor.examination import examine

    values = _as_text(Path(root), variables)
    return examine(Path(root), target=target, all_targets=all_targets, variables=values)


def check_rules(
    root: str | Path = ".", *mappings: str, target: str | None = None, variables: Variables | None = None
) -> RuleTestReport:
    """Run the rule tests of some mappings of a project, or of all, as `omopcloudetl test` does.

    They run on an embedded DuckDB in memory; the project's own target, and its provider, are not needed. The other
    arguments are those of `open_project`.

    Raises:
        ProjectError: The project's files are wrong, or one of these mappings, or of their tests.
        UnknownNameError: The project has no mapping of this name.
        PluginError: DuckDB is not installed.
    """
    values = _as_text(Path(root), variables)
    return session.check_rules(Path(root), mappings, target=target, variables=values)


def list_runs(root: str | Path = ".", *, limit: int | None = None) -> list[RunRecord]:
    """The records of a project's runs, the newest first, or only so many; its files need not be right."""
    with _history(Path(root)) as history:
        return history.list_runs(limit)


def read_run(root: str | Path = ".", run_id: str | None = None) -> RunRecord:
    """One record: the newest, or that of an id, of which the beginning is enough; raises `RunError`."""
    with _history(Path(root)) as history:
        return history.read_run(run_id)


def read_run_plan(root: str | Path = ".", run_id: str | None = None) -> CompiledWorkflowPlan:
    """The plan that a run ran, found as `read_run` finds it; raises `RunError`."""
    with _history(Path(root)) as history:
        return history.plan_of(run_id)


def read_run_log(root: str | Path = ".", run_id: str | None = None) -> tuple[str, Sequence[LogEntry]]:
    """The id of a run, found as `read_run` finds it, and what happened in it, in order; raises `RunError`."""
    with _history(Path(root)) as history:
        return history.log_of(run_id)


def make_report(
    root: str | Path = ".",
    run_id: str | None = None,
    *,
    plan: CompiledWorkflowPlan | None = None,
    go_on: str = "",
) -> str:
    """The report of a run as the text of one HTML page, as `omopcloudetl report` writes it.

    Args:
        root: The project's folder.
        run_id: Which run, of whose id the beginning is enough; the newest one by default.
        plan: The run's plan, where the store does not keep it; without it the page has neither SQL nor lineage.
        go_on: A command to show that goes on with a run that failed.

    Raises:
        RunError: There is no such run.
        PlanError: The plan is not the one that was run.
    """
    from omopcloudetl.core.report.making import report_run

    with _history(Path(root)) as history:
        return report_run(history, run_id, plan, go_on)


def list_targets(root: str | Path = ".") -> list[tuple[ResolvedTarget, bool]]:
    """Every target of a project with what it inherits, and whether it is the default; raises `ProjectError`."""
    from omopcloudetl.core.files.project_loader import load_project_config
    from omopcloudetl.core.files.targets import choose_target, resolve_targets

    config, document = load_project_config(Path(root))
    problems: list[Diagnostic] = []
    resolved = resolve_targets(config, document, problems)
    if problems:
        raise ProjectError(problems)
    default = choose_target(config, document, None, [])
    return [(target, target.name == default) for target in resolved.values()]


def list_plugins(root: str | Path | None = None) -> Plugins:
    """The plugins that a project has; without one those that are always there."""
    if root is None:
        return load_plugins()
    from omopcloudetl.core.files.project_loader import load_project_config

    config, _ = load_project_config(Path(root))
    return load_plugins(config.plugins)


def _as_text(root: Path, variables: Variables | None) -> dict[str, str]:
    from omopcloudetl.core.templates import place_given_uris

    values = {name: _text(value) for name, value in (variables or {}).items()}
    try:
        return place_given_uris(root, values, Path.cwd())
    except ProjectError:
        return values  # whoever reads the project tells all that is wrong with it


def _text(value: Value) -> str:
    match value:
        case bool():
            return str(value).lower()
        case date():
            return value.isoformat()
        case PurePath():
            return value.as_posix()
        case _:
            return str(value)


def _is_demo(folder: Path) -> bool:
    """Whether a project reads the demo's data from where the demo puts them."""
    from omopcloudetl.core.files.project_loader import load_project_config

    source = DEMO_VARIABLES["source_uri"]
    if not (folder / source).is_dir():
        return False
    config, _ = load_project_config(folder)
    return config.variables.get("source_uri") == source


@contextmanager
def _history(root: Path) -> Iterator[RunHistory]:
    from omopcloudetl.core.run_history import open_history, plugins_of_runs

    file = root / PROJECT_FILE
    if not file.is_file():
        from omopcloudetl.core.files.project_loader import load_project_config

        load_project_config(root)  # says that there is no project, and where
    with open_history(plugins_of_runs(file), root / session.STATE_FOLDER) as history:
        yield history
