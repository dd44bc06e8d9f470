"""The Synthea template on DuckDB and on PostgreSQL, by another target alone: every table has the same rows and ids."""

from collections.abc import Iterator

import pytest
from postgres_server import Server
from postgres_targets import Targets, needs_servers, on_servers, servers
from same_content import Content, differences
from synthea_projects import write_project

from omopcloudetl.core.session import Session

pytestmark = [needs_servers, pytest.mark.xdist_group("synthea-on-postgres")]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Server]]:
    """The servers."""
    with servers(tmp_path_factory) as found:
        yield found


@pytest.fixture(scope="module", params=["demo", "shared"])
def synthea(request: pytest.FixtureRequest, running: dict[int, Server]) -> Iterator[Targets]:
    """The template's project over the demo's data, or over real Synthea files, in a folder that servers can read."""
    with running[18].readable_folder() as folder:
        root = folder / "project"
        write_project(root, request.param)
        with on_servers(root, running) as targets:
            targets.run("local")
            yield targets


@pytest.fixture(scope="module")
def expected(synthea: Targets) -> Content:
    """What DuckDB made of it."""
    found = synthea.content("local")
    assert len(found) > 100
    return found


@pytest.mark.parametrize("version", [15, 18])
@pytest.mark.parametrize("times", [1, 2])
def test_every_table_is_the_same_on_postgres(synthea: Targets, expected: Content, version: int, times: int) -> None:
    """Sources, vocabulary, CDM, registries of ids, stages and ledger are those of DuckDB, after each of two runs."""
    synthea.run(f"pg{version}")
    assert differences(expected, synthea.content(f"pg{version}")) == [], times


def test_the_plan_is_the_same_for_every_server(synthea: Targets) -> None:
    """Servers of both versions are given the same statements."""
    plans = [Session.open(synthea.root, target=name).compile() for name in ("pg15", "pg18")]
    assert plans[0].content_hash == plans[1].content_hash
