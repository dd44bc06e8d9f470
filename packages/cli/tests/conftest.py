"""A tiny project and a way to call the command for the tests of the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from omopcloudetl.cli.main import cli

Call = Callable[..., Result]

FILES = {
    "project.yaml": """\
name: tiny
variables: {source_uri: data}
targets:
  local: {provider: duckdb, connection: {path: omop.duckdb}}
  other: {provider: duckdb, connection: {path: other.duckdb}}
default_target: local
""",
    "workflow.yaml": """\
name: tiny
variables:
  source_uri: {type: uri}
  first_year: {type: integer, default: 1900}
steps:
  - {name: tables, kind: ddl, schema: cdm}
  - name: source
    kind: bulk_load
    schema: source
    from: :source_uri
    format: csv
    tables:
      patients: {file: patients.csv, columns: {id: text, year: integer}}
  - {name: people, kind: dml, mappings: mappings/*.yaml}
""",
    "mappings/person.yaml": """\
name: person
kind: table
target: cdm.person
from: {p: source.patients}
where: p.year >= :first_year
key: [p.id]
columns:
  person_id: {id: [p.id]}
  gender_concept_id: 0
  year_of_birth: p.year
  race_concept_id: 0
  ethnicity_concept_id: 0
  person_source_value: p.id
""",
    "data/patients.csv": "id,year\na,1950\nb,1960\nb,1960\nc,1800\nd,\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one table of five source rows; nothing of it needs a vocabulary."""
    root = tmp_path / "tiny"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


@pytest.fixture
def call() -> Call:
    """Calls the command in this process; an error of ours is a failure with its traceback."""

    def run(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, list(map(str, arguments)))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run
