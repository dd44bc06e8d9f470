"""Promises of DuckDB as an engine whose source is elsewhere: in PostgreSQL, or in Parquet files on S3."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import psycopg
import pytest
from loopback_servers import S3, s3_service
from postgres_server import VERSIONS, Server, start, start_again, stop
from postgres_targets import needs_servers, servers
from psycopg import sql

from omopcloudetl.provider_duckdb.attached import is_lost, refused
from omopcloudetl.provider_duckdb.config import DuckDBConfig

PASSWORD = "hunter2 s3cr3t"
PERSON = """
name: person
kind: table
target: cdm.person
from: {p: source.patients}
columns:
  person_id: {id: [p.id]}
  gender_concept_id: 0
  year_of_birth: {expression: "EXTRACT(YEAR FROM p.born)"}
  race_concept_id: 0
  ethnicity_concept_id: 0
  person_source_value: p.name
"""
FEDERATED = """
name: federated
targets:
  local:
    provider: duckdb
    connection:
      path: omop.duckdb
      postgres_host: 127.0.0.1
      postgres_port: PORT
      postgres_dbname: DATABASE
      postgres_user: reader
      postgres_password: "${secret:HOSPITAL}"
    schemas: {source: postgres.hospital}
"""
SOURCES = """
name: federated
sources: {patients: {columns: {id: integer, born: date, name: text}}}
steps:
  - {name: cdm_tables, kind: ddl, schema: cdm}
  - {name: mappings, kind: dml, mappings: mappings/*.yaml}
"""
ON_S3 = """
name: federated
targets:
  local:
    provider: duckdb
    connection: {path: omop.duckdb, s3_region: eu-central-1, s3_endpoint: ADDRESS, s3_key_id: AKIAKEY,
      s3_secret: "${secret:HOSPITAL}", s3_url_style: path, s3_use_ssl: false}
"""
IN_PLACE = """
name: federated
steps:
  - {name: cdm_tables, kind: ddl, schema: cdm}
  - {name: source, kind: bulk_load, schema: source, from: "s3://exports", format: parquet, in_place: true,
     tables: {patients: {file: patients.parquet, columns: {id: integer, born: date, name: text}}}}
  - {name: mappings, kind: dml, mappings: mappings/*.yaml}
"""
ROWS = [(2, "1970-05-01", "Zoë"), (1, "1984-12-31", "it's"), (10, "2001-02-28", None)]
MADE = [(1, 1984, "it's"), (2, 2001, None), (3, 1970, "Zoë")]
"""In the order of their keys as texts."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The newest PostgreSQL, with a role that may only read."""
    with servers(tmp_path_factory) as running:
        yield running[VERSIONS[-1]]


@pytest.fixture
def hospital(server: Server) -> Iterator[str]:
    """A database with patients."""
    with server.database() as name, server.admin(name) as session:
        session.execute("CREATE SCHEMA hospital")
        session.execute("CREATE TABLE hospital.patients (id integer, born date, name text)")
        for row in ROWS:
            session.execute("INSERT INTO hospital.patients VALUES (%s, %s, %s)", row)
        # Roles are the server's; a test beside this one may make it at the same time.
        with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            session.execute(sql.SQL("CREATE ROLE reader LOGIN PASSWORD {}").format(PASSWORD))
        session.execute("GRANT USAGE ON SCHEMA hospital TO reader")
        session.execute("GRANT SELECT ON hospital.patients TO reader")
        yield name


def write(root: Path, project: str, workflow: str) -> None:
    """A project with one mapping."""
    (root / "mappings").mkdir(exist_ok=True)
    (root / "mappings/person.yaml").write_text(PERSON)
    (root / "project.yaml").write_text(project)
    (root / "workflow.yaml").write_text(workflow)


def run(root: Path, *arguments: str, secret: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own."""
    command = [sys.executable, "-m", "omopcloudetl.cli", "run", "--project", str(root), *arguments]
    environment = os.environ | {"HOSPITAL": secret}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def persons(root: Path) -> list[tuple[object, ...]]:
    """What the CDM has."""
    with duckdb.connect(str(root / "omop.duckdb"), read_only=True) as connection:
        query = "SELECT person_id, year_of_birth, person_source_value FROM cdm.person ORDER BY 1"
        return connection.execute(query).fetchall()


@needs_servers
@pytest.mark.xdist_group("postgres servers")
def test_a_source_in_postgres_is_read_where_it_is(tmp_path: Path, server: Server, hospital: str) -> None:
    """Its rows are in the CDM, nothing of it is copied beside the stage, and the next run sees what changed."""
    write(tmp_path, FEDERATED.replace("PORT", str(server.port)).replace("DATABASE", hospital), SOURCES)
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert persons(tmp_path) == MADE
    with duckdb.connect(str(tmp_path / "omop.duckdb"), read_only=True) as connection:
        schemas = {name for (name,) in connection.execute("SELECT schema_name FROM duckdb_tables()").fetchall()}
    assert "source" not in schemas
    with server.admin(hospital) as session:
        session.execute("DELETE FROM hospital.patients WHERE id = 2")
    assert run(tmp_path, "--quiet").returncode == 0
    assert [row[2] for row in persons(tmp_path)] == ["it's", None]


@needs_servers
@pytest.mark.xdist_group("postgres servers")
def test_a_database_that_cannot_be_attached_is_told_without_the_password(
    tmp_path: Path, server: Server, hospital: str
) -> None:
    """Wrong password, no such database, no server: where, why, and what to look at."""
    project = FEDERATED.replace("PORT", str(server.port)).replace("DATABASE", hospital)
    for spoilt, words in (
        (project, "password authentication failed"),
        (project.replace(hospital, "nowhere"), "nowhere"),
        (project.replace(f"postgres_port: {server.port}", "postgres_port: 1"), "port 1"),
    ):
        write(tmp_path, spoilt, SOURCES)
        done = run(tmp_path, "-vv", secret="wr0ng-p4ssword")
        assert done.returncode == 1
        assert words in done.stderr
        assert "cannot attach the database" in done.stderr
        assert "check the target's postgres_ settings" in done.stderr
        assert "wr0ng-p4ssword" not in done.stderr + done.stdout


def test_no_part_of_a_password_is_told() -> None:
    """Whatever stands in it, also what looks like a server's reason, is taken out before a reason is looked for."""
    secret = "hun'ter2 FATAL: s3cr3t"
    config = DuckDBConfig(path="x", postgres_host="h", postgres_dbname="d", postgres_user="u", postgres_password=secret)
    for spelled in (secret, secret.replace("'", "\\'")):
        told = refused(
            config, f"Unable to connect to Postgres at \"password='{spelled}'\": it failed: no route to host"
        )
        assert "s3cr3t" not in told
        assert told.startswith("cannot attach the database d on h, port 5432: no route to host")


@pytest.mark.parametrize(
    "state", ["starting up", "shutting down", "not yet accepting connections", "not accepting connections"]
)
def test_a_server_that_starts_may_be_there_in_a_moment(state: str) -> None:
    """In whichever words of PostgreSQL it says so; a password that is wrong stays wrong."""
    words = 'IO Error: Unable to connect to Postgres at "": connection to server at "h", port 5432 failed: FATAL:  {}'
    assert is_lost(words.format(f"the database system is {state}"))
    assert not is_lost(words.format('password authentication failed for user "reader"'))


@needs_servers
def test_a_server_that_comes_back_is_waited_for(tmp_path: Path) -> None:
    """A source that is away for a moment does not fail the night's run."""
    server = start(VERSIONS[-1])
    try:
        with server.admin() as session:
            session.execute("CREATE DATABASE clinic")
            session.execute(sql.SQL("CREATE ROLE reader LOGIN SUPERUSER PASSWORD {}").format(PASSWORD))
        with server.admin("clinic") as session:
            session.execute("CREATE SCHEMA hospital")
            session.execute("CREATE TABLE hospital.patients AS SELECT 1 AS id, date '1970-05-01' AS born, 'a' AS name")
        project = FEDERATED.replace("PORT", str(server.port)).replace("DATABASE", "clinic")
        write(tmp_path, project, SOURCES + "retry: {attempts: 8, first_wait: 0.5, max_wait: 2}\n")
        server.kill()
        later = threading.Timer(4, start_again, (server,))
        later.start()
        done = run(tmp_path)
        later.join()
        assert done.returncode == 0, done.stderr
        assert persons(tmp_path) == [(1, 1970, "a")]
    finally:
        stop(server)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 service with a bucket."""
    with s3_service(tmp_path_factory.mktemp("moto") / "log") as service:
        service.put("exports")
        yield service


@pytest.mark.xdist_group("remote files")
def test_parquet_on_s3_is_read_in_place(tmp_path: Path, s3: S3) -> None:
    """`source` is a view of the files, also for a run that is gone on with in a new process."""
    file = tmp_path / "patients.parquet"
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (id INTEGER, born DATE, name VARCHAR)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", ROWS)
        connection.execute(f"COPY t TO '{file}' (FORMAT parquet)")
    s3.put("exports/patients.parquet", file.read_bytes())
    write(tmp_path, ON_S3.replace("ADDRESS", s3.address), IN_PLACE)
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert persons(tmp_path) == MADE
    (tmp_path / "mappings/person.yaml").write_text(PERSON.replace("p.name", "UPPER(p.name)"))
    done = run(tmp_path, "--changed", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert '"source_patients"' in done.stdout
    assert [row[2] for row in persons(tmp_path)] == ["IT'S", None, "ZOË"]
