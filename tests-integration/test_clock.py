"""Promises of a clock that is set back between two runs, or that jumps while one goes on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from runs_apart import HERE, Content, Project, ended

from omopcloudetl.core.projects import list_runs
from omopcloudetl.core.runs import RunRecord

DAY = 24 * 3600


@pytest.fixture
def clock(project: Project, tmp_path: Path) -> Path:
    """The file that says by how many seconds the clock of the project's commands is wrong."""
    file = tmp_path / "clock"
    file.write_text("0", encoding="utf-8")
    project.variables = {"SHIFTED_CLOCK": str(file), "PYTHONPATH": str(HERE)}
    return file


def _durations(record: RunRecord) -> list[float]:
    steps = [step.seconds for step in record.steps]
    attempts = [attempt.seconds for step in record.steps for attempt in step.attempts]
    return [seconds for seconds in (record.seconds, *steps, *attempts) if seconds is not None]


def test_runs_are_in_order_though_the_clock_was_set_back(project: Project, undisturbed: Content, clock: Path) -> None:
    """The order of runs is that in which they began, and `--resume` goes on from the last one."""
    with project.paused("stage_events") as process:
        process.kill()
    ended(process)
    clock.write_text(f"{-400 * DAY}", encoding="utf-8")
    project.run("--resume").expect(0)
    project.variables = {}

    newest, before = list_runs(project.root)
    assert newest.started_at < before.started_at
    assert (newest.state, before.state) == ("done", "died")
    assert any(step.outcome == "unchanged" for step in newest.steps)
    project.expect(undisturbed)
    project.resume(undisturbed)


@pytest.mark.parametrize("jump", [-2, 2], ids=str)
def test_a_clock_that_jumps_in_a_run_disturbs_nothing(
    project: Project, undisturbed: Content, clock: Path, jump: int
) -> None:
    """No duration is negative or days long, and the run's report and timeline can be made."""
    with project.paused("source_events") as process:
        clock.write_text(f"{jump * DAY}", encoding="utf-8")
    ended(process).expect(0)
    project.variables = {}

    record = list_runs(project.root)[0]
    assert abs(record.steps[-1].finished_at - record.started_at) > timedelta(days=1), "the clock did not jump"
    assert all(0 <= seconds < 120 for seconds in _durations(record))
    project.expect(undisturbed)
    shown = project.send("runs", "show").expect(0).said
    assert "-" not in _seconds_of(shown)
    project.send("report", "-o", "run.html").expect(0)


def test_who_holds_the_lock_is_alive_whatever_the_clock_says(project: Project, clock: Path) -> None:
    """A run that began in a future that is no more still has its target for itself."""
    clock.write_text(f"{400 * DAY}", encoding="utf-8")
    with project.paused("source_events") as first:
        clock.write_text("0", encoding="utf-8")
        project.run().expect(
            1, "in use by run", rf"process {first.pid}", rf"since {datetime.now(UTC) + timedelta(400):%Y-%m}"
        )
    ended(first).expect(0)


def _seconds_of(shown: str) -> str:
    return " ".join(line.split()[-1] for line in shown.splitlines() if " done " in line and line.split())
