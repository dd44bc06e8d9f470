"""Gives the workflow's variables their values: outside, project file or default, each of its type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date

from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.files.validation import close_match
from omopcloudetl.core.files.yaml_document import YamlDocument
from omopcloudetl.core.models.project import ProjectConfig
from omopcloudetl.core.models.values import Scalar
from omopcloudetl.core.models.workflow import Variable, VariableType, WorkflowConfig

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


def read_variables(
    workflow: WorkflowConfig,
    workflow_document: YamlDocument,
    config: ProjectConfig,
    config_document: YamlDocument,
    given: Mapping[str, str],
    problems: list[Diagnostic],
) -> dict[str, bool | int | float | str | date | None]:
    """The value of every variable; unknown names and values of the wrong type go to `problems`."""
    names = tuple(workflow.variables)
    for name in dict.fromkeys([*config.variables, *given]):
        if name not in workflow.variables:
            where = config_document.at_key("variables", name)
            if name in given:
                where = workflow_document.at_key("variables")
            message = f"the workflow has no variable '{name}'" + _outside(name, given)
            near = close_match(name, names)
            problems.append(Diagnostic("unknown-variable", message, where, found=name, allowed=names, suggestion=near))
    values: dict[str, bool | int | float | str | date | None] = {}
    for name, variable in workflow.variables.items():
        value = _value(name, variable, config, given)
        try:
            values[name] = None if value is None else convert(value, variable.type)
        except ValueError:
            declared = name in given or name not in config.variables
            where = workflow_document.at("variables", name) if declared else config_document.at("variables", name)
            message = f"the variable '{name}' must be of type {variable.type}" + _outside(name, given)
            help_ = f"write {_EXAMPLES[variable.type]}"
            problems.append(Diagnostic("variable-type", message, where, found=str(value), help=help_))
            values[name] = None
    return values


def _outside(name: str, given: Mapping[str, str]) -> str:
    """A value from outside has no place in a file; say where it came from."""
    return " (given from outside, as with --var)" if name in given else ""


def _value(name: str, variable: Variable, config: ProjectConfig, given: Mapping[str, str]) -> Scalar:
    if name in given:
        return given[name]
    return config.variables.get(name, variable.default)


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
