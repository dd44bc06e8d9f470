"""Loads a project folder: project file, workflow, mappings and SQL files, each with its positions."""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from pydantic import TypeAdapter

from omopcloudetl.core.errors import Diagnostic, Position, ProjectError
from omopcloudetl.core.files.secret_references import check_secrets
from omopcloudetl.core.files.targets import choose_target, resolve_targets
from omopcloudetl.core.files.validation import close_match, salvage_document, validate_document
from omopcloudetl.core.files.variables import Literals, project_variables, read_variables
from omopcloudetl.core.files.yaml_document import YamlDocument, parse_yaml
from omopcloudetl.core.models.mapping import DMLDefinition
from omopcloudetl.core.models.mapping import Mapping as MappingModel
from omopcloudetl.core.models.project import ProjectConfig, ResolvedTarget
from omopcloudetl.core.models.workflow import ConceptsStep, DmlStep, SqlStep, WorkflowConfig
from omopcloudetl.core.text import in_bytes

PROJECT_FILE = "project.yaml"
MAX_FILE_BYTES = 32_000_000

T = TypeVar("T")
K = TypeVar("K", bound=str)
_PROJECT: TypeAdapter[ProjectConfig] = TypeAdapter(ProjectConfig)
_WORKFLOW: TypeAdapter[WorkflowConfig] = TypeAdapter(WorkflowConfig)
_MAPPING: TypeAdapter[MappingModel] = TypeAdapter(DMLDefinition)


@dataclass(frozen=True)
class LoadedMapping:
    """A mapping, the file it stands in, and the workflow step that runs it."""

    model: MappingModel
    document: YamlDocument = field(repr=False)
    step: str = ""
    is_whole: bool = True
    """False where columns or options had to be left out because they are wrong."""


Part = Literal["steps", "variables", "mappings", "targets"]
NO_PROJECT_HELP = "name the folder of a project, as with --project; `omopcloudetl init` makes one from a template"
_READ_BY_RULES = ("from", "joins", "key", "routes")
"""Parts of a mapping without which its other parts cannot be judged."""
_NO_RULES = {"tests"}
"""Parts of a mapping that its rules do not need."""


@dataclass(frozen=True)
class Reading:
    """What could be read of a project's files, and every mistake in them."""

    config: ProjectConfig | None
    config_document: YamlDocument | None
    project: LoadedProject | None
    """None where too much is missing to compile anything."""
    problems: tuple[Diagnostic, ...]


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
    concept_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """File or pattern as written in the workflow → the texts of the files, by their paths."""
    incomplete: frozenset[Part] = frozenset()
    """What is missing because its file or its entry is wrong; what refers to it is no mistake of its own."""

    @property
    def target_name(self) -> str:
        """The name of the target this project was loaded for."""
        return self.target.name


def load_project_config(root: Path) -> tuple[ProjectConfig, YamlDocument]:
    """Only `project.yaml`, so that its plugins can be loaded before anything else."""
    if not root.is_dir():
        raise _no_folder(root)
    return _read(root, PROJECT_FILE, _PROJECT)


def load_project(root: Path, *, target: str | None = None, variables: Mapping[str, str] | None = None) -> LoadedProject:
    """Read a project; the mistakes in its files are raised together as one `ProjectError`.

    Args:
        root: The project's folder.
        target: Name of the target; without it the project's default, or its only one.
        variables: Values given from outside, as text; they win over those of the project file.
    """
    reading = read_project(root, target=target, variables=variables)
    if reading.problems or reading.project is None:
        raise ProjectError(reading.problems)
    return reading.project


def read_project(root: Path, *, target: str | None = None, variables: Mapping[str, str] | None = None) -> Reading:
    """Read as much of a project as can be read; a file that is wrong does not hide the mistakes in the others."""
    problems: list[Diagnostic] = []
    if not root.is_dir():
        return Reading(None, None, None, tuple(_no_folder(root).diagnostics))
    config = _salvage(root, PROJECT_FILE, _PROJECT, problems)
    if config.document is None and not (root / PROJECT_FILE).is_file():
        return Reading(None, None, None, tuple(problems))
    workflow = _read_workflow(root, config, problems)
    if workflow.model is None or workflow.document is None:
        return Reading(config.model, config.document, None, tuple(problems))
    incomplete = _incomplete(workflow)
    before = len(problems)
    mappings = _read_mappings(root, workflow.model, workflow.document, problems)
    if len(problems) > before:
        incomplete |= {"mappings"}
    sql_files = _read_sql_files(root, workflow.model, workflow.document, problems)
    concept_files = _read_concept_files(root, workflow.model, workflow.document, problems)
    if config.model is None or config.document is None:
        return Reading(config.model, config.document, None, tuple(problems))
    about_targets: list[Diagnostic] = []
    name = choose_target(config.model, config.document, target, about_targets)
    chosen = resolve_targets(config.model, config.document, about_targets).get(name or "")
    about_variables: list[Diagnostic] = []
    of_project = project_variables(config.model, config.document, chosen)
    literals = read_variables(workflow.model, workflow.document, of_project, variables or {}, about_variables)
    if "variables" in incomplete:  # a value of one that had to be left out is no mistake
        about_variables = [problem for problem in about_variables if problem.code != "unknown-variable"]
    if about_variables:
        incomplete |= {"variables"}
    problems += about_variables
    if _changed(config, ("targets",)):
        incomplete |= {"targets"}
    else:
        problems += about_targets
    check_secrets(config.model, config.document, workflow.document, variables or {}, problems)
    if chosen is None:
        return Reading(config.model, config.document, None, tuple(problems))
    project = LoadedProject(
        root=root,
        config=config.model,
        config_document=config.document,
        workflow=workflow.model,
        workflow_document=workflow.document,
        mappings=tuple(mappings),
        sql_files=sql_files,
        target=chosen,
        variables=literals,
        concept_files=concept_files,
        incomplete=frozenset(incomplete),
    )
    return Reading(config.model, config.document, project, tuple(problems))


def read_workflow(root: Path) -> WorkflowConfig | None:
    """What can be read of a project's workflow; None where that is nothing. Mistakes are for `read_project` to tell."""
    problems: list[Diagnostic] = []
    return _read_workflow(root, _salvage(root, PROJECT_FILE, _PROJECT, problems), problems).model


@dataclass(frozen=True)
class _Part(Generic[T]):
    """A file of which something could be read, or nothing."""

    model: T | None
    document: YamlDocument | None
    """Without its mistakes."""
    whole: YamlDocument | None = None
    """With them."""


def _salvage(
    root: Path,
    file: str,
    adapter: TypeAdapter[T],
    problems: list[Diagnostic],
    named_at: Position | None = None,
) -> _Part[T]:
    try:
        document = parse_yaml(file, _text(root, file, named_at or Position(file)))
    except ProjectError as error:
        problems.extend(error.diagnostics)
        return _Part(None, None)
    salvaged = salvage_document(document, adapter)
    problems.extend(salvaged.diagnostics)
    return _Part(salvaged.model, salvaged.document, document)


def _read_workflow(root: Path, config: _Part[ProjectConfig], problems: list[Diagnostic]) -> _Part[WorkflowConfig]:
    """The workflow that `project.yaml` names; the usual one where that cannot be read."""
    default = str(ProjectConfig.model_fields["workflow"].default)
    file = config.model.workflow if config.model is not None else default
    if config.model is None and not (root / file).is_file():
        return _Part(None, None)
    where = config.document.at("workflow") if config.document is not None else None
    return _salvage(root, file, _WORKFLOW, problems, where)


def _incomplete(workflow: _Part[WorkflowConfig]) -> set[Part]:
    """Which entries of a workflow had to be left out."""
    parts: tuple[Part, ...] = ("steps", "variables")
    return set(_changed(workflow, parts))


def _changed(part: _Part[T], keys: Iterable[K]) -> list[K]:
    """The keys of a file below which something had to be left out."""
    if part.document is None or part.whole is None or part.document is part.whole:
        return []
    return [key for key in keys if part.document.data.get(key) != part.whole.data.get(key)]


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
                mapping = _salvage(root, file, _MAPPING, problems, where)
                if mapping.model is None or mapping.document is None or _changed(mapping, _READ_BY_RULES):
                    continue
                is_whole = not _changed(mapping, (mapping.whole.data if mapping.whole else {}).keys() - _NO_RULES)
                loaded = LoadedMapping(mapping.model, mapping.document, step.name, is_whole)
                _add_mapping(loaded, found, problems)
    return list(found.values())


def _add_mapping(loaded: LoadedMapping, found: dict[str, LoadedMapping], problems: list[Diagnostic]) -> None:
    """Names are unique; the same file may be named twice in one step."""
    name, document = loaded.model.name, loaded.document
    first = found.setdefault(name, loaded)
    if first.document.file != document.file:
        message = f"the mapping name '{name}' is already used in {first.document.at('name')}"
        help_ = "give one of the two another name"
    elif first.step != loaded.step:
        message = f"the mapping is run by two steps, {first.step} and {loaded.step}"
        help_ = "take it out of the `mappings:` of one of them"
    else:
        return
    problems.append(Diagnostic("duplicate-name", message, document.at("name"), found=name, help=help_))


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


def _read_concept_files(
    root: Path, workflow: WorkflowConfig, document: YamlDocument, problems: list[Diagnostic]
) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for i, step in enumerate(workflow.steps):
        if isinstance(step, ConceptsStep):
            where = document.at("steps", i, "file")
            try:
                found[step.file] = {file: _text(root, file, where) for file in _expand(root, step.file, where)}
            except ProjectError as error:
                problems.extend(error.diagnostics)
    return found


def _read(root: Path, file: str, adapter: TypeAdapter[T], named_at: Position | None = None) -> tuple[T, YamlDocument]:
    document = parse_yaml(file, _text(root, file, named_at or Position(file)))
    return validate_document(document, adapter), document


def _text(root: Path, file: str, named_at: Position) -> str:
    path = _inside(root, file, named_at)
    try:
        if not path.is_file():
            raise _missing(root, file, named_at)
        _refuse_huge(file, path.stat().st_size)
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        where = Position.behind(file, before.decode("utf-8", errors="replace"))
        message = f"the file is not UTF-8: the byte 0x{error.object[error.start]:02X} cannot be read"
        raise ProjectError([Diagnostic("encoding", message, where, help="save it as UTF-8")]) from None
    except OSError as error:
        name = file if len(file) <= 100 else file[:50] + "…"
        message, help_ = f"the file {name} cannot be read: {error.strerror}", "correct its name or its permissions"
        raise ProjectError([Diagnostic("missing-file", message, named_at, help=help_)]) from None
    if "\0" in text:
        where = Position.behind(file, text[: text.index("\0")])
        message = "the file is no text: it holds the character U+0000"
        raise ProjectError([Diagnostic("encoding", message, where, help="save it as UTF-8")])
    return text


def _refuse_huge(file: str, size: int) -> None:
    """A file that nobody wrote by hand is not even read: most often it is data under a wrong name."""
    if size > MAX_FILE_BYTES:
        message = f"the file has {in_bytes(size)}; a project's files have at most {in_bytes(MAX_FILE_BYTES)}"
        help_ = "data are loaded by a bulk_load step, from a folder that a variable names"
        raise ProjectError([Diagnostic("file-too-large", message, Position(file), help=help_)])


def _resolved(path: Path) -> Path:
    """Where a path leads, also to nothing; raises `RuntimeError` for a link to itself in every Python alike."""
    try:
        return path.resolve(strict=True)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RuntimeError(str(error)) from None
        return path.resolve()


def _inside(root: Path, file: str, named_at: Position) -> Path:
    """The path of a project's file; one that leaves the project's folder is refused."""
    path = root / file
    try:
        inside, absolute = _resolved(path).is_relative_to(root.resolve()), Path(file).is_absolute()
        if inside and not absolute:
            return path
        written = os.path.normpath(file)
        by_link = not (absolute or written.startswith(".."))
        message = f"'{file}' is outside the project" + (": a link leads there" if by_link else "")
        if inside:  # it would be another file on another machine
            message = f"'{file}' is an absolute path"
    except RuntimeError:
        message = f"'{file}' is a link that leads to itself"
    except (OSError, ValueError):
        message = f"'{file}' is no name of a file"
    raise ProjectError([Diagnostic("outside-project", message, named_at, help="keep it below project.yaml")])


def _expand(root: Path, pattern: str, named_at: Position) -> list[str]:
    """The files a path or glob names, as sorted POSIX paths relative to the project."""
    _inside(root, pattern, named_at)
    if not any(mark in pattern for mark in "*?["):
        return [posixpath.normpath(pattern)]
    try:
        if any("**" in part and part != "**" for part in pattern.split("/")):  # Python 3.13 takes it for one star
            raise ValueError("'**' stands for folders, between '/' and '/'")
        files: Iterable[Path] = root.glob(pattern)
        names = sorted(path.relative_to(root).as_posix() for path in files if path.is_file())
    except ValueError as error:
        message = f"'{pattern}' is no pattern of files: {error}"
        help_ = "write for example mappings/*.yaml, or mappings/**/*.yaml with folders below"
        raise ProjectError([Diagnostic("no-mappings", message, named_at, help=help_)]) from None
    if not names:
        help_ = "write it relative to project.yaml, with '/' between folders"
        raise ProjectError([Diagnostic("no-mappings", f"no file matches '{pattern}'", named_at, help=help_)])
    return names


def _missing(root: Path, file: str, named_at: Position) -> ProjectError:
    folder = root / posixpath.dirname(posixpath.normpath(file or "."))  # of a folder's own name, the folder it is in
    others = (
        [path.relative_to(root).as_posix() for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    )
    help_ = "make the file, or correct its name; names are relative to project.yaml"
    if file == PROJECT_FILE:
        help_ = NO_PROJECT_HELP
    message, near = f"there is no file {file or 'without a name'} in the project", close_match(file, sorted(others))
    return ProjectError([Diagnostic("missing-file", message, named_at, found=file, suggestion=near, help=help_)])


def _no_folder(root: Path) -> ProjectError:
    help_ = NO_PROJECT_HELP
    return ProjectError([Diagnostic("missing-file", f"there is no folder {root}", Position(PROJECT_FILE), help=help_)])
