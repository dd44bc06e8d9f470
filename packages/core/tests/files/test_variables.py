"""Promises of variables: types, the order of overriding, and names that do not exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import pytest
from pydantic import TypeAdapter

from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.files.validation import validate_document
from omopcloudetl.core.files.variables import convert, project_variables, read_variables
from omopcloudetl.core.files.yaml_document import parse_yaml
from omopcloudetl.core.models.project import ProjectConfig
from omopcloudetl.core.models.workflow import VariableType, WorkflowConfig

Read = Callable[..., tuple[Mapping[str, object], list[Diagnostic]]]


@pytest.fixture
def read() -> Read:
    """Read one declared variable, with a value in the project file or from outside."""

    def run(declared: str, in_project: str = "{}", **given: str) -> tuple[Mapping[str, object], list[Diagnostic]]:
        workflow = parse_yaml(
            "workflow.yaml",
            f"name: w\nvariables:\n  x: {declared}\nsteps: [{{name: a, kind: ddl, schema: cdm}}]\n",
        )
        project = parse_yaml("project.yaml", f"name: p\nvariables: {in_project}\ntargets: {{t: {{provider: x}}}}\n")
        problems: list[Diagnostic] = []
        values = read_variables(
            validate_document(workflow, TypeAdapter(WorkflowConfig)),
            workflow,
            project_variables(validate_document(project, TypeAdapter(ProjectConfig)), project, None),
            given,
            problems,
        )
        return values, problems

    return run


@pytest.mark.parametrize(
    ("value", "type_", "expected"),
    [
        pytest.param("5", "integer", 5, id="integer"),
        pytest.param(" 5 ", "integer", 5, id="integer-with-spaces"),
        pytest.param("1.5", "number", 1.5, id="number"),
        pytest.param(2, "number", 2.0, id="integer-as-number"),
        pytest.param("TRUE", "boolean", True, id="boolean"),
        pytest.param(False, "boolean", False, id="boolean-of-yaml"),
        pytest.param("2020-02-29", "date", date(2020, 2, 29), id="date"),
        pytest.param(" as it is ", "text", " as it is ", id="text"),
        pytest.param(True, "text", "true", id="boolean-as-text"),
        pytest.param(7, "text", "7", id="number-as-text"),
        pytest.param("s3://b/x", "uri", "s3://b/x", id="uri"),
    ],
)
def test_a_value_becomes_its_type(value: bool | int | str, type_: VariableType, expected: object) -> None:
    """A value that can be read as its declared type is that type afterwards."""
    found = convert(value, type_)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        pytest.param("x", "integer", id="word-as-integer"),
        pytest.param("5.5", "integer", id="fraction-as-integer"),
        pytest.param(True, "integer", id="boolean-as-integer"),
        pytest.param("inf", "number", id="infinity"),
        pytest.param("nan", "number", id="not-a-number"),
        pytest.param("yes", "boolean", id="yes"),
        pytest.param("1", "boolean", id="one-as-boolean"),
        pytest.param("2021-02-29", "date", id="no-such-day"),
        pytest.param("", "date", id="nothing-as-date"),
        pytest.param("\udcff", "text", id="undecodable"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_refused(value: bool | str, type_: VariableType) -> None:
    """Nothing is guessed: what cannot be read exactly is an error."""
    with pytest.raises(ValueError):  # noqa: PT011  # the text is the caller's
        convert(value, type_)


def test_outside_wins_over_the_project_and_the_project_over_the_default(read: Read) -> None:
    """The nearer to the run a value is given, the stronger it is."""
    declared = "{type: integer, default: 1}"
    assert read(declared)[0] == {"x": 1}
    assert read(declared, "{x: 2}")[0] == {"x": 2}
    assert read(declared, "{x: 2}", x="3")[0] == {"x": 3}


def test_a_variable_without_a_value_is_no_error_yet(read: Read) -> None:
    """Only a rule that uses a variable needs its value."""
    assert read("{type: date}") == ({"x": None}, [])


@pytest.mark.parametrize(
    ("in_project", "given", "place"),
    [
        pytest.param("{x: soon}", {}, "project.yaml:2:16", id="in-the-project"),
        pytest.param("{}", {"x": "soon"}, "workflow.yaml:3:6", id="from-outside"),
    ],
)
def test_a_wrong_value_is_reported_where_it_can_be_mended(
    read: Read, in_project: str, given: dict[str, str], place: str
) -> None:
    """The report points to the project's line, or to the declaration for a value from outside."""
    _, (found,) = read("{type: date}", in_project, **given)
    assert (str(found.position), found.code, found.found) == (place, "variable-type", "soon")
    assert found.help == "write a date as YYYY-MM-DD"
    assert ("from outside" in found.message) == bool(given)


def test_a_wrong_default_is_reported_in_the_workflow(read: Read) -> None:
    """A default has to be of the type it is the default of."""
    _, (found,) = read("{type: integer, default: many}")
    assert str(found.position) == "workflow.yaml:3:31"


@pytest.mark.parametrize(
    ("in_project", "given", "place"),
    [
        pytest.param("{xx: 1}", {}, "project.yaml:2:13", id="in-the-project"),
        pytest.param("{}", {"xx": "1"}, "workflow.yaml:2:1", id="from-outside"),
        pytest.param("{xx: 1}", {"xx": "1"}, "workflow.yaml:2:1", id="both-once"),
    ],
)
def test_a_variable_the_workflow_does_not_have_is_reported_with_those_it_has(
    read: Read, in_project: str, given: dict[str, str], place: str
) -> None:
    """A name that is misspelt is reported once, with the name that was meant."""
    _, (found,) = read("{}", in_project, **given)
    assert (str(found.position), found.code, found.suggestion) == (place, "unknown-variable", "x")
    assert found.allowed == ("x",)
