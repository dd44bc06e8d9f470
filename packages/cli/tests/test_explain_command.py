"""Promises of `explain`."""

import json
from pathlib import Path

import pytest

FIELD = """
cdm.person.year_of_birth
  integer, required

mapping person  mappings/person.yaml:1
  rule        mappings/person.yaml:10, columns.year_of_birth
    year_of_birth: p.year
  reads       source.patients.year: integer, declared at workflow.yaml:13
  rows        only where p.year >= :first_year
"""


def test_a_field_as_text(call, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A field is told with its rule, its columns and its SQL, or without the SQL."""
    monkeypatch.setenv("COLUMNS", "80")
    text = call("explain", "person.year_of_birth", "--project", project).stdout
    assert text.startswith(FIELD)
    assert "SQL         year_of_birth in step stage_person:\n" in text
    short = call("explain", "person.year_of_birth", "--project", project, "--no-sql").stdout
    assert short.startswith(FIELD)
    assert "SQL " not in short


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("person", "  written by  write_person (full), mappings/person.yaml:1: write cdm.person from\n"),
        ("person", "  day_of_birth                 integer      left out: NULL\n"),
        ("mapping:person", "  before      write_person, ledger\n"),
        ("write_person", 'DELETE FROM "cdm"."person"\n'),
        ("people", "  becomes     stage_person, mappings/person.yaml:1: stage the rows of the\n"),
        ("source_patients", "  year  integer, required, read first at mappings/person.yaml:5\n"),
        ("source.patients.year", "  read by     first by the rule at mappings/person.yaml:5\n"),
        ("death.person_id", "  no step writes cdm.death\n"),
        ("person", "of the same name: mapping:person\n"),
    ],
)
def test_each_kind_as_text(call, project: Path, monkeypatch: pytest.MonkeyPatch, name: str, line: str) -> None:
    """Tables, steps, loads and steps of the workflow are told, prose folded at the terminal's width."""
    monkeypatch.setenv("COLUMNS", "80")
    assert line in call("explain", name, "--project", project).stdout


def test_as_json(call, project: Path) -> None:
    """Programs get one document, with the warnings of the project, and with `--no-sql` no SQL."""
    arguments = ("explain", "person.year_of_birth", "--project", project, "--format", "json")
    document = json.loads(call(*arguments).stdout)
    assert (document["kind"], document["table"], document["diagnostics"]) == ("field", "cdm.person", [])
    assert document["filled_by"][0]["rules"][0]["line"] == 10
    assert "sql" in document["filled_by"][0]
    assert "sql" not in json.loads(call(*arguments, "--no-sql").stdout)["filled_by"][0]


def test_a_name_that_nothing_has_is_a_wrong_argument(call, project: Path) -> None:
    """The error says which names are near, and the exit code is that of a wrong argument."""
    result = call("explain", "persn", "--project", project, code=2)
    assert result.stdout == ""
    assert "Invalid value for NAME: nothing in this project is called 'persn'; did you mean person or" in result.stderr


def test_the_mistakes_of_a_project_are_shown(call, project: Path) -> None:
    """A project that cannot be compiled has its mistakes shown, as by `compile`."""
    (project / "mappings" / "person.yaml").write_text("name: person\nkind: tabel\n", "utf-8")
    assert call("explain", "person", "--project", project, code=2).stderr.startswith("error[unknown-kind]: ")
