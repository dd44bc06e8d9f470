"""Loads a project folder: project file, workflow, mappings and SQL files, each with its positions."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from omopcloudetl.core.errors import Diagnostic, Position, ProjectError
from omopcloudetl.core.files.targets import choose_target, resolve_targets
from omopcloudetl.core.files.validation import validate_document
from omopcloudetl.core.files.variables import Literals, project_variables, read_variables
from omopcloudetl.core.files.yaml_document import YamlDocument, parse_yaml
from omopcloudetl.core.models.mapping import DMLDefinition, EventMapping, TableMapping
from omopcloudetl.core.models.project import ProjectConfig, ResolvedTarget
from omopcloudetl.core.models.workflow import DmlStep, SqlStep, WorkflowConfig

PROJECT_FILE = "project.yaml"

T = TypeVar("T")
_PROJECT: TypeAdapter[ProjectConfig] = TypeAdapter(ProjectConfig)
_WORKFLOW: TypeAdapter[WorkflowConfig] = TypeAdapter(WorkflowConfig)
_MAPPING: TypeAdapter[TableMapping | EventMapping] = TypeAdapter(DMLDefinition)


@dataclass(frozen=True)
class LoadedMapping:
    """A mapping, the file it stands in, and the workflow step that runs it."""

    model: TableMapping | EventMapping
    document: YamlDocument = field(repr=False)
    step: str = ""


@dataclass(frozen=True)
class LoadedProject:
    """Everything a project's files say, checked one by one but not yet against each other."""

    root: Path
    config: ProjectConfig
    config_document: YamlDocument = field(repr=False)
    workflow: WorkflowConfig
    workflow_document: YamlDocument = field(repr=False)
    mappings: tuple[LoadedMapping, ...]
    sql_files: Mapping[str, str] = field(repr=False)
    """Path as written in the workflow → the file's text."""
    target: ResolvedTarget
    """The target this project was loaded for, with what it inherits."""
    variables: Literals

    @property
    def target_name(self) -> str:
        """The name of the target this project was loaded for."""
        return self.target.name


def load_project_config(root: Path) -> tuple[ProjectConfig, YamlDocument]:
    """Only `project.yaml`, so that its plugins can be loaded before anything else."""
    if not root.is_dir():
        raise _missing(PROJECT_FILE, f"there is no folder {root}")
    return _read(root, PROJECT_FILE, _PROJECT)


def load_project(root: Path, *, target: str | None = None, variables: Mapping[str, str] | None = None) -> LoadedProject:
    """Read a project; the mistakes in its files are raised together as one `ProjectError`.

    Only `project.yaml` and then the workflow must be right before the files they name are looked at.

    Args:
        root: The project's folder.
        target: Name of the target; without it the project's default, or its only one.
        variables: Values given from outside, as text; they win over those of the project file.
    """
    config, config_document = load_project_config(root)
    workflow, workflow_document = _read(root, config.workflow, _WORKFLOW, config_document.at("workflow"))
    problems: list[Diagnostic] = []
    mappings = _read_mappings(root, workflow, workflow_document, problems)
    sql_files = _read_sql_files(root, workflow, workflow_document, problems)
    about_targets: list[Diagnostic] = []
    name = choose_target(config, config_document, target, about_targets)
    chosen = resolve_targets(config, config_document, about_targets).get(name or "")
    of_project = project_variables(config, config_document, chosen)
    literals = read_variables(workflow, workflow_document, of_project, variables or {}, problems)
    problems += about_targets
    if problems or chosen is None:
        raise ProjectError(problems)
    return LoadedProject(
        root=root,
        config=config,
        config_document=config_document,
        workflow=workflow,
        workflow_document=workflow_document,
        mappings=tuple(mappings),
        sql_files=sql_files,
        target=chosen,
        variables=literals,
    )


def read_project_text(root: Path, file: str, named_at: Position) -> str:
    """The text of a file that the project names at `named_at`; raises `ProjectError` where there is none."""
    return _text(root, file, named_at)


def path_in_project(root: Path, path: str, named_at: Position) -> Path:
    """A path that the project names at `named_at`; one that leaves the project's folder is refused."""
    return _inside(root, path, named_at)


def _read_mappings(
    root: Path, workflow: WorkflowConfig, document: YamlDocument, problems: list[Diagnostic]
) -> list[LoadedMapping]:
    found: dict[str, LoadedMapping] = {}
    for i, step in enumerate(workflow.steps):
        if not isinstance(step, DmlStep):
            continue
        for j, pattern in enumerate(step.mappings):
            where = document.at("steps", i, "mappings", j)
            try:
                files = _expand(root, pattern, where)
            except ProjectError as error:
                problems.extend(error.diagnostics)
                continue
            for file in files:
                try:
                    loaded = LoadedMapping(*_read(root, file, _MAPPING, where), step.name)
                except ProjectError as error:
                    problems.extend(error.diagnostics)
                else:
                    _add_mapping(loaded, found, problems)
    return list(found.values())


def _add_mapping(loaded: LoadedMapping, found: dict[str, LoadedMapping], problems: list[Diagnostic]) -> None:
    """Names are unique; the same file may be named twice in one step."""
    name, document = loaded.model.name, loaded.document
    first = found.setdefault(name, loaded)
    if first.document.file != document.file:
        message = f"the mapping name '{name}' is already used in {first.document.at('name')}"
    elif first.step != loaded.step:
        message = f"the mapping is run by two steps, {first.step} and {loaded.step}"
    else:
        return
    problems.append(Diagnostic("duplicate-name", message, document.at("name"), found=name))


def _read_sql_files(
    root: Path, workflow: WorkflowConfig, document: YamlDocument, problems: list[Diagnostic]
) -> dict[str, str]:
    texts = {}
    for i, step in enumerate(workflow.steps):
        if isinstance(step, SqlStep):
            try:
                texts[step.file] = _text(root, step.file, document.at("steps", i, "file"))
            except ProjectError as error:
                problems.extend(error.diagnostics)
    return texts


def _read(root: Path, file: str, adapter: TypeAdapter[T], named_at: Position | None = None) -> tuple[T, YamlDocument]:
    document = parse_yaml(file, _text(root, file, named_at or Position(file)))
    return validate_document(document, adapter), document


def _text(root: Path, file: str, named_at: Position) -> str:
    path = _inside(root, file, named_at)
    if not path.is_file():
        raise _missing(file, f"there is no file {file} in the project", named_at)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        where = Position(file, before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))
        message = f"the file is not UTF-8: the byte 0x{error.object[error.start]:02X} cannot be read"
        raise ProjectError([Diagnostic("encoding", message, where, help="save it as UTF-8")]) from None
    except OSError as error:
        raise _missing(file, f"the file cannot be read: {error.strerror}", named_at) from None


def _inside(root: Path, file: str, named_at: Position) -> Path:
    """The path of a project's file; one that leaves the project's folder is refused."""
    path = root / file
    try:
        inside = "\0" not in file and path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # links that lead to themselves
        inside = False
    if not inside:
        message = f"'{file}' is outside the project"
        raise ProjectError([Diagnostic("outside-project", message, named_at, help="keep it below project.yaml")])
    return path


def _expand(root: Path, pattern: str, named_at: Position) -> list[str]:
    """The files a path or glob names, as sorted POSIX paths relative to the project."""
    _inside(root, pattern, named_at)
    if not any(mark in pattern for mark in "*?["):
        return [posixpath.normpath(pattern)]
    try:
        files: Iterable[Path] = root.glob(pattern)
        names = sorted(path.relative_to(root).as_posix() for path in files if path.is_file())
    except ValueError as error:
        message = f"'{pattern}' is no pattern of files: {error}"
        raise ProjectError([Diagnostic("no-mappings", message, named_at)]) from None
    if not names:
        raise ProjectError([Diagnostic("no-mappings", f"no file matches '{pattern}'", named_at)])
    return names


def _missing(file: str, message: str, named_at: Position | None = None) -> ProjectError:
    help_ = "run `omopcloudetl init` to make a project" if file == PROJECT_FILE else None
    return ProjectError([Diagnostic("missing-file", message, named_at or Position(file), help=help_)])
