"""A field is explained alike for every target: what a dialect needs in its SQL does not hide the rules and columns."""

from dataclasses import replace

import pytest

from omopcloudetl.core import CompiledWorkflowPlan, Session, create_project, open_project
from omopcloudetl.core.explain.model import FieldExplanation, Filling

Opened = tuple[Session, CompiledWorkflowPlan]
TARGETS = """\
targets:
  server: {provider: postgres, connection: {host: nowhere, dbname: omop, user: etl}}
"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[Opened, Opened]:
    """The Synthea project and its plan on DuckDB, and on a PostgreSQL server that nobody asks."""
    folder = tmp_path_factory.mktemp("explained") / "project"
    create_project(folder, "synthea", variables={"source_uri": "exports", "vocabulary_uri": "athena"})
    file = folder / "project.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("targets:\n", TARGETS, 1), encoding="utf-8")
    local, server = open_project(folder), Session.open(folder, target="server")
    return (local, local.compile()), (server, server.compile())


def fillings(session: Session, plan: CompiledWorkflowPlan, name: str) -> list[Filling]:
    """What fills a field, without SQL."""
    found = session.explain(name, plan)
    assert isinstance(found, FieldExplanation)
    return [replace(filling, sql=(), written_as=None) for filling in found.filled_by]


def test_every_field_has_the_same_explanation_on_postgres(opened: tuple[Opened, Opened]) -> None:
    """Rules, columns read, look-ups, rows and reasons for quarantine are those of DuckDB, for each field of the CDM."""
    (local, local_plan), (server, server_plan) = opened
    written = {step.name.removeprefix("write_") for step in local_plan.steps if step.name.startswith("write_")}
    tables = [table for table in local.specification().by_name.values() if table.name in written]
    names = [f"{table.name}.{field.name}" for table in tables for field in table.fields]
    assert len(names) > 250

    for name in names:
        assert fillings(server, server_plan, name) == fillings(local, local_plan, name), name
