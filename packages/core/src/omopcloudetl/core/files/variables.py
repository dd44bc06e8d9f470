"""Gives the workflow's variables their values: outside, project file or default, each of its type."""

from __future__ import annotations

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
    for name in [*config.variables, *given]:
        if name not in workflow.variables:
            where = config_document.at("variables", name)
            message = f"the workflow has no variable '{name}'"
            problems.append(
                Diagnostic("unknown-variable", message, where, allowed=names, suggestion=close_match(name, names))
            )
    values: dict[str, bool | int | float | str | date | None] = {}
    for name, variable in workflow.variables.items():
        value, where = _value(name, variable, config, given), config_document.at("variables", name)
        if value is None:
            where = workflow_document.at("variables", name)
        try:
            values[name] = None if value is None else convert(value, variable.type)
        except ValueError:
            message = f"the variable '{name}' must be of type {variable.type}"
            problems.append(Diagnostic("variable-type", message, where, found=str(value)))
            values[name] = None
    return values


def _value(name: str, variable: Variable, config: ProjectConfig, given: Mapping[str, str]) -> Scalar:
    if name in given:
        return given[name]
    return config.variables.get(name, variable.default)


def convert(value: bool | int | float | str, type_: VariableType) -> bool | int | float | str | date:
    """The value as its type; raises ValueError when it is none of that type."""
    text = str(value).strip()
    match type_:
        case "text" | "uri":
            return str(value)
        case "integer":
            return int(text)
        case "number":
            return float(text)
        case "date":
            return date.fromisoformat(text)
        case "boolean":
            if text.lower() not in {"true", "false"}:
                raise ValueError(text)
            return text.lower() == "true"
