"""What a run on PostgreSQL can be asked afterwards: its report, `runs show`, the lineage that a catalogue is told."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from postgres_targets import needs_servers, on_servers, servers
from small_project import EVENT, PERSON, PROJECT, Etl
from test_openlineage_runs import SOURCE, VOCABULARY, Told, all_origins, told_to_a_file

from omopcloudetl.cli.main import cli
from omopcloudetl.core import make_report
from omopcloudetl.core.session import Session

pytestmark = [needs_servers, pytest.mark.usefixtures(told_to_a_file.__name__)]
PATIENTS: list[dict[str, object]] = [{"id": "p1", "sex": "7"}, {"id": "p2", "sex": "8"}]
# Each is read in two places, and so by a query beside the table.
BORN = """\
  birth_datetime: greatest(try_cast(p.id as timestamp), try_cast(p.id as timestamp))
  month_of_birth: try_cast(p.sex as integer) + try_cast(p.sex as integer)
"""


@pytest.fixture
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A small project that has run on a server."""
    with servers(tmp_path_factory) as running, running[15].readable_folder() as folder:
        etl = Etl(folder)
        etl.write([PERSON + BORN, EVENT], SOURCE | {"patients": PATIENTS}, vocabulary=VOCABULARY, project=PROJECT)
        with on_servers(folder, {15: running[15]}):
            session = Session.open(folder, target="pg15")
            yield Told(session, session.compile())


def test_a_run_is_shown_alike_whatever_ran_it(told: Told) -> None:
    """Ledger and steps are in the report and on the command line, and columns lead to those of the files."""
    told.run()
    page = make_report(told.session.root)
    shown = CliRunner().invoke(cli, ["runs", "show", "--project", str(told.session.root), "--format", "json"])
    origins = told.origins()

    assert all(word in page for word in ("pg15", "stage_events", "condition_occurrence"))
    assert {step["state"] for step in json.loads(shown.stdout)["steps"]} == {"done"}
    born = all_origins(("cdm.person", "month_of_birth"), origins)
    assert {column for column in born if column[0].startswith("data/")} == {("data/patients.csv", "sex")}
    start = all_origins(("cdm.condition_occurrence", "condition_start_date"), origins)
    assert {column for column in start if column[0].startswith("data/")} == {("data/events.csv", "start")}
    assert not [event for event in told.events if "extractionError" in event["run"]["facets"]]
