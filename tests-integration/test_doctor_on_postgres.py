"""`omopcloudetl doctor` on a PostgreSQL server: what it finds of session, role and schemas, and what it says to do."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import Server
from postgres_targets import needs_servers, servers
from psycopg import sql
from test_doctor import WORKFLOW, examine, of

pytestmark = needs_servers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The newest server."""
    with servers(tmp_path_factory) as running:
        yield running[18]


@pytest.fixture
def project(server: Server) -> Iterator[tuple[Path, dict[str, str | int]]]:
    """A project with one file to load, which the server can read, and the settings of an empty database."""
    with server.database() as name, server.readable_folder() as root:
        (root / "workflow.yaml").write_text(WORKFLOW)
        (root / "data").mkdir()
        (root / "data" / "patients.csv").write_text("id\na\n")
        yield root, server.settings | {"dbname": name}


def write_project(root: Path, settings: dict[str, str | int]) -> None:
    """The project's file, whose only target has these settings."""
    targets = {"server": {"provider": "postgres", "connection": settings}}
    content = {"name": "tiny", "schemas": {"cdm": "omop"}, "targets": targets, "default_target": "server"}
    (root / "project.yaml").write_text(json.dumps(content))


def test_an_empty_database_is_ready(project: tuple[Path, dict[str, str | int]]) -> None:
    """The server's version is told, and that the schemas can be made."""
    write_project(*project)
    findings = examine(project[0])

    assert of(findings, "connection")["found"].startswith("opened: PostgreSQL 18.")
    assert of(findings, "schema omop (cdm)")["found"] == "is not there yet; the first run can make it and its tables"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"password": "planted"}, "password authentication failed"),
        ({"port": 1}, "refused"),
        ({"dbname": "nowhere"}, 'database "nowhere" does not exist'),
    ],
    ids=["password", "server", "database"],
)
def test_a_session_that_does_not_open_is_a_problem(
    project: tuple[Path, dict[str, str | int]], settings: dict[str, str | int], told: str
) -> None:
    """In the server's words, with database, host and role, and without the password."""
    root, usual = project
    write_project(root, usual | settings)
    found = of(examine(root, code=1), "connection")

    assert found["outcome"] == "problem"
    assert told in found["found"]
    assert "planted" not in found["found"]


def test_files_are_looked_for_by_who_reads_them(server: Server, project: tuple[Path, dict[str, str | int]]) -> None:
    """By the server, unless they are sent from here; what is missing is named, with both ways out."""
    root, usual = project
    write_project(root, usual)
    there = of(examine(root), "input files")
    (root / "data" / "patients.csv").rename(root / "patients.csv")
    missing = of(examine(root, code=1), "input files")
    (root / "patients.csv").rename(root / "data" / "patients.csv")
    write_project(root, usual | {"client_streaming": True})
    here = of(examine(root), "input files")

    assert there["found"] == "the server can read 1 file"
    assert missing["found"].startswith("1 file missing on the server\ndata/patients.csv (workflow.yaml:")
    assert "client_streaming: true" in missing["help"]
    assert here["found"] == "1 file, 5 bytes"


def test_a_role_that_may_not_make_schemas_is_a_problem(
    server: Server, project: tuple[Path, dict[str, str | int]]
) -> None:
    """The rights that it lacks are named, that to have the server read files, too."""
    root, usual = project
    role = f"reader_{secrets.token_hex(4)}"
    with server.admin() as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'word'").format(sql.Identifier(role)))
    write_project(root, usual | {"user": role, "password": "word"})
    findings = examine(root, code=1)
    found = of(findings, "schema omop (cdm)")
    with server.admin() as admin:
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))

    assert "permission denied" in found["found"]
    assert "ask for the right to make the schema omop" in found["help"]
    assert f'GRANT pg_read_server_files TO "{role}"' in of(findings, "input files")["help"]
