"""What was read from a plan's SQL is kept for the next run."""

import stat
from pathlib import Path

import pytest
from openlineage_lab import a_plan, read_events, sql_step, tell_whole_run

from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.runs import RunRecord
from omopcloudetl.openlineage import lineage_cache, plugin, step_lineage
from omopcloudetl.openlineage.lineage_cache import LineageCache, default_folder
from omopcloudetl.openlineage.step_lineage import PlanLineage, StepLineage

INSERT = "INSERT INTO omop.person (person_id) SELECT p.id FROM raw.patients AS p WHERE p.ok > 0"


@pytest.fixture
def found() -> dict[str, StepLineage]:
    """The lineage of a step, with something that is not known."""
    step = sql_step("write", INSERT, "SELECT ((", reads=("source.patients",), writes=("cdm.person",))
    return {"write": PlanLineage(a_plan(step)).of(step)}


def test_what_is_kept_comes_back(found: dict[str, StepLineage], tmp_path: Path) -> None:
    """What is read is what was written, and only its owner may read the file."""
    LineageCache("hash", tmp_path).write(found)
    assert LineageCache("hash", tmp_path).read() == found
    assert found["write"].unknown
    assert LineageCache("other", tmp_path).read() == {}
    (file,) = tmp_path.glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": {"tables": {"t": {}}, "unknown": []}}'])
def test_a_damaged_file_is_no_file(text: str, found: dict[str, StepLineage], tmp_path: Path) -> None:
    """What cannot be read costs time, nothing else."""
    LineageCache("hash", tmp_path).write(found)
    (file,) = tmp_path.glob("*.json")
    file.write_text(text, encoding="utf-8")
    assert LineageCache("hash", tmp_path).read() == {}


def test_a_folder_that_cannot_be_written_is_no_mistake(found: dict[str, StepLineage], tmp_path: Path) -> None:
    """Where nothing can be kept, nothing is."""
    (tmp_path / "file").touch()
    LineageCache("hash", tmp_path / "file").write(found)
    assert LineageCache("hash", tmp_path / "file").read() == {}


def test_old_plans_go(found: dict[str, StepLineage], tmp_path: Path) -> None:
    """The folder does not grow with every change of a project."""
    for number in range(lineage_cache.KEPT + 3):
        LineageCache(str(number), tmp_path).write(found)
    assert len(list(tmp_path.iterdir())) == lineage_cache.KEPT


def test_the_second_run_of_a_plan_reads_no_sql(
    plan: CompiledWorkflowPlan, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run tells the same columns as the one before without a look at the plan's SQL."""
    transport = "transport: {type: file, log_file_path: events.ndjson, append: true}\n"
    Path("openlineage.yml").write_text(transport, encoding="utf-8")
    tell_whole_run(plan, run, plugin)
    assert len(list(default_folder().glob("*.json"))) == 1
    monkeypatch.setattr(step_lineage, "parse_one", None)
    tell_whole_run(plan, run, plugin)
    first, second = (event["outputs"] for event in read_events(Path("events.ndjson")) if _wrote(event))
    assert first == second
    assert "columnLineage" in first[0]["facets"]


def _wrote(event: dict[str, object]) -> bool:
    return event["eventType"] == "COMPLETE" and "write" in str(event["job"])


def test_what_was_left_out_for_time_is_not_kept() -> None:
    """A plan that was read in part is read again; one of which nothing is new is not written again."""
    step = sql_step("write", INSERT, reads=("source.patients",), writes=("cdm.person",))
    slow, quick = PlanLineage(a_plan(step), seconds=1e-9), PlanLineage(a_plan(step))
    slow.of(step)
    quick.of(step)
    assert slow.news() is None
    news = quick.news()
    assert news is not None
    assert PlanLineage(a_plan(step), found=news).news() is None
