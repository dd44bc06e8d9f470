"""The shipped demo, which needs nothing but the packages: what it shows is true, and it can be run again."""

import csv
from importlib.resources import files
from pathlib import Path

import pytest
from small_project import Ran

from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.session import Session
from omopcloudetl.core.templates import copy_demo_data, create_project

pytestmark = pytest.mark.xdist_group("demo")
EVENTS = ("conditions", "procedures", "observations", "medications", "immunizations", "allergies", "careplans")


def run(root: Path) -> Ran:
    """Run the demo project in `root`."""
    session = Session.open(root)
    record = session.run(session.compile())
    assert record.state == "done", [f"{step.name}: {step.error}" for step in record.failed]
    return Ran(root, record)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The demo after one run."""
    root = tmp_path_factory.mktemp("demo")
    resources = load_plugins().resources()
    create_project(resources, "synthea", root, {"source_uri": "data/source", "vocabulary_uri": "data/vocabulary"})
    copy_demo_data(resources, root)
    return run(root)


@pytest.mark.parametrize("mapping", EVENTS)
def test_every_row_of_the_demo_is_accounted_for(demo: Ran, mapping: str) -> None:
    """The ledger starts from as many rows as the file has, and writes or sets aside every one."""
    text = files("omopcloudetl.omop_resources").joinpath(f"demo/source/{mapping}.csv").read_text(encoding="utf-8")
    rows = len(list(csv.DictReader(text.splitlines())))
    ledger = demo.ledger(mapping)
    count = {entry: sum(n for (kind, _), n in ledger.items() if kind == entry) for entry, _ in ledger}
    assert count["source"] == rows > 0
    assert count["written"] + count.get("quarantined", 0) - count.get("fan_out", 0) == rows


def test_the_demo_shows_what_the_product_does(demo: Ran) -> None:
    """Fan-out, routing to another domain, unmapped codes, merged places and a quarantine are all in it."""
    entries = {(entry.mapping, entry.entry) for entry in demo.record.ledger if entry.row_count}
    assert {("conditions", "fan_out"), ("observations", "unmapped"), ("location_providers", "merged")} <= entries
    assert ("conditions", "quarantined") in entries
    assert demo.ledger("conditions")["written", "observation"] > 0
    assert demo.ledger("procedures")["written", "measurement"] > 0
    assert demo.query("SELECT COUNT(*) > 0 FROM cdm.observation WHERE value_as_concept_id > 0") == [(True,)]
    assert demo.query(
        "SELECT COUNT(*) FROM cdm.measurement WHERE unit_concept_id = 0 AND unit_source_value = 'mg/dL'"
    ) == [(0,)]


def test_running_the_demo_again_changes_nothing(demo: Ran) -> None:
    """Every table has the same rows, ids included."""
    tables = [t for (t,) in demo.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'cdm'")]
    before = {table: demo.query(f'FROM cdm."{table}" ORDER BY ALL') for table in tables}
    run(demo.root)
    assert {table: demo.query(f'FROM cdm."{table}" ORDER BY ALL') for table in tables} == before
