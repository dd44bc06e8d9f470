"""What is told of a run, from the hooks to a file."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage_lab import Event, a_plan, a_run, load_step, read_events, sql_step, tell_whole_run

from omopcloudetl.core.plan import CompiledWorkflowPlan, Statement
from omopcloudetl.core.runs import RunRecord
from omopcloudetl.openlineage import plugin

EVENTS = Path("events.ndjson")
TABLES = "duckdb://clinic/local"


@pytest.fixture
def configured() -> None:
    """Events are appended to a file of the current folder."""
    transport = "transport: {type: file, log_file_path: events.ndjson, append: true}\n"
    Path("openlineage.yml").write_text(transport, encoding="utf-8")


@pytest.fixture
def told(configured: None, plan: CompiledWorkflowPlan, run: RunRecord) -> list[Event]:
    """The events of a run that goes well."""
    tell_whole_run(plan, run, plugin)
    return read_events(EVENTS)


def only(events: list[Event], job: str, type_: str) -> Any:
    """The one event of a job and a type."""
    (found,) = [event for event in events if event["job"]["name"] == job and event["eventType"] == type_]
    return found


def test_without_a_configuration_nothing_happens(plan: CompiledWorkflowPlan, run: RunRecord) -> None:
    """An installed plugin that nobody configured writes nothing and starts no thread."""
    tell_whole_run(plan, run, plugin)
    assert list(Path().iterdir()) == []
    assert plugin._reporters == {}


def test_the_client_is_imported_only_when_it_is_used() -> None:
    """Loading the plugin, and a run without a configuration, import neither the client nor its libraries."""
    program = (
        "import sys, omopcloudetl.openlineage.plugin; print({'openlineage', 'sqlglot', 'requests'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_run_and_step_begins_and_ends(told: list[Event]) -> None:
    """Run and steps have one START and one COMPLETE, in the order in which they happened."""
    assert [(event["job"]["name"], event["eventType"]) for event in told] == [
        ("clinic", "START"),
        ("clinic.load", "START"),
        ("clinic.load", "COMPLETE"),
        ("clinic.write", "START"),
        ("clinic.write", "COMPLETE"),
        ("clinic", "COMPLETE"),
    ]
    assert [event["eventTime"] for event in told] == sorted(event["eventTime"] for event in told)


def test_events_are_those_of_the_specification(told: list[Event]) -> None:
    """Every event can be read back by the library's own classes, which check ids, times and URLs."""
    for event in told:
        run, job = Run(**event["run"]), Job(**event["job"])
        read = RunEvent(eventType=RunState(event["eventType"]), eventTime=event["eventTime"], run=run, job=job)
        assert read.schemaURL == event["schemaURL"]
        assert event["producer"].startswith("urn:omopcloudetl:openlineage:")
        kinds = [part["facets"] for part in (event["run"], event["job"])]
        facets = [facet for kind in kinds for facet in kind.values()]
        assert all(facet["_schemaURL"].startswith("https://openlineage.io/spec/facets/") for facet in facets)


def test_steps_are_children_of_the_run(told: list[Event]) -> None:
    """A step names the run as its parent and root, and its own id is another, the same in START and COMPLETE."""
    run = told[0]["run"]["runId"]
    start, end = only(told, "clinic.write", "START"), only(told, "clinic.write", "COMPLETE")
    parent = end["run"]["facets"]["parent"]
    assert (parent["run"]["runId"], parent["job"]["name"], parent["root"]["run"]["runId"]) == (run, "clinic", run)
    assert start["run"]["runId"] == end["run"]["runId"] != run


def test_ids_are_made_of_the_run_id(told: list[Event], plan: CompiledWorkflowPlan) -> None:
    """The same run told again has the same ids, and another run has others."""
    EVENTS.unlink()
    tell_whole_run(plan, a_run(plan), plugin)
    again = read_events(EVENTS)
    assert [event["run"]["runId"] for event in again] == [event["run"]["runId"] for event in told]
    EVENTS.unlink()
    tell_whole_run(plan, a_run(plan).model_copy(update={"run_id": "another"}), plugin)
    assert not {event["run"]["runId"] for event in read_events(EVENTS)} & {event["run"]["runId"] for event in told}


def test_a_load_tells_files_rows_and_bytes(told: list[Event]) -> None:
    """The input of a load is its files, with what was read; its output the table, with the rows that were loaded."""
    event = only(told, "clinic.load", "COMPLETE")
    (files,), (table,) = event["inputs"], event["outputs"]
    assert (files["namespace"], files["name"]) == ("file://clinic", "data/patients.csv")
    read = files["inputFacets"]["inputStatistics"]
    assert (read["rowCount"], read["size"], read["fileCount"]) == (8, 100, 1)
    assert (table["namespace"], table["name"]) == (TABLES, "raw.patients")
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == 7
    assert [field["name"] for field in table["facets"]["schema"]["fields"]] == ["id", "gender"]


def test_a_step_tells_tables_and_columns(told: list[Event]) -> None:
    """Inputs, outputs, columns and their origins have physical names."""
    event = only(told, "clinic.write", "COMPLETE")
    (read,), (written,) = event["inputs"], event["outputs"]
    assert (read["name"], written["name"]) == ("raw.patients", "omop.person")
    assert written["facets"]["columnLineage"]["fields"] == {
        "person_source_value": {
            "inputFields": [
                {
                    "namespace": TABLES,
                    "name": "raw.patients",
                    "field": "id",
                    "transformations": [{"type": "DIRECT", "subtype": "IDENTITY"}],
                }
            ]
        }
    }
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 7


def test_a_job_tells_what_it_is(told: list[Event]) -> None:
    """A step's job has its sentence, its line in the project, its kind and, at the start, its SQL."""
    start = only(told, "clinic.write", "START")["job"]["facets"]
    assert start["documentation"]["description"] == "do write"
    assert start["sourceCodeLocation"]["url"] == "file:mappings/person.yaml#L3"
    assert (start["jobType"]["processingType"], start["jobType"]["integration"]) == ("BATCH", "OMOPCLOUDETL")
    assert "INSERT INTO omop.person" in start["sql"]["query"]
    assert start["sql"]["dialect"] == "duckdb"
    assert "sql" not in only(told, "clinic.write", "COMPLETE")["job"]["facets"]


def test_the_address_of_a_repository_is_not_told(configured: None, plan: CompiledWorkflowPlan, run: RunRecord) -> None:
    """A password in the address of a git repository around the run is in no event."""
    Path(".git").mkdir()
    Path(".git/HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
    remote = '[remote "origin"]\n\turl = https://somebody:planted-word@git.example/etl.git\n'
    Path(".git/config").write_text(remote, encoding="utf-8")
    with Path("openlineage.yml").open("a", encoding="utf-8") as file:
        file.write("facets: {source_code_location: {disabled: false}}\n")
    tell_whole_run(plan, run, plugin)
    assert "planted-word" not in EVENTS.read_text(encoding="utf-8")


def test_a_failed_run_is_told_with_its_errors(configured: None, plan: CompiledWorkflowPlan, run: RunRecord) -> None:
    """A failed step is FAIL, one that waited for it ABORT, the run FAIL, all without data of patients."""
    load, write = run.steps
    plugin.omopcloudetl_run_started(plan, run)
    plugin.omopcloudetl_step_started(plan.steps[0], load)
    load.state, load.error = "failed", "cannot read '1980-99-99'\n  4711, Miller"
    plugin.omopcloudetl_step_finished(plan.steps[0], load)
    write.state, write.error = "skipped", "waits for load, which failed"
    plugin.omopcloudetl_step_finished(plan.steps[1], write)
    run.state = "failed"
    plugin.omopcloudetl_run_finished(run)
    told = read_events(EVENTS)
    assert [event["eventType"] for event in told] == ["START", "START", "FAIL", "START", "ABORT", "FAIL"]
    errors = [event["run"]["facets"]["errorMessage"]["message"] for event in told if event["eventType"] != "START"]
    assert errors == ["cannot read …", "waits for load, which failed", "1 step failed"]
    assert "columnLineage" not in only(told, "clinic.load", "FAIL")["outputs"][0]["facets"]


def test_a_stopped_run_is_an_abort(configured: None, plan: CompiledWorkflowPlan, run: RunRecord) -> None:
    """A run that somebody stopped is ABORT, with the reason, and so is the step that it was at."""
    load = run.steps[0]
    plugin.omopcloudetl_run_started(plan, run)
    plugin.omopcloudetl_step_started(plan.steps[0], load)
    run.state, run.error = "interrupted", "the run was interrupted"
    load.state, load.error = "failed", run.error
    plugin.omopcloudetl_step_finished(plan.steps[0], load)
    plugin.omopcloudetl_run_finished(run)
    ends = read_events(EVENTS)[2:]
    errors = [end["run"]["facets"]["errorMessage"]["message"] for end in ends]
    assert [end["eventType"] for end in ends] == ["ABORT", "ABORT"]
    assert errors == [run.error, run.error]


def test_a_step_of_an_earlier_run_is_not_told(configured: None, plan: CompiledWorkflowPlan, run: RunRecord) -> None:
    """A step that a resumed run passed over did nothing, so that no event says that it wrote."""
    plugin.omopcloudetl_run_started(plan, run)
    run.steps[0].state = "skipped"
    plugin.omopcloudetl_step_finished(plan.steps[0], run.steps[0])
    run.state = "done"
    plugin.omopcloudetl_run_finished(run)
    assert {event["job"]["name"] for event in read_events(EVENTS)} == {"clinic"}


def test_two_runs_at_a_time_are_told_apart(configured: None, plan: CompiledWorkflowPlan, run: RunRecord) -> None:
    """Steps belong to the run whose record has them, also where the plans have steps of one name."""
    other_plan = a_plan(load_step())
    other = a_run(other_plan).model_copy(update={"run_id": "other"})
    for one, its in ((plan, run), (other_plan, other)):
        plugin.omopcloudetl_run_started(one, its)
    plugin.omopcloudetl_step_started(other_plan.steps[0], other.steps[0])
    for its in (run, other):
        its.state = "done"
        plugin.omopcloudetl_run_finished(its)
    told = read_events(EVENTS)
    tagged = {event["run"]["runId"]: event["run"]["facets"]["tags"]["tags"][0]["value"] for event in told[:2]}
    parent = only(told, "clinic.load", "START")["run"]["facets"]["parent"]["run"]["runId"]
    assert tagged.get(parent, "other") == "other"
    assert len([event for event in told if event["job"]["name"] == "clinic.load"]) == 1


def test_what_started_the_run_is_its_parent(
    configured: None, plan: CompiledWorkflowPlan, run: RunRecord, environment: pytest.MonkeyPatch
) -> None:
    """`OPENLINEAGE_PARENT_ID` makes another tool's job the parent of the run and the root of its steps."""
    id_ = "0190a0b0-0000-7000-8000-000000000000"
    environment.setenv("OPENLINEAGE_PARENT_ID", f"scheduler/night.etl/{id_}")
    tell_whole_run(plan, run, plugin)
    told = read_events(EVENTS)
    parent = told[0]["run"]["facets"]["parent"]
    assert (parent["job"]["namespace"], parent["job"]["name"], parent["run"]["runId"]) == (
        "scheduler",
        "night.etl",
        id_,
    )
    step = only(told, "clinic.write", "COMPLETE")["run"]["facets"]["parent"]
    assert (step["job"]["name"], step["root"]["run"]["runId"]) == ("clinic", id_)


def test_rows_belong_to_the_table_that_they_are_counted_of(configured: None) -> None:
    """Of the tables of a step only the one of its result has the step's rows, not those it makes on its way."""
    keys = Statement(sql="CREATE OR REPLACE TABLE scratch.keys AS SELECT 1 AS k", purpose="keys", counted=False)
    rows = Statement(sql="INSERT INTO omop.person (person_id) SELECT k FROM scratch.keys", purpose="rows")
    step = sql_step("write", writes=("work.keys", "cdm.person")).model_copy(update={"statements": (keys, rows)})
    plan = a_plan(step)
    tell_whole_run(plan, a_run(plan), plugin)
    outputs = only(read_events(EVENTS), "clinic.write", "COMPLETE")["outputs"]
    assert {one["name"]: "outputStatistics" in one["outputFacets"] for one in outputs} == {
        "scratch.keys": False,
        "omop.person": True,
    }
