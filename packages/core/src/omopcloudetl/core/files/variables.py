"""Gives the workflow's variables their values: outside, target, project or default, each of its type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from omopcloudetl.core.errors import Diagnostic, Position
from omopcloudetl.core.files.validation import close_match
from omopcloudetl.core.files.yaml_document import YamlDocument
from omopcloudetl.core.models.project import ProjectConfig, ResolvedTarget
from omopcloudetl.core.models.values import Scalar
from omopcloudetl.core.models.workflow import VariableType, WorkflowConfig

Literals = Mapping[str, bool | int | float | str | date | None]
"""Variable → value; None for a variable that was given no value (an error only where it is used)."""

_EXAMPLES: Mapping[VariableType, str] = {
    "text": "any text",
    "uri": "a path or URI",
    "integer": "a whole number, such as 42",
    "number": "a number, such as 1.5",
    "boolean": "true or false",
    "date": "a date as YYYY-MM-DD",
}


@dataclass(frozen=True)
class ProjectVariables:
    """The variables in a project file, for one of its targets."""

    values: Mapping[str, Scalar]
    places: Mapping[str, Position]
    """Where each value stands."""
    mentions: tuple[tuple[str, Position], ...]
    """Every name that the file gives a value, also for another target, and where the name stands."""


def project_variables(config: ProjectConfig, document: YamlDocument, target: ResolvedTarget | None) -> ProjectVariables:
    """The project's variables, and over them those of the target."""
    mentions = [(name, document.at_key("variables", name)) for name in config.variables]
    for label, other in config.targets.items():
        mentions += [(name, document.at_key("targets", label, "variables", name)) for name in other.variables]
    own = {} if target is None else dict(target.variables)
    places = {name: document.at("variables", name) for name in config.variables}
    if target is not None:
        places |= {name: target.at("variables", name) for name in own}
    return ProjectVariables({**config.variables, **own}, places, tuple(mentions))


def read_variables(
    workflow: WorkflowConfig,
    workflow_document: YamlDocument,
    project: ProjectVariables,
    given: Mapping[str, str],
    problems: list[Diagnostic],
) -> dict[str, bool | int | float | str | date | None]:
    """The value of every variable; unknown names and values of the wrong type go to `problems`."""
    names = tuple(workflow.variables)
    of_project = [(name, where) for name, where in project.mentions if name not in given]
    outside = [(name, workflow_document.at_key("variables")) for name in given]
    for name, where in [*of_project, *outside]:
        if name not in workflow.variables:
            message = f"the workflow has no variable '{name}'" + _outside(name, given)
            near, help_ = close_match(name, names), "declare it under variables: in the workflow, or leave it out"
            problem = Diagnostic("unknown-variable", message, where, found=name, allowed=names, suggestion=near)
            problems.append(replace(problem, help=help_))
    values: dict[str, bool | int | float | str | date | None] = {}
    for name, variable in workflow.variables.items():
        value = given.get(name, project.values.get(name, variable.default))
        try:
            values[name] = None if value is None else convert(value, variable.type)
        except ValueError:
            where = workflow_document.at("variables", name, "default")
            if name not in given:
                where = project.places.get(name, where)
            message = f"the variable '{name}' must be of type {variable.type}" + _outside(name, given)
            help_ = f"write {_EXAMPLES[variable.type]}"
            problems.append(Diagnostic("variable-type", message, where, found=str(value), help=help_))
            values[name] = None
    return values


def _outside(name: str, given: Mapping[str, str]) -> str:
    """A value from outside has no place in a file; say where it came from."""
    return " (given from outside, as with --var)" if name in given else ""


def convert(value: bool | int | float | str, type_: VariableType) -> bool | int | float | str | date:
    """The value as its type; raises ValueError when it is none of that type."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    match type_:
        case "text" | "uri":
            text.encode()  # what the command line could not decode can't be part of a plan
            return text
        case "integer":
            return int(text.strip())
        case "number":
            number = float(text.strip())
            if not math.isfinite(number):
                raise ValueError(text)
            return number
        case "date":
            return date.fromisoformat(text.strip())
        case "boolean":
            if text.strip().lower() not in {"true", "false"}:
                raise ValueError(text)
            return text.strip().lower() == "true"
