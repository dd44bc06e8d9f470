"""Makes projects: copies a template and demo data from the resource folders, sets variables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from importlib.resources.abc import Traversable
from io import StringIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from omopcloudetl.core.errors import Diagnostic, OmopCloudEtlError, ProjectError
from omopcloudetl.core.files.project_loader import PROJECT_FILE, read_workflow
from omopcloudetl.core.files.validation import validate_document
from omopcloudetl.core.files.variables import Literals, project_variables, read_variables
from omopcloudetl.core.files.yaml_document import YamlDocument, parse_yaml
from omopcloudetl.core.models.project import ProjectConfig
from omopcloudetl.core.models.workflow import Variable, WorkflowConfig

if TYPE_CHECKING:
    from ruamel.yaml.comments import CommentedMap

TEMPLATES = "templates"
DEMO_FOLDERS = ("source", "vocabulary")

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

_HERE = PurePosixPath()

Files = list[tuple[PurePosixPath, Traversable]]


class TemplateError(OmopCloudEtlError):
    """A project could not be made: no such template, or a folder that is already in use."""


@dataclass(frozen=True)
class NewProject:
    """A project that was just made from a template."""

    directory: Path
    files: tuple[Path, ...]
    """What was written, in order of name."""
    unset: Mapping[str, Variable]
    """The variables that have no value yet; the workflow needs them before it can be compiled."""


def list_templates(resources: Sequence[Traversable]) -> list[str]:
    """The names of all templates, sorted; a template is a folder that holds a `project.yaml`."""
    return sorted(
        {
            folder.name
            for root in resources
            if (root / TEMPLATES).is_dir()
            for folder in (root / TEMPLATES).iterdir()
            if (folder / PROJECT_FILE).is_file()
        }
    )


def create_project(
    resources: Sequence[Traversable],
    template: str,
    directory: Path,
    variables: Mapping[str, str],
    *,
    base: Path | None = None,
) -> NewProject:
    """Copy a template into a new or empty folder and set variables in its `project.yaml`.

    Nothing is written unless everything is right, and `project.yaml` is written last.

    Args:
        resources: The resource folders; the first that has the template wins.
        template: Its name.
        directory: The project's folder; it is made if it is not there.
        variables: Values of the workflow's variables, as text.
        base: The folder that relative values of type `uri` are relative to, which is rewritten to
            the project's folder; without it they are taken as they are.

    Raises:
        TemplateError: There is no such template, or the folder is not empty.
        ProjectError: A variable is unknown or not of its type.
    """
    folder = _find_template(resources, template)
    check_is_free(directory)
    files = [(path, file) for path, file in _walk(folder) if path != PurePosixPath(PROJECT_FILE)]
    text = (folder / PROJECT_FILE).read_text(encoding="utf-8")
    document = parse_yaml(PROJECT_FILE, text)
    config = validate_document(document, TypeAdapter(ProjectConfig))
    workflow_document = parse_yaml(config.workflow, _workflow_text(folder, config))
    workflow = validate_document(workflow_document, TypeAdapter(WorkflowConfig))
    if base is not None:
        variables = place_uris(variables, workflow, directory, base)
    values = _check_variables(workflow, workflow_document, config, document, variables)
    changed = set_variables(text, {name: values[name] for name in variables})
    try:
        written = _copy(files, directory)
        (directory / PROJECT_FILE).write_text(changed, encoding="utf-8", newline="\n")
    except OSError as error:
        raise TemplateError(f"the project cannot be written to {directory}: {error}") from None
    unset = {name: workflow.variables[name] for name, value in values.items() if value is None}
    return NewProject(directory, tuple(sorted([*written, directory / PROJECT_FILE])), unset)


def copy_demo_data(resources: Sequence[Traversable], directory: Path) -> list[Path]:
    """Copy the demo's `source` and `vocabulary` to `directory/data`, where nothing may be yet."""
    files: Files = []
    for name in DEMO_FOLDERS:
        folders = [root / "demo" / name for root in resources]
        folder = next((folder for folder in folders if folder.is_dir()), None)
        if folder is None:
            raise TemplateError(f"no plugin brings the demo data '{name}'")
        files.extend((PurePosixPath(name) / path, file) for path, file in _walk(folder))
    try:
        return _copy(files, directory / "data")
    except OSError as error:
        raise TemplateError(f"the demo data cannot be written to {directory}: {error}") from None


def check_is_free(directory: Path) -> None:
    """Raise `TemplateError` unless a project may be made in this folder."""
    try:
        taken = directory.exists() and (not directory.is_dir() or any(directory.iterdir()))
    except OSError as error:
        raise TemplateError(f"the folder {directory} cannot be read: {error.strerror}") from None
    if taken:
        raise TemplateError(f"{directory} exists and is not an empty folder; name another one")


def relative_to_project(uri: str, project: Path, base: Path) -> str:
    """A path below `base` as one relative to `project`; absolute paths and URIs stay the same."""
    if not uri or _SCHEME.match(uri):
        return uri
    if uri.startswith("~"):
        return Path(uri).expanduser().as_posix()
    if PurePosixPath(uri).is_absolute() or PureWindowsPath(uri).is_absolute():
        return uri
    path = os.path.join(os.path.realpath(base), uri)  # noqa: PTH118  # Path has no relpath before 3.12
    try:
        return Path(os.path.relpath(path, os.path.realpath(project))).as_posix()
    except ValueError:  # another drive of Windows
        return Path(path).as_posix()


def place_uris(given: Mapping[str, str], workflow: WorkflowConfig, project: Path, base: Path) -> dict[str, str]:
    """The given values of variables, with those of type `uri` made relative to the project."""
    uris = {name for name, variable in workflow.variables.items() if variable.type == "uri"}
    return {name: relative_to_project(value, project, base) if name in uris else value for name, value in given.items()}


def place_given_uris(root: Path, given: Mapping[str, str], base: Path) -> dict[str, str]:
    """As `place_uris`, for the project in `root`; whoever loads it says what is wrong with its files."""
    if not given:
        return {}
    workflow = read_workflow(root)
    return place_uris(given, workflow, root, base) if workflow is not None else dict(given)


def set_variables(text: str, values: Literals) -> str:
    """The text of a `project.yaml` with values under `variables:`; everything else is kept."""
    from ruamel.yaml import YAML  # the round trip's classes are needed here only
    from ruamel.yaml.comments import CommentedMap

    if not values:
        return text
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    data = yaml.load(text)
    if not data.get("variables"):
        # As an open block, so that the comments around it keep their places.
        empty = r"^variables:[ \t]*(\{[ \t]*\}|null|~)?"
        data = yaml.load(re.sub(empty, "variables:", text, count=1, flags=re.MULTILINE))
        data["variables"] = CommentedMap()
    variables = data["variables"]
    last = next(reversed(variables), None)
    for name, value in values.items():
        variables[name] = value.isoformat() if isinstance(value, date) else value
    _move_comment_after(variables, last, next(reversed(variables)))
    out = StringIO()
    yaml.dump(data, out)
    return out.getvalue()


def _move_comment_after(variables: CommentedMap, old: str | None, new: str) -> None:
    """What stands below the block hangs on its last key; let it hang on the new last key."""
    from ruamel.yaml.error import CommentMark
    from ruamel.yaml.tokens import CommentToken

    comments = variables.ca.items.get(old)
    if old == new or not comments or comments[2] is None:
        return
    own, _, below = comments[2].value.partition("\n")
    comments[2].value = f"{own}\n"
    variables.ca.items[new] = [None, None, CommentToken(f"\n{below}", CommentMark(0)), None]


def _check_variables(
    workflow: WorkflowConfig,
    workflow_document: YamlDocument,
    config: ProjectConfig,
    document: YamlDocument,
    given: Mapping[str, str],
) -> Literals:
    problems: list[Diagnostic] = []
    of_project = project_variables(config, document, None)
    values = read_variables(workflow, workflow_document, of_project, given, problems)
    if problems:
        raise ProjectError(problems)
    return values


def _find_template(resources: Sequence[Traversable], name: str) -> Traversable:
    known = list_templates(resources)
    if name in known:
        folders = [root / TEMPLATES / name for root in resources]
        return next(folder for folder in folders if (folder / PROJECT_FILE).is_file())
    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else "."
    names = ", ".join(known) or "none"
    raise TemplateError(f"there is no template '{name}'{hint} There are: {names}")


def _workflow_text(template: Traversable, config: ProjectConfig) -> str:
    file = template.joinpath(*PurePosixPath(config.workflow).parts)
    if not file.is_file():
        raise TemplateError(f"the template '{template.name}' has no file {config.workflow}")
    return file.read_text(encoding="utf-8")


def _walk(folder: Traversable, below: PurePosixPath = _HERE) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_file():
            yield below / item.name, item
        elif item.name != "__pycache__":
            yield from _walk(item, below / item.name)


def _copy(files: Files, directory: Path) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for relative, file in files:
        path = directory.joinpath(*relative.parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as out:  # x: never overwrites
            out.write(file.read_bytes())
        written.append(path)
    return written
