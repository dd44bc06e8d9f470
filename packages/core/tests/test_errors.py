"""Promises of the errors: their text, their tree, and that they cross processes."""

from __future__ import annotations

import json
import pickle

import pytest

from omopcloudetl.core import errors
from omopcloudetl.core.errors import Diagnostic, OmopCloudEtlError, Position, ProjectError, UnknownNameError

FULL = Diagnostic(
    "unknown-key",
    "unknown key 'nmae'",
    Position("mappings/person.yaml", 3, 5),
    found="nmae",
    allowed=("name", "kind"),
    suggestion="name",
    help="keys are lower case",
)
ALL_ERRORS = [
    error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, OmopCloudEtlError)
]


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_pickles(kind: type[OmopCloudEtlError]) -> None:
    """An error that crosses a process keeps its type, its text and its diagnostics."""
    arguments = {ProjectError: ([FULL],), UnknownNameError: ("persn", "there is no persn", ["person"])}
    error = kind(*arguments.get(kind, ("what happened",)))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert getattr(copy, "diagnostics", None) == getattr(error, "diagnostics", None)


def test_there_are_errors_to_test() -> None:
    """The list above is of the module's errors, the root among them."""
    assert OmopCloudEtlError in ALL_ERRORS
    assert len(ALL_ERRORS) > 10


def test_a_diagnostic_reads_like_a_compiler_message() -> None:
    """Place first, as editors parse it; then what was found, what was meant, what is allowed, what to do."""
    assert str(FULL).splitlines() == [
        "mappings/person.yaml:3:5: error[unknown-key]: unknown key 'nmae'",
        "    found: nmae",
        "    did you mean: name",
        "    allowed: name, kind",
        "    help: keys are lower case",
    ]


def test_a_diagnostic_says_no_more_than_it_knows() -> None:
    """A part that is not known has no line."""
    warning = Diagnostic("code", "careful", Position("f.yaml"), severity="warning")
    assert str(warning) == "f.yaml:1:1: warning[code]: careful"


def test_a_long_list_of_allowed_words_is_cut() -> None:
    """A list that nobody would read ends with how many more there are."""
    text = str(Diagnostic("c", "m", Position("f"), allowed=tuple(f"w{i}" for i in range(40))))
    assert text.endswith("allowed: w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, … and 28 more")


def test_a_diagnostic_is_plain_json() -> None:
    """An editor gets every part, nothing cut."""
    assert json.loads(json.dumps(FULL.to_json())) == {
        "code": "unknown-key",
        "message": "unknown key 'nmae'",
        "position": {"file": "mappings/person.yaml", "line": 3, "column": 5},
        "severity": "error",
        "found": "nmae",
        "allowed": ["name", "kind"],
        "suggestion": "name",
        "help": "keys are lower case",
        "end": None,
    }


def test_a_project_error_shows_every_diagnostic() -> None:
    """The text of the error is the texts of its diagnostics, in their order."""
    other = Diagnostic("c", "second", Position("z.yaml", 9, 9))
    error = ProjectError(iter([FULL, other]))
    assert error.diagnostics == (FULL, other)
    assert str(error) == f"{FULL}\n{other}"
