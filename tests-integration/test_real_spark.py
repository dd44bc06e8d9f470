"""A small project on real Spark 3.5 with tables of Iceberg, and what its sessions promise."""

import threading
from pathlib import Path

import pytest
from real_spark import add_target, needs_spark, target
from same_content import content, differences, run, tables
from small_project import PERSON, Etl

from omopcloudetl.core.errors import DatabaseConnectionError, StatementError
from omopcloudetl.core.projects import create_demo
from omopcloudetl.core.session import Session
from omopcloudetl.provider_spark.plugin import omopcloudetl_register_providers

pytestmark = [*needs_spark, pytest.mark.filterwarnings("default")]
(PROVIDER,) = omopcloudetl_register_providers()


def test_a_small_project_runs(etl: Etl) -> None:
    """Persons of a file of text come out as on DuckDB."""
    etl.write([PERSON], {"patients": [{"id": "p2", "x": ""}, {"id": "p1", "x": "1"}]})
    add_target(etl.root)
    local, spark = (Session.open(etl.root, target=name) for name in ("local", "spark"))
    found = []
    for session in (local, spark):
        record = session.run(session.compile())
        assert record.state == "done", [f"{step.name}: {step.error}" for step in record.failed]
        with session.connection() as connection:
            found.append(connection.fetch("SELECT person_id, person_source_value FROM cdm.person ORDER BY 1"))
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_a_statement_is_cancelled(tmp_path: Path) -> None:
    """Another thread ends a statement within seconds, and the session goes on."""
    endless = "SELECT COUNT(*) FROM RANGE(1000000) AS a JOIN RANGE(1000000) AS b ON a.id < b.id"
    over = threading.Event()

    def cancel() -> None:
        while not over.wait(1):  # what is planned is not a job yet
            connection.cancel()

    with PROVIDER.connection(target(tmp_path), tmp_path) as connection:
        thread = threading.Thread(target=cancel)
        thread.start()
        with pytest.raises(StatementError, match="cancelled"):
            connection.fetch(endless)
        over.set()
        thread.join()
        assert connection.fetch("SELECT 1") == [(1,)]


def test_two_targets_that_began_differently_are_refused(tmp_path: Path) -> None:
    """A process has one application; another that would need other properties is told which."""
    settings = target(tmp_path)
    with PROVIDER.connection(settings, tmp_path):
        file = tmp_path / "spark.conf"
        file.write_text(file.read_text(encoding="utf-8") + "spark.driver.maxResultSize 5m\n", encoding="utf-8")
        with pytest.raises(DatabaseConnectionError, match=r"another spark\.driver\.maxResultSize"):
            PROVIDER.connection(settings, tmp_path).connect()


def test_every_table_of_the_demo_is_the_same(tmp_path: Path) -> None:
    """Sources, vocabulary, CDM, registries of ids, stages and ledger are those of DuckDB."""
    create_demo(tmp_path)
    add_target(tmp_path)
    run(tmp_path, "local")
    run(tmp_path, "spark")
    named = tables(tmp_path)
    assert len(named) > 100
    assert differences(content(tmp_path, "local", named), content(tmp_path, "spark", named)) == []
