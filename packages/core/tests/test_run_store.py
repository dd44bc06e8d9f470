import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from omopcloudetl.core.errors import RunError
from omopcloudetl.core.run_store import list_runs, read_run, save_run
from omopcloudetl.core.runs import RunRecord, StepRecord

START = datetime(2026, 11, 23, 10, 15, 2, tzinfo=UTC)


def _record(run_id: str, minutes: int = 0) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        name="test",
        plan_hash="abc",
        target="dev",
        provider="duckdb",
        cdm_version="5.4",
        started_at=START + timedelta(minutes=minutes),
        steps=[StepRecord(name="größe", kind="sql", fingerprint="f")],
    )


def test_saved_record_reads_back_the_same(tmp_path: Path) -> None:
    """What was saved is what is read, and only the owner may look."""
    run = _record("20261123T101502-3f9a1c")
    save_run(tmp_path / "state", run)

    assert read_run(tmp_path / "state", run.run_id) == run
    path = tmp_path / "state/runs/20261123T101502-3f9a1c.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_saving_again_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    """A record is always one whole file."""
    run = _record("r1")
    save_run(tmp_path, run)
    run.state = "done"
    save_run(tmp_path, run)

    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["r1.json"]
    assert read_run(tmp_path, "r1").state == "done"


def test_record_that_cannot_be_saved_is_a_run_error(tmp_path: Path) -> None:
    """A place that cannot be written is named, and no half file stays."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "r1.json").mkdir()

    with pytest.raises(RunError, match="the record of run r1 cannot be kept"):
        save_run(tmp_path, _record("r1"))
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["r1.json"]


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    """The order is that of the start, whatever the ids."""
    for run_id, minutes in (("b", 1), ("a", 3), ("c", 2)):
        save_run(tmp_path, _record(run_id, minutes))

    assert [run.run_id for run in list_runs(tmp_path)] == ["a", "c", "b"]
    assert list_runs(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "Invalid JSON"),
        ("{}", "run_id: Field required"),
        (json.dumps({"new_field": 1}), "is no run record of this version"),
    ],
)
def test_unreadable_record_is_left_out_with_a_warning(tmp_path: Path, content: str, problem: str) -> None:
    """One damaged file hides no other run; asked for by its id, it is an error."""
    save_run(tmp_path, _record("good"))
    (tmp_path / "runs" / "bad.json").write_text(content)

    with pytest.warns(RuntimeWarning, match=problem):
        assert [run.run_id for run in list_runs(tmp_path)] == ["good"]
    with pytest.raises(RunError, match=problem):
        read_run(tmp_path, "bad")


def test_beginning_of_an_id_is_enough(tmp_path: Path) -> None:
    """A prefix that one run has finds it; a whole id wins over a longer one."""
    for run_id in ("20261123T101502-aa", "20261124T090000-bb", "20261124T090000-bb2"):
        save_run(tmp_path, _record(run_id))

    assert read_run(tmp_path, "20261123").run_id == "20261123T101502-aa"
    assert read_run(tmp_path, "20261124T090000-bb").run_id == "20261124T090000-bb"
    with pytest.raises(RunError, match=r"beginning of several runs: 20261124T090000-bb, 2026"):
        read_run(tmp_path, "20261124")


@pytest.mark.parametrize("run_id", ["", "20261123T101502-ab", "../secret"])
def test_unknown_run_is_named_with_close_matches(tmp_path: Path, run_id: str) -> None:
    """The error says what was asked for, and which runs look like it; no other file is opened."""
    save_run(tmp_path, _record("20261123T101502-aa"))
    (tmp_path / "secret.json").write_text("{}")

    with pytest.raises(RunError, match=f"there is no run '{run_id}'") as caught:
        read_run(tmp_path, run_id)
    assert ("did you mean 20261123T101502-aa?" in str(caught.value)) == run_id.startswith("2026")
