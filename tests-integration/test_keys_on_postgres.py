"""The keys of a CDM on real servers: in the tables as they are made, and added to tables that are filled."""

from collections.abc import Iterator

import pytest
from postgres_server import Server
from postgres_targets import needs_servers, servers

from omopcloudetl.core.compiler.ddl_script import Keys, ddl_script
from omopcloudetl.core.errors import StatementError
from omopcloudetl.core.specifications import find_specification
from omopcloudetl.provider_postgres.config import PostgresConfig
from omopcloudetl.provider_postgres.dialect import PostgresGenerator
from omopcloudetl.provider_postgres.engine import PostgresConnection

pytestmark = [needs_servers, pytest.mark.xdist_group("synthea-on-postgres")]
COUNT = """
SELECT contype::text, COUNT(*) FROM pg_constraint
WHERE contype IN ('p', 'f') AND conrelid::regclass::text ~ '^(cdm|vocab)[.]' GROUP BY 1 ORDER BY 1
"""
INDEXES = "SELECT COUNT(*) FROM pg_indexes WHERE schemaname IN ('cdm', 'vocab') AND indexname LIKE 'idx_%'"


@pytest.fixture(scope="module", params=[15, 18])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Each server."""
    with servers(tmp_path_factory) as running:
        yield running[request.param]


@pytest.fixture
def db(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresConnection]:
    """An open connection to an empty database."""
    with server.database() as name:
        config = PostgresConfig.model_validate(server.settings | {"dbname": name})
        with PostgresConnection(config, tmp_path_factory.getbasetemp()) as connection:
            yield connection


def run(db: PostgresConnection, keys: Keys) -> None:
    """Run the DDL of the CDM 5.4."""
    schemas = {"cdm": "cdm", "vocab": "vocab"}
    for statement in ddl_script(find_specification("5.4"), PostgresGenerator(), schemas, keys=keys):
        if statement.sql is not None:
            db.execute(statement.sql)


def test_keys_added_later_are_those_of_tables_made_with_them(db: PostgresConnection, server: Server) -> None:
    """Every primary and foreign key is a constraint, across schemas and in cycles; indices come later, too."""
    run(db, "none")
    assert db.fetch(COUNT) == []
    run(db, "only")
    later = db.fetch(COUNT)
    with pytest.raises(StatementError, match="drop the foreign keys before a run") as told:
        db.execute("TRUNCATE cdm.person")
    assert "CASCADE" not in str(told.value)
    assert db.fetch(INDEXES)[0][0] > 50  # type: ignore[operator]  # it is a number
    for schema in ("cdm", "vocab"):
        db.execute(f"DROP SCHEMA {schema} CASCADE")
    run(db, "foreign")

    assert db.fetch(COUNT) == later
    assert [kind for kind, _ in later] == ["f", "p"]
