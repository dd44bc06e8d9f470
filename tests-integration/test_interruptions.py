"""Runs that are told to stop, take too long, or find the database taken: real processes on real databases."""

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from small_project import PERSON, Etl, patients

from omopcloudetl.core import hookspecs
from omopcloudetl.core.projects import list_runs
from omopcloudetl.core.runs import RunRecord, StepRecord
from omopcloudetl.core.session import Session
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.engine import DuckDBConnection

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")

ENDLESS = """
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000000)
SELECT max(n) AS n FROM numbers
"""
SLOW_STEP = "  - {name: slow, kind: sql, file: slow.sql, creates: work.slow, depends_on: [mappings]}\n"
STUBBORN = """
import time
from omopcloudetl.core.hookspecs import hookimpl

@hookimpl
def omopcloudetl_step_started(step):
    if step.name == "slow":
        print("stubborn", flush=True)
        time.sleep(60)
"""
HOLD_THE_LOCK = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""
SIGTERM_IS_CAUGHT = 1 << (signal.SIGTERM - 1)


@dataclass
class Ended:
    """How a process ended after a signal."""

    code: int
    seconds: float
    lines: list[str]

    @property
    def last(self) -> str:
        """What it said last on stderr."""
        return self.lines[-1]


@dataclass
class Running:
    """The command, while it runs."""

    process: subprocess.Popen[str]

    def wait_for(self, *words: str, stream: str = "stderr") -> None:
        """Read until a line has all of these words."""
        for line in getattr(self.process, stream):
            if all(word in line for word in words):
                return
        raise AssertionError(f"it never said {words}")

    def end(self, number: signal.Signals) -> Ended:
        """Send a signal and see how the process ends."""
        start = time.monotonic()
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=30)
        seconds = time.monotonic() - start
        assert "Traceback" not in errors
        return Ended(self.process.returncode, seconds, errors.splitlines())


@contextmanager
def running(root: Path, *arguments: str, **environment: str) -> Iterator[Running]:
    """`omopcloudetl run -vv` on a project."""
    command = [sys.executable, "-m", "omopcloudetl.cli", "run", "-vv", "--project", str(root), *arguments]
    # A shell that starts the tests in the background lets its children ignore Ctrl-C.
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeding,
        env=os.environ | environment,
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


@contextmanager
def database_taken(root: Path) -> Iterator[Callable[[], None]]:
    """Another process has the database's file until it is let go."""
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(root / "omop.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield partial(holder.communicate, "")


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A project whose last step does not end."""
    Etl(tmp_path).write([PERSON], {"patients": patients("a", "b")}, steps=SLOW_STEP)
    (tmp_path / "slow.sql").write_text(ENDLESS, "utf-8")
    return tmp_path


def newest(root: Path) -> RunRecord:
    """The record of the newest run."""
    return list_runs(root)[0]


def states(run: RunRecord) -> dict[str, str]:
    """Step → state."""
    return {step.name: step.state for step in run.steps}


def add(root: Path, text: str) -> None:
    """Say more in the workflow."""
    workflow = root / "workflow.yaml"
    workflow.write_text(workflow.read_text("utf-8") + text, "utf-8")


# -- interruptions


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_in_order(slow: Path, number: signal.Signals, code: int) -> None:
    """The statement is interrupted and rolled back, the record kept; one line tells the command that goes on."""
    with running(slow) as run:
        run.wait_for("step_started", "step=slow")
        time.sleep(0.3)  # until it runs
        ended = run.end(number)
    assert (ended.code, ended.seconds < 2) == (code, True)
    assert ended.last.startswith("interrupted: ")
    assert ended.last.endswith(f"steps were done; to go on: omopcloudetl run --project {slow} --resume")
    assert (newest(slow).state, states(newest(slow))["slow"]) == ("interrupted", "failed")
    (slow / "slow.sql").write_text("SELECT 1 AS n", "utf-8")
    session = Session.open(slow)
    resumed = session.run(session.compile(), resume=True)
    assert (resumed.state, states(resumed)["write_person"], states(resumed)["slow"]) == ("done", "skipped", "done")


def test_a_signal_interrupts_a_bulk_load(tmp_path: Path) -> None:
    """A load of many rows is rolled back."""
    etl = Etl(tmp_path).write([], {"patients": patients("a")})
    rows = gzip.compress("".join(f"{number}\n" for number in range(100_000)).encode())
    (tmp_path / "data" / "patients.csv.gz").write_bytes(gzip.compress(b"id\n") + rows * 500)
    workflow = (etl.root / "workflow.yaml").read_text("utf-8")
    workflow = workflow.replace("file: patients.csv", "file: patients.csv.gz")
    (etl.root / "workflow.yaml").write_text("\n".join(workflow.splitlines()[:-1]) + "\n", "utf-8")
    with running(tmp_path) as run:
        run.wait_for("step_started", "step=source_patients")
        time.sleep(0.5)
        ended = run.end(signal.SIGTERM)
    assert (ended.code, ended.seconds < 2) == (143, True)
    assert states(newest(tmp_path))["source_patients"] == "failed"


def test_a_signal_ends_a_compilation(tmp_path: Path) -> None:
    """Before there is a run, nothing is left behind."""
    Etl(tmp_path).write([PERSON], {"patients": patients("a")})
    for number in range(1500):
        (tmp_path / "mappings" / f"p{number}.yaml").write_text(PERSON.replace("name: person", f"name: p{number}"))
    with running(tmp_path) as run:
        status = Path(f"/proc/{run.process.pid}/status")
        while not _caught(status) & SIGTERM_IS_CAUGHT:
            time.sleep(0.01)
        time.sleep(0.5)
        ended = run.end(signal.SIGTERM)
    assert (ended.code, ended.seconds < 2) == (143, True)
    assert ended.lines == ["interrupted before the run began: nothing was changed"]
    assert not (tmp_path / "omop.duckdb").exists()


def _caught(status: Path) -> int:
    """The signals that a process has handlers for."""
    lines = status.read_text().splitlines()
    return int(next(line for line in lines if line.startswith("SigCgt")).split()[1], 16)


def test_a_signal_ends_the_wait_for_a_database(slow: Path) -> None:
    """Another process has the database: a run that waits for it can be stopped, and there is no record of it."""
    add(slow, "retry: {attempts: 5, first_wait: 30, max_wait: 60}\n")
    with database_taken(slow), running(slow) as run:
        run.wait_for("connection_tried_again", "has it open")
        ended = run.end(signal.SIGTERM)
    assert (ended.code, ended.seconds < 2) == (143, True)
    assert ended.last == "interrupted before the run began: nothing was changed"
    assert list_runs(slow) == []


@pytest.fixture
def stubborn(slow: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What lets a run not end in order: a plugin that sleeps when it is told that a step starts."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "stubborn.py").write_text(STUBBORN, "utf-8")
    (slow / "slow.sql").write_text("SELECT 1 AS n", "utf-8")
    return {"PYTHONPATH": str(folder), "OMOPCLOUDETL_PLUGINS": "stubborn"}


def test_what_does_not_end_in_order_is_ended(slow: Path, stubborn: dict[str, str]) -> None:
    """After less than two seconds the process ends nevertheless, and the record says that it was interrupted."""
    with running(slow, **stubborn) as run:
        run.wait_for("stubborn", stream="stdout")
        ended = run.end(signal.SIGTERM)
    assert (ended.code, 1 < ended.seconds < 2.2) == (143, True)
    assert ended.last.startswith("interrupted: ")
    assert newest(slow).state == "interrupted"


def test_a_second_signal_ends_a_run_at_once(slow: Path, stubborn: dict[str, str]) -> None:
    """Who presses Ctrl-C twice waits no longer."""
    with running(slow, **stubborn) as run:
        run.wait_for("stubborn", stream="stdout")
        run.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        ended = run.end(signal.SIGINT)
    assert (ended.code, ended.seconds < 0.8) == (130, True)
    assert newest(slow).state == "interrupted"


# -- limits of time, tries


def test_a_step_is_stopped_when_its_time_is_over(slow: Path) -> None:
    """The error says what the limit is and where; what the step had done is not there."""
    (slow / "workflow.yaml").write_text(
        (slow / "workflow.yaml").read_text("utf-8").replace("file: slow.sql", "timeout: 0.5, file: slow.sql"), "utf-8"
    )
    session = Session.open(slow)
    start = time.monotonic()
    record = session.run(session.compile())
    line = (slow / "workflow.yaml").read_text("utf-8").count("\n")
    assert time.monotonic() - start < 10
    assert [step.name for step in record.failed] == ["slow"]
    assert f"stopped after 0.5 s, the `timeout` of workflow.yaml:{line}" in (record.failed[0].error or "")
    with session.connection() as connection:
        assert not connection.table_exists(["work", "slow"])


def test_a_run_waits_for_a_database_that_is_taken(tmp_path: Path) -> None:
    """With `retry`, a run begins when another process has let go of the database, and says that it waits."""
    Etl(tmp_path).write([PERSON], {"patients": patients("a")}, steps="retry: {attempts: 50, first_wait: 0.1}\n")
    with database_taken(tmp_path) as let_go, running(tmp_path) as run:
        run.wait_for("connection_tried_again", "has it open")
        let_go()
        run.process.communicate(timeout=60)
    assert (run.process.returncode, newest(tmp_path).state) == (0, "done")


def test_a_conflict_with_another_session_is_tried_again(tmp_path: Path) -> None:
    """A transaction that cannot write beside another one is repeated when that is over; both tries are recorded."""
    etl = Etl(tmp_path).write([PERSON], {"patients": patients("a", "b")}, steps="retry: {first_wait: 0.01}\n")
    etl.run()
    other = DuckDBConnection(DuckDBConfig(path="omop.duckdb", threads=1), tmp_path)

    class Listener:
        @hookspecs.hookimpl
        def omopcloudetl_step_retried(self, record: StepRecord) -> None:
            other.execute("ROLLBACK")

    session = Session.open(tmp_path)
    with other:
        other.execute("BEGIN")
        other.execute("ALTER TABLE work.stage_person ADD COLUMN remark TEXT")
        record = session.run(session.compile(), listeners=[Listener()])
    stage = next(step for step in record.steps if step.name == "stage_person")
    assert (record.state, [bool(attempt.error) for attempt in stage.attempts]) == ("done", [True, False])
    assert "conflict" in (stage.attempts[0].error or "")
