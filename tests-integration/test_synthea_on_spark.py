"""The Synthea template on DuckDB and on Spark, by another target alone: every table has the same rows and ids."""

from collections import Counter
from pathlib import Path

import pytest
from postgres_targets import OF_RUNS, TABLES, Content, differences
from spark_server import empty_catalog

from omopcloudetl.core.projects import create_demo
from omopcloudetl.core.session import Session
from omopcloudetl.provider_spark.sql import qualified

pytestmark = pytest.mark.xdist_group("synthea-on-spark")


def _run(root: Path, target: str) -> None:
    session = Session.open(root, target=target)
    record = session.run(session.compile())
    assert record.state == "done", [f"{step.name}: {step.error}" for step in record.failed]


def _add_target(root: Path, name: str, table_format: str) -> None:
    settings = empty_catalog(root / name, table_format)
    connection = ", ".join(f'{key}: "{text}"' for key, text in settings.items() if isinstance(text, str))
    line = f"targets:\n  {name}: {{provider: spark, connection: {{{connection}, not_null: false}}}}\n"
    file = root / "project.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("targets:\n", line), encoding="utf-8")


def _content(root: Path, target: str, tables: list[tuple[str, str]]) -> Content:
    with Session.open(root, target=target).connection() as connection:
        spelled = {f"{schema}.{name}": qualified((schema, name)) for schema, name in tables}
        if target == "local":
            spelled = {logical: name.replace("`", '"') for logical, name in spelled.items()}
        query = "SELECT * FROM {}"
        return {
            logical: Counter(connection.fetch(query.format(name), limit=10_000_000))
            for logical, name in spelled.items()
        }


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_every_table_is_the_same_on_spark(tmp_path: Path, table_format: str) -> None:
    """Sources, vocabulary, CDM, registries of ids, stages and ledger are those of DuckDB."""
    create_demo(tmp_path)
    _add_target(tmp_path, "lake", table_format)
    _run(tmp_path, "local")
    _run(tmp_path, "lake")
    with Session.open(tmp_path, target="local").connection() as connection:
        tables = [(str(schema), str(name)) for schema, name in connection.fetch(TABLES) if name not in OF_RUNS]
    assert len(tables) > 100
    assert differences(_content(tmp_path, "local", tables), _content(tmp_path, "lake", tables)) == []
