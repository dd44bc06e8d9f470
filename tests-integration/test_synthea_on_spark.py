"""The Synthea template on DuckDB and on Spark, by another target alone: every table has the same rows and ids.

`OMOPCLOUDETL_LAKES=all` tries the demo's data and the real Synthea files, both on tables of both formats, and runs each
twice.
"""

import os
from pathlib import Path

import pytest
from sail_targets import set_target
from same_content import content, differences, run, tables
from small_project import SHARED_DATA
from synthea_projects import write_project

pytestmark = pytest.mark.xdist_group("synthea-on-spark")
ALL = os.environ.get("OMOPCLOUDETL_LAKES") == "all"
EVERY_LAKE = [(data, table_format) for data in ("demo", "shared") for table_format in ("delta", "iceberg")]
LAKES = EVERY_LAKE if ALL else [("demo", "delta"), ("shared" if SHARED_DATA.is_dir() else "demo", "iceberg")]
RUNS = 2 if ALL else 1


@pytest.mark.parametrize(("data", "table_format"), LAKES)
def test_every_table_is_the_same_on_spark(tmp_path: Path, data: str, table_format: str) -> None:
    """Sources, vocabulary, CDM, registries of ids, stages and ledger are those of DuckDB, after each run."""
    write_project(tmp_path, data)
    set_target(tmp_path, "lake", table_format)
    run(tmp_path, "local")
    named = tables(tmp_path)
    assert len(named) > 100
    expected = content(tmp_path, "local", named)
    for times in range(RUNS):
        run(tmp_path, "lake")
        assert differences(expected, content(tmp_path, "lake", named)) == [], f"run {times + 1}"
