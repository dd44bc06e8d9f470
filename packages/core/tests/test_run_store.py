"""Promises of the contract of a run store, and of the history that is read from several."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from omopcloudetl.core.errors import RunError, UnknownRunError
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.run_history import RunHistory, plugins_of_runs
from omopcloudetl.core.run_store import BaseRunStore, LogEntry
from omopcloudetl.core.runs import RunRecord, StepRecord

START = datetime(2026, 11, 23, 10, 15, 2, tzinfo=UTC)


class _Store(BaseRunStore):
    """Runs in the order in which they began, with the minute that the clock showed; None cannot be read."""

    def __init__(self, minutes: Mapping[str, int | None]) -> None:
        super().__init__(Path("state"))
        self.minutes = minutes

    def run_ids(self) -> list[str]:
        return list(reversed(self.minutes))

    def read_run(self, run_id: str) -> RunRecord:
        minute = self.minutes[run_id]
        if minute is None:
            raise RunError(f"{run_id} is damaged")
        return RunRecord(
            run_id=run_id,
            name="test",
            plan_hash="abc",
            target="dev",
            provider="duckdb",
            cdm_version="5.4",
            started_at=START + timedelta(minutes=minute),
            steps=[StepRecord(name="größe", kind="sql", fingerprint="f")],
        )

    def plan_of(self, run_id: str) -> CompiledWorkflowPlan | None:
        return None

    def log_of(self, run_id: str) -> list[LogEntry]:
        return [LogEntry(at=START, event=f"end of {run_id}")]


def _history(*stores: Mapping[str, int | None]) -> RunHistory:
    return RunHistory(Path("state"), [_Store(runs) for runs in stores])


def test_runs_of_one_store_have_its_order() -> None:
    """A clock that was set back does not make an old run the newest."""
    history = _history({"first": 9, "second": 1, "third": 2})
    assert [run.run_id for run in history.list_runs()] == ["third", "second", "first"]
    assert history.read_run().run_id == "third"
    assert [run.run_id for run in history.list_runs(2)] == ["third", "second"]


def test_runs_of_several_stores_are_merged_by_their_start() -> None:
    """Between stores there is only the clock; the limit is that of all."""
    history = _history({"a": 1, "c": 3}, {"b": 2, "d": 4}, {})
    assert [run.run_id for run in history.list_runs()] == ["d", "c", "b", "a"]
    assert [run.run_id for run in history.list_runs(3)] == ["d", "c", "b"]


def test_a_record_that_cannot_be_read_is_left_out_with_a_warning() -> None:
    """One damaged record hides no other, and does not count; asked for by its id, it is an error."""
    history = _history({"good": 1, "bad": None})
    with pytest.warns(RuntimeWarning, match="bad is damaged"):
        assert [run.run_id for run in history.list_runs(1)] == ["good"]
    with pytest.raises(RunError, match="bad is damaged"):
        history.read_run("bad")


def test_beginning_of_an_id_is_enough() -> None:
    """A prefix that one run has finds it, in whichever store; a whole id wins over a longer one."""
    history = _history({"20261123T101502-aa": 1, "20261124T090000-bb": 2}, {"20261124T090000-bb2": 3})
    assert history.read_run("20261123").run_id == "20261123T101502-aa"
    assert history.read_run("20261124T090000-bb").run_id == "20261124T090000-bb"
    assert history.log_of("20261124T090000-bb2")[0] == "20261124T090000-bb2"
    with pytest.raises(UnknownRunError, match=r"beginning of several runs: 20261124T090000-bb, 2026"):
        history.read_run("20261124")


@pytest.mark.parametrize("run_id", ["", "20261123T101502-ab", "../secret"])
def test_unknown_run_is_named_with_close_matches(run_id: str) -> None:
    """The error says what was asked for, and which runs look like it."""
    with pytest.raises(UnknownRunError, match=f"there is no run '{run_id}'") as caught:
        _history({"20261123T101502-aa": 1}).read_run(run_id)
    assert ("did you mean 20261123T101502-aa?" in str(caught.value)) == run_id.startswith("2026")


def test_without_runs_there_is_no_newest() -> None:
    """It is said, whichever is asked for; a plan that was not kept is said, too."""
    for read in (_history({}).read_run, _history().plan_of, _history().log_of):
        with pytest.raises(UnknownRunError, match="there are no runs yet"):
            read()
    with pytest.raises(RunError, match="the plan of run a was not kept"):
        _history({"a": 1}).plan_of()
    assert _history({"a": 1}).log_of() == ("a", [LogEntry(at=START, event="end of a")])


@pytest.mark.parametrize("text", ["plugins: [", "plugins: 1", "plugins: [no_such_plugin]", "", "- plugins"])
def test_runs_can_be_looked_for_whatever_the_project_file_holds(tmp_path: Path, text: str) -> None:
    """Plugins that cannot be loaded are left out; the others are there."""
    (tmp_path / "project.yaml").write_text(text)
    assert plugins_of_runs(tmp_path / "project.yaml").secrets_providers()
    assert plugins_of_runs(tmp_path / "none.yaml").secrets_providers()
