"""A small project on real Spark 3.5 with tables of Iceberg, and what its sessions promise."""

import threading
from pathlib import Path

import pytest
from physical_plans import explained, problems
from real_spark import add_target, needs_spark, target
from same_content import content, differences, run, tables
from small_project import PERSON, SHARED_DATA, Etl
from synthea_projects import write_project

from omopcloudetl.core.errors import DatabaseConnectionError, LoadError, StatementError
from omopcloudetl.core.plan import BulkLoadStep, Origin, SqlStep
from omopcloudetl.core.session import Session
from omopcloudetl.provider_spark.engine import SparkConnection
from omopcloudetl.provider_spark.files import listed
from omopcloudetl.provider_spark.plugin import omopcloudetl_register_providers

pytestmark = [*needs_spark, pytest.mark.filterwarnings("default")]
SMALL = {
    *("care_site", "cdm_source", "location", "location_organizations", "location_patients", "location_providers"),
    *("organizations", "payers", "provider", "providers", "source_to_concept_map", "states"),
}
(PROVIDER,) = omopcloudetl_register_providers()


BORN_BACKWARDS = PERSON.replace("1970", "2000 - cast(p.x as integer)")
LAYOUT = '{by: person, tables: {person: {partition: "bucket(2, person_id)", cluster: year_of_birth}}}'


def test_a_small_project_runs(etl: Etl) -> None:
    """Persons of a file of text come out as on DuckDB, and lie in their files as the target says; keys are noted."""
    etl.write([BORN_BACKWARDS], {"patients": [{"id": f"p{x}", "x": str(x)} for x in range(1, 9)]})
    workflow = etl.root / "workflow.yaml"
    text = workflow.read_text(encoding="utf-8")
    workflow.write_text(text.replace("schema: cdm}", "schema: cdm, primary_keys: true}"), encoding="utf-8")
    add_target(etl.root, layout=LAYOUT)
    local, spark = (Session.open(etl.root, target=name) for name in ("local", "spark"))
    found = []
    for session in (local, spark):
        record = session.run(session.compile())
        assert record.state == "done", [f"{step.name}: {step.error}" for step in record.failed]
        with session.connection() as connection:
            found.append(connection.fetch("SELECT person_id, person_source_value FROM cdm.person ORDER BY 1"))
    assert found[0] == found[1]
    assert len(found[0]) == 8
    with spark.connection() as connection:
        rows = connection.fetch("SELECT _file, person_id FROM cdm.person")
        of_eras = dict(connection.fetch("SHOW TBLPROPERTIES cdm.drug_era"))
    assert of_eras["identifier-fields"] == "[drug_era_id]"
    assert of_eras["sort-order"] == "person_id ASC NULLS FIRST, drug_era_start_date ASC NULLS FIRST"
    lying = {str(file).rsplit("/", 2)[-2]: [id_ for there, id_ in rows if there == file] for file, _ in rows}
    assert lying.keys() == {"person_id_bucket=0", "person_id_bucket=1"}
    assert all(ids == sorted(ids, reverse=True) for ids in map(list, lying.values()))


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


def test_malformed_records_are_set_aside(tmp_path: Path) -> None:
    """Of each file they are kept with its name, also where a line is a record; a later load tells of its own alone."""
    columns = "load_step STRING, table_name STRING, file STRING, line BIGINT, reason STRING, text STRING"
    content = {"name": "load_t", "summary": "", "origin": Origin(file="w.yaml", line=1), "uri": "*.csv"}
    content |= {"format": "csv", "mode": "replace_rows", "table": ("s", "t")}
    content |= {"rejects": {"max_rejected": 3, "table": ("s", "r"), "keep_text": True}}
    (tmp_path / "a.csv").write_text("day,id\n20200102,1\n2020-13-01,2\n,3\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("id,day,more\n4\n5,,,\n6,,\n", encoding="utf-8")
    with PROVIDER.connection(target(tmp_path) | {"multiline": False}, tmp_path) as connection:
        for sql in ("SCHEMA s", "TABLE s.t (id INT, day DATE) USING ICEBERG", f"TABLE s.r ({columns}) USING ICEBERG"):
            connection.execute(f"CREATE {sql}")
        for count in (3, 1):
            metrics = connection.bulk_load(BulkLoadStep.model_validate(content), base=tmp_path)
            assert (metrics.rows_loaded, metrics.rows_rejected) == (count, count)
            (tmp_path / "b.csv").unlink(missing_ok=True)
            (tmp_path / "a.csv").write_text("day,id\n,7\nx,8\n", encoding="utf-8")
            found = connection.fetch("SELECT file, line, text FROM s.r ORDER BY file, text")
            expected = [("a.csv", None, "2020-13-01,2"), ("b.csv", None, "4"), ("b.csv", None, "5,,,")]
            assert found == (expected if count == 3 else [("a.csv", None, "x,8")])
        (tmp_path / "a.csv").write_text("day,id\n1\n2\n3\n4\n", encoding="utf-8")
        with pytest.raises(LoadError, match=r"4 malformed records, 3 may be rejected:\n  a\.csv: it has more or fewer"):
            connection.bulk_load(BulkLoadStep.model_validate(content), base=tmp_path)
        del content["rejects"]
        with pytest.raises(LoadError, match=r"4 malformed records, 0 may be rejected:\n  a\.csv: it has more or fewer"):
            connection.bulk_load(BulkLoadStep.model_validate(content), base=tmp_path)
        assert connection.fetch("SELECT id FROM s.t") == [(7,)]


def test_two_targets_that_began_differently_are_refused(tmp_path: Path) -> None:
    """A process has one application; another that would need other properties is told which."""
    settings = target(tmp_path)
    with PROVIDER.connection(settings, tmp_path):
        file = tmp_path / "spark.conf"
        file.write_text(file.read_text(encoding="utf-8") + "spark.driver.maxResultSize 5m\n", encoding="utf-8")
        with pytest.raises(DatabaseConnectionError, match=r"another spark\.driver\.maxResultSize"):
            PROVIDER.connection(settings, tmp_path).connect()


def test_spark_lists_files_that_are_elsewhere(tmp_path: Path) -> None:
    """Their sizes are told without their content, and what is missing is an empty list, not an error."""
    for name in ("1.csv", "2.csv"):
        (tmp_path / name).write_text("a\n1\n", encoding="utf-8")
    lake = tmp_path / "lake"
    with PROVIDER.connection(target(lake), lake) as connection:
        assert isinstance(connection, SparkConnection)
        found = listed(connection, f"file://{tmp_path}/*.csv")
        assert [(file.label.rpartition("/")[2], file.size) for file in found] == [("1.csv", 4), ("2.csv", 4)]
        for missing in ("3.csv", "*.tsv"):
            assert listed(connection, f"file://{tmp_path}/{missing}") == []


@pytest.fixture(scope="module")
def synthea(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Synthea project over real files, or where there are none over the demo's, run on DuckDB and on Spark."""
    root = tmp_path_factory.mktemp("synthea")
    write_project(root, "shared" if SHARED_DATA.is_dir() else "demo")
    add_target(root)
    run(root, "local")
    run(root, "spark")
    return root


def test_every_table_is_the_same(synthea: Path) -> None:
    """Sources, vocabulary, CDM, registries of ids, stages and ledger are those of DuckDB."""
    named = tables(synthea)
    assert len(named) > 100
    assert differences(content(synthea, "local", named), content(synthea, "spark", named)) == []


@pytest.fixture(scope="module")
def found_in_plans(synthea: Path) -> list[str]:
    """What does not scale in the plans of the project's statements, when no table is small enough to be sent to all."""
    session = Session.open(synthea, target="spark")
    steps = [step for step in session.compile().steps if isinstance(step, SqlStep)]
    found = []
    with session.connection() as connection:
        for setting in ("adaptive.enabled=false", "autoBroadcastJoinThreshold=-1"):
            connection.execute(f"SET spark.sql.{setting}")
        for step in steps:
            for query in filter(None, (explained(statement.sql) for statement in step.statements)):
                plan = str(connection.fetch(f"EXPLAIN {query}")[0][0])
                found += [f"{step.name}: {problem}" for problem in problems(plan, _is_large)]
    assert len(steps) > 50
    return found


def _is_large(table: str) -> bool:
    """Whether a table grows with the persons, and not with hospitals or codes."""
    *_, schema, name = table.split(".")
    if schema == "work":
        kind, _, of = name.partition("_")
        return kind in {"stage", "rows", "full", "group", "inputs"} and of not in SMALL
    return schema in {"source", "cdm"} and name not in SMALL


def test_no_statement_brings_a_large_table_to_one_worker(found_in_plans: list[str]) -> None:
    """No exchange into a single partition lies over rows of events or persons."""
    assert [told for told in found_in_plans if "one partition" in told] == []


def test_no_statement_multiplies_or_leaves_the_engine(found_in_plans: list[str]) -> None:
    """No plan joins every row with every other, and none gives rows to Python."""
    assert [told for told in found_in_plans if "one partition" not in told] == []
