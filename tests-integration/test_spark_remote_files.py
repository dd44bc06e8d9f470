"""Files and tables on S3, which Spark's workers read and write themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_servers import S3, s3_service
from spark_server import empty_catalog, start

from omopcloudetl.core.connection import LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep, Origin
from omopcloudetl.core.session import Session
from omopcloudetl.provider_spark.config import read_settings
from omopcloudetl.provider_spark.engine import SparkConnection

pytestmark = pytest.mark.xdist_group("spark on s3")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 service with two buckets."""
    with s3_service(tmp_path_factory.mktemp("moto") / "log") as service:
        service.put("exports")
        service.put("lake")
        yield service


@pytest.fixture(scope="module")
def server(s3: S3) -> str:
    """A server whose workers know the service and its keys."""
    keys = {"AWS_ACCESS_KEY_ID": "AKIAKEY", "AWS_SECRET_ACCESS_KEY": "planted", "AWS_REGION": "eu-central-1"}
    return start(AWS_ENDPOINT=f"http://{s3.address}", AWS_ALLOW_HTTP="true", **keys)


@pytest.fixture
def db(server: str, tmp_path: Path) -> Iterator[SparkConnection]:
    """A connection with the schema `s`."""
    with SparkConnection(read_settings(empty_catalog(tmp_path, server=server)), tmp_path) as connection:
        connection.execute(f"CREATE SCHEMA s LOCATION '{tmp_path}/s'")
        yield connection


def load(db: SparkConnection, uri: str, **more: object) -> LoadMetrics:
    """Load files into `s.t`."""
    content = {"name": "load_t", "summary": "a load", "origin": Origin(file="workflow.yaml", line=1), "uri": uri}
    content |= {"format": "csv", "table": ("s", "t"), "mode": "create"}
    return db.bulk_load(BulkLoadStep.model_validate(content | more), base=Path())


def test_files_of_a_pattern_are_told_apart(db: SparkConnection, s3: S3) -> None:
    """Each file's columns go by their names, as those of a folder do; a file that has changed is another delivery."""
    first, second = b"id,name\n1,a\n", b"name,id\nb,2\n"
    s3.put("exports/parts/1.csv", first)
    s3.put("exports/parts/2.csv", second)
    found = load(db, "s3://exports/parts/*.csv")
    assert sorted(db.fetch("SELECT id, name FROM s.t")) == [("1", "a"), ("2", "b")]
    assert (found.rows_loaded, found.files, found.bytes_read) == (2, 2, len(first + second))
    assert load(db, "s3://exports/parts/*.csv").files_digest == found.files_digest
    s3.replace("exports/parts/2.csv", b"name,id\nb,2\nc,3\n")
    assert load(db, "s3://exports/parts/*.csv").files_digest != found.files_digest


def test_missing_files_are_told(db: SparkConnection, s3: S3) -> None:
    """A file or a pattern of files that is not there is named, or makes an empty table where it may be missing."""
    for uri in ("s3://exports/nothing.csv", "s3://exports/nothing/*.csv"):
        with pytest.raises(LoadError, match="missing") as told:
            load(db, uri)
        assert uri.rpartition("/")[2] in str(told.value)
        assert "planted" not in str(told.value)
        assert load(db, uri, optional=True, columns=[{"name": "id"}]).rows_loaded == 0
        assert db.columns(("s", "t")) == [("id", "string")]


WORKFLOW = """
name: copy
steps:
  - {name: load, kind: bulk_load, schema: source, from: s3://exports, format: csv, tables: {patients: {file: p.csv}}}
  - {name: count, kind: sql, file: count.sql, creates: work.counted}
"""


def test_a_project_from_s3_to_s3(tmp_path: Path, server: str, s3: S3) -> None:
    """Files are read from one bucket, and all tables, those that tell of runs too, are in another."""
    s3.put("exports/p.csv", b"id,name\n1,a\n2,b\n")
    settings = empty_catalog(tmp_path, "delta", server) | {"location": "s3://lake/omop"}
    connection = ", ".join(f"{key}: {str(text).lower()}" for key, text in settings.items())
    project = f"name: copy\ntargets:\n  lake: {{provider: spark, connection: {{{connection}}}}}\n"
    files = {
        "project.yaml": project,
        "workflow.yaml": WORKFLOW,
        "count.sql": "SELECT COUNT(*) AS n FROM source.patients",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    session = Session.open(tmp_path)
    record = session.run(session.compile())
    assert record.state == "done", [f"{step.name}: {step.error}" for step in record.failed]
    with session.connection() as connected:
        assert connected.fetch("SELECT n FROM work.counted") == [(2,)]
        assert connected.fetch("SELECT state FROM work.etl_run") == [("done",)]
    assert [path for path in tmp_path.rglob("*") if path.suffix == ".parquet"] == []
