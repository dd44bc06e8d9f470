"""Runs that are told to OpenLineage: of a project, on the engine, to a file."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from small_project import EVENT, PERSON, Etl, Vocabulary, events, patients

from omopcloudetl.core.explain.model import FieldExplanation
from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.runs import RunRecord
from omopcloudetl.core.session import Session

Event = dict[str, Any]
Column = tuple[str, str]
SOURCE = {"patients": patients("p1", "p2"), "events": events(("p1", "c1", "2020-01-01"), ("p2", "c2", "2020-01-02"))}
VOCABULARY = Vocabulary().concept(1, "c1").concept(2, "c2", "Procedure")


@pytest.fixture(autouse=True)
def told_to_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Events go to a file beside the project; what the client puts into the environment goes away."""
    for name in [name for name in os.environ if "OPENLINEAGE" in name]:
        monkeypatch.delenv(name)
    transport = {"type": "file", "log_file_path": str(tmp_path / "events.ndjson"), "append": True}
    (tmp_path / "openlineage.yml").write_text(json.dumps({"transport": transport}), encoding="utf-8")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(tmp_path / "openlineage.yml"))
    monkeypatch.setenv("OMOPCLOUDETL_CACHE_DIR", str(tmp_path / "cache"))
    yield
    for name in [name for name in os.environ if "OPENLINEAGE" in name]:
        del os.environ[name]


@dataclass
class Told:
    """A project, its plan, and what was told of its last run."""

    session: Session
    plan: CompiledWorkflowPlan
    record: RunRecord | None = None
    events: list[Event] = field(default_factory=list)

    def run(self, *, resume: bool = False, listeners: tuple[object, ...] = ()) -> "Told":
        """Run, and read what was told."""
        path = Path(json.loads(Path(os.environ["OPENLINEAGE_CONFIG"]).read_text())["transport"]["log_file_path"])
        path.unlink(missing_ok=True)
        try:
            self.record = self.session.run(self.plan, resume=resume, listeners=listeners)
        finally:
            self.events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return self

    def types(self) -> dict[str, list[str]]:
        """Job → the types of its events."""
        found: dict[str, list[str]] = {}
        for event in self.events:
            found.setdefault(event["job"]["name"].removeprefix("small."), []).append(event["eventType"])
        return found

    def origins(self) -> dict[Column, set[Column]]:
        """Column → the columns it is made of, over all steps of the run."""
        found: dict[Column, set[Column]] = {}
        for output in (one for event in self.events for one in event["outputs"]):
            fields = output["facets"].get("columnLineage", {}).get("fields", {})
            for name, of in fields.items():
                inputs = {(one["name"], one["field"]) for one in of["inputFields"]}
                found.setdefault((output["name"], name), set()).update(inputs)
        return found


def all_origins(column: Column, origins: dict[Column, set[Column]]) -> set[Column]:
    """All that a column is made of, near and far."""
    found: set[Column] = set()
    todo = [column]
    while todo:
        new = origins.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


@pytest.fixture
def told(etl: Etl) -> Told:
    """A project with persons and events."""
    etl.write([PERSON, EVENT], SOURCE, vocabulary=VOCABULARY)
    session = Session.open(etl.root)
    return Told(session, session.compile())


def test_every_step_of_a_run_is_told(told: Told) -> None:
    """Run and steps have one START and one COMPLETE each, and outputs are all the tables that the plan writes."""
    told.run()
    names = [step.name for step in told.plan.steps]
    assert told.types() == {name: ["START", "COMPLETE"] for name in ["small", *names]}
    written = {output["name"] for event in told.events for output in event["outputs"]}
    assert written == {table for step in told.plan.steps for table in step.writes}
    assert not [event for event in told.events if "extractionError" in event["run"]["facets"]]
    rows = {
        output["name"]: output["outputFacets"]["outputStatistics"]["rowCount"]
        for event in told.events
        for output in event["outputs"]
        if "outputStatistics" in output.get("outputFacets", {})
    }
    assert (rows["cdm.person"], rows["cdm.condition_occurrence"], rows["source.events"]) == (2, 1, 2)


def test_columns_of_the_cdm_come_from_columns_of_files(told: Told) -> None:
    """From step to step, a column of the CDM leads to the columns of the files that it is made of."""
    origins = told.run().origins()
    assert origins["cdm.person", "person_source_value"] == {("work.stage_person", "person_source_value")}
    assert ("data/patients.csv", "id") in all_origins(("cdm.person", "person_source_value"), origins)
    assert ("data/patients.csv", "id") in all_origins(("cdm.person", "person_id"), origins)
    concept = all_origins(("cdm.condition_occurrence", "condition_concept_id"), origins)
    assert {("data/events.csv", "code"), ("vocab.concept", "concept_id")} <= concept
    start = all_origins(("cdm.condition_occurrence", "condition_start_date"), origins)
    assert {column for column in start if column[0].startswith("data/")} == {("data/events.csv", "start")}
    constant = ("work.stage_person", "gender_concept_id")
    assert all_origins(("cdm.person", "gender_concept_id"), origins) == {constant}


@pytest.mark.parametrize("table", ["person", "condition_occurrence", "procedure_occurrence", "observation"])
def test_lineage_is_what_explain_says(told: Told, table: str) -> None:
    """Every column that `explain` names for a field is among those that its lineage leads to."""
    origins = told.run().origins()
    compared = 0
    for name in (name for name_table, name in origins if name_table == f"cdm.{table}"):
        explained = told.session.explain(f"{table}.{name}", told.plan)
        assert isinstance(explained, FieldExplanation)
        read = {(column.table, column.column) for filling in explained.filled_by for column in filling.reads}
        if any(filling.id is None for filling in explained.filled_by):
            assert read <= all_origins((f"cdm.{table}", name), origins), name
            compared += len(read)
    assert compared


def test_a_failed_run_and_the_one_that_goes_on(told: Told) -> None:
    """What failed is FAIL, what waited for it ABORT; the run that goes on tells only what it does."""
    path = told.session.root / "data" / "events.csv"
    kept = path.read_text(encoding="utf-8")
    path.unlink()
    told.run()
    types = told.types()
    assert types["small"] == ["START", "FAIL"]
    assert types["source_events"] == ["START", "FAIL"]
    assert types["stage_events"] == ["START", "ABORT"]
    assert types["source_patients"] == ["START", "COMPLETE"]
    path.write_text(kept, encoding="utf-8")
    told.run(resume=True)
    resumed = told.types()
    assert resumed["small"] == resumed["source_events"] == resumed["stage_events"] == ["START", "COMPLETE"]
    assert "source_patients" not in resumed


class Stop:
    """Sends this process the signal of Ctrl-C when a step begins."""

    def __init__(self, step: str) -> None:
        self._step = step

    @hookimpl
    def omopcloudetl_step_started(self, step: Any) -> None:
        """Stop the run."""
        if step.name == self._step:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)  # a short step would be done before the run hears of it


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_a_run_that_is_stopped_has_an_end(told: Told) -> None:
    """After Ctrl-C every step that began has an end, and the run has one, too."""
    with pytest.raises(KeyboardInterrupt):
        told.run(listeners=(Stop("stage_person"),))
    types = told.types()
    assert types["small"] == types["stage_person"] == ["START", "ABORT"]
    counted = {job: Counter(found)["START"] for job, found in types.items()}
    assert set(counted.values()) == {1}
    assert {len(found) for found in types.values()} == {2}
    assert types["ledger"] == ["START", "ABORT"]


def test_nothing_of_the_data_and_no_secret_is_told(etl: Etl, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    """An error that quotes a value, and a secret of the project, are in no event."""
    source = {"patients": patients("p1"), "events": events(("p1", "c1", "planted-value"))}
    sql = "CREATE OR REPLACE TABLE work.bad AS SELECT CAST(start AS DATE) AS d FROM source.events"
    etl.write([PERSON, EVENT], source, vocabulary=VOCABULARY, steps="  - {name: bad, kind: sql, file: bad.sql}\n")
    (etl.root / "bad.sql").write_text(sql, encoding="utf-8")
    session = Session.open(etl.root)
    failed = Told(session, session.compile()).run()
    assert failed.record is not None
    assert "planted-value" in str(failed.record.failed[0].error)
    assert failed.types()["bad"] == ["START", "FAIL"]
    assert "planted-value" not in json.dumps(failed.events)


def test_a_run_without_configuration_is_silent(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed plugin that is not configured leaves nothing behind."""
    monkeypatch.delenv("OPENLINEAGE_CONFIG")
    monkeypatch.chdir(told.session.root / "data")
    monkeypatch.setenv("HOME", str(told.session.root))
    assert told.session.run(told.plan).state == "done"
    assert not (told.session.root / "events.ndjson").exists()
