"""Promises of the journal: what a run writes while it goes on, and what becomes of it when the store fails."""

import sqlite3
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from omopcloudetl.core import hookspecs
from omopcloudetl.core.errors import RunError
from omopcloudetl.core.plan import CompiledWorkflowPlan, SqlStep
from omopcloudetl.core.runs import RunRecord, StepRecord
from omopcloudetl.orchestrator_local import journal, store_file
from omopcloudetl.orchestrator_local.journal import RunJournal
from omopcloudetl.orchestrator_local.store import LocalRunStore

Make = Callable[..., SqlStep]
# The helpers live in conftest.py, which can't be imported.
Lab = Any
PLAN = CompiledWorkflowPlan(
    name="test", cdm_version="5.4", provider="p", dialect="sqlite", schemas={}, steps=()
).sealed()


def _run(steps: int, run_id: str = "r1") -> RunRecord:
    return RunRecord(
        run_id=run_id,
        name="test",
        plan_hash=PLAN.content_hash,
        target="dev",
        provider="p",
        cdm_version="5.4",
        started_at=datetime(2026, 11, 23, 10, 15, 2, tzinfo=UTC),
        steps=[
            StepRecord(name=f"s{i}", kind="sql", fingerprint="f" * 64, origin="workflow.yaml:1") for i in range(steps)
        ],
    )


def _kept(state: Path) -> RunRecord:
    with LocalRunStore(state) as store:
        return store.list_runs(1)[0]


def _pass(writing: RunJournal, run: RunRecord) -> None:
    """Every step starts and ends."""
    for step in run.steps:
        step.state = "running"
        writing.step_started(step)
        step.state, step.seconds, step.rows_affected = "done", 0.001, 7
        writing.step_finished(step)
        writing.commit_if_due()


def test_ten_thousand_steps_are_cheap_and_memory_is_flat(tmp_path: Path) -> None:
    """A step costs far less than a millisecond of processor time, and what was committed is not kept."""
    run = _run(10_000)
    writing = RunJournal(tmp_path, run, PLAN)
    writing.open()
    start = time.process_time()
    _pass(writing, run)
    each = (time.process_time() - start) / len(run.steps)
    writing._commit()
    tracemalloc.start()
    for _ in range(3):
        _pass(writing, run)
        writing._commit()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    writing.close()
    assert each < 0.0005
    assert kept < 200_000
    assert [step.state for step in _kept(tmp_path).steps] == ["done"] * 10_000


def test_a_change_of_a_step_writes_its_row_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit has as many rows of steps as have changed, whatever the plan's size."""
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_COMMITS", 0)
    run = _run(1000)
    writing = RunJournal(tmp_path, run, PLAN)
    writing.open()
    before = writing._file.total_changes
    run.steps[500].state = "running"
    writing.step_started(run.steps[500])
    writing.commit_if_due()
    assert writing._file.total_changes - before == 2  # the step, and its line in the log
    writing.close()


def test_nothing_is_committed_before_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short steps share a commit; a long one is seen after a second."""
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_COMMITS", 0.3)
    run = _run(1)
    writing = RunJournal(tmp_path, run, PLAN)
    writing.open()
    run.steps[0].state = "running"
    writing.step_started(run.steps[0])
    writing.commit_if_due()
    with LocalRunStore(tmp_path) as store:
        assert store.log_of("r1") == []
        time.sleep(0.3)
        writing.commit_if_due()
        assert [entry.event for entry in store.log_of("r1")] == ["step_started"]
    writing.close()


def test_threads_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of several threads are all there, in one order, while another thread commits."""
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_COMMITS", 0)
    writing = RunJournal(tmp_path, _run(1), PLAN)
    writing.open()
    threads = [threading.Thread(target=lambda: [writing.log("line") for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        writing.commit_if_due()
    writing.close()
    with LocalRunStore(tmp_path) as store:
        assert len(store.log_of("r1")) == 2000


@contextmanager
def _busy(state: Path) -> Iterator[None]:
    """Another program keeps the store for itself."""
    with closing(sqlite3.connect(state / store_file.FILE, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


def test_a_store_that_fails_for_a_while_fails_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a warning, told once; when the store can be written again, nothing is missing."""
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_COMMITS", 0)
    monkeypatch.setattr(store_file, "BUSY_SECONDS", 0.01)
    run = _run(3)
    writing = RunJournal(tmp_path, run, PLAN)
    writing.open()
    with _busy(tmp_path):
        _pass(writing, run)
    run.state = "done"
    writing.close()
    assert [record.message.count("record_not_kept") for record in caplog.records] == [1]
    assert _kept(tmp_path) == run
    with LocalRunStore(tmp_path) as store:
        assert [entry.event for entry in store.log_of("r1")] == ["step_started", "step_finished"] * 3


def test_the_end_of_a_run_must_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that cannot be written then is an error that says why."""
    monkeypatch.setattr(store_file, "BUSY_SECONDS", 0.01)
    writing = RunJournal(tmp_path, _run(1), PLAN)
    writing.open()
    with _busy(tmp_path), pytest.raises(RunError, match="cannot be kept: database is locked"):
        writing.close()


def test_a_store_that_is_removed_is_made_again(tmp_path: Path) -> None:
    """The run, its steps, its plan and what follows in its log are in the new file."""
    run = _run(3)
    writing = RunJournal(tmp_path / "state", run, PLAN)
    writing.open()
    for path in (tmp_path / "state").iterdir():
        path.unlink()
    (tmp_path / "state").rmdir()
    _pass(writing, run)
    run.state = "done"
    writing.close()
    assert _kept(tmp_path / "state") == run
    with LocalRunStore(tmp_path / "state") as store:
        assert store.plan_of("r1") == PLAN
        assert len(store.log_of("r1")) == 6


def test_a_new_store_that_is_busy_keeps_its_own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a run cannot be written into the new file at once, it writes over no run that began there."""
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_COMMITS", 0)
    monkeypatch.setattr(store_file, "BUSY_SECONDS", 0.01)
    run, other = _run(3, "a"), _run(3, "b").model_copy(update={"target": "prod"})
    writing, writing_other = RunJournal(tmp_path, run, PLAN), RunJournal(tmp_path, other, PLAN)
    writing.open()
    for path in tmp_path.iterdir():
        path.unlink()
    writing_other.open()
    with closing(sqlite3.connect(tmp_path / store_file.FILE)) as busy:
        busy.execute("BEGIN IMMEDIATE")
        _pass(writing, run)
    run.state = other.state = "done"
    writing.close()
    writing_other.close()
    with LocalRunStore(tmp_path) as store:
        assert (store.read_run("a"), store.read_run("b")) == (run, other)


def test_runs_of_several_targets_write_into_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two commits of one the other can commit."""
    monkeypatch.setattr(journal, "SECONDS_BETWEEN_COMMITS", 0)
    monkeypatch.setattr(store_file, "BUSY_SECONDS", 0.01)
    runs = [_run(20, "a"), _run(20, "b").model_copy(update={"target": "prod"})]
    writings = [RunJournal(tmp_path, run, PLAN) for run in runs]
    assert [writing.open() for writing in writings] == [[], []]
    for step_a, step_b in zip(runs[0].steps, runs[1].steps, strict=True):
        for writing, step in zip(writings, (step_a, step_b), strict=True):
            step.state = "done"
            writing.step_finished(step)
            writing.commit_if_due()
    for writing, run in zip(writings, runs, strict=True):
        run.state = "done"
        writing.close()
    with LocalRunStore(tmp_path) as store:
        assert store.list_runs() == runs[::-1]


def test_the_log_of_a_run_tells_its_steps(lab: Lab, step: Make) -> None:
    """Start and end of the run and of each step, with what became of it, and what deserved a look."""
    run = lab.run(
        [step("good", "SELECT 1"), step("bad", "SELECT nothing"), step("behind", after=["bad"])], ledger="bad"
    )
    with LocalRunStore(lab.state) as store:
        entries = store.log_of(run.run_id)
    told = [(entry.event, entry.step, entry.level, entry.details.get("state")) for entry in entries]
    assert told[0] == ("run_started", None, "info", None)
    assert told[-1] == ("run_finished", None, "info", "failed")
    assert ("step_finished", "good", "info", "done") in told
    assert ("step_finished", "bad", "error", "failed") in told
    assert ("step_finished", "behind", "info", "skipped") in told
    assert ("ledger_not_read", None, "warning", None) in told
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)


def test_the_end_of_a_run_is_told_though_it_cannot_be_kept(
    lab: Lab, step: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who heard that a run began hears that it is over, when its record cannot be written any more."""
    monkeypatch.setattr(store_file, "BUSY_SECONDS", 0.01)
    heard: list[str] = []

    class Listener:
        @hookspecs.hookimpl
        def omopcloudetl_step_finished(self) -> None:
            busy.enter_context(_busy(lab.state))

        @hookspecs.hookimpl
        def omopcloudetl_run_finished(self, run: RunRecord) -> None:
            heard.append(run.state)

    lab.manager.register(Listener())
    with ExitStack() as busy, pytest.raises(RunError, match="cannot be kept"):
        lab.run([step("a", "SELECT 1")])
    assert heard == ["done"]
