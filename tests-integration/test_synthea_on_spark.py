"""The Synthea template on DuckDB and on Spark, by another target alone: every table has the same rows and ids."""

from pathlib import Path

import pytest
from same_content import content, differences, run, tables
from spark_server import empty_catalog

from omopcloudetl.core.projects import create_demo

pytestmark = pytest.mark.xdist_group("synthea-on-spark")


def _add_target(root: Path, name: str, table_format: str) -> None:
    settings = empty_catalog(root / name, table_format)
    connection = ", ".join(f'{key}: "{text}"' for key, text in settings.items() if isinstance(text, str))
    line = f"targets:\n  {name}: {{provider: spark, connection: {{{connection}, not_null: false}}}}\n"
    file = root / "project.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("targets:\n", line), encoding="utf-8")


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_every_table_is_the_same_on_spark(tmp_path: Path, table_format: str) -> None:
    """Sources, vocabulary, CDM, registries of ids, stages and ledger are those of DuckDB."""
    create_demo(tmp_path)
    _add_target(tmp_path, "lake", table_format)
    run(tmp_path, "local")
    run(tmp_path, "lake")
    named = tables(tmp_path)
    assert len(named) > 100
    assert differences(content(tmp_path, "local", named), content(tmp_path, "lake", named)) == []
