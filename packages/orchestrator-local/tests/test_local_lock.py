"""Promises of the lock of a target, with real processes that hold it and are killed."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from omopcloudetl.core import hookspecs
from omopcloudetl.core.errors import DatabaseConnectionError, RunError
from omopcloudetl.core.plan import SqlStep
from omopcloudetl.orchestrator_local.lock import Holder, TargetInUseError, hold, is_held, lock_file, read_holder
from omopcloudetl.orchestrator_local.store import LocalRunStore

Make = Callable[..., SqlStep]
# The helpers live in conftest.py, which can't be imported.
Lab = Any
START = datetime(2026, 11, 23, 10, 15, 2, tzinfo=UTC)
ME = Holder.of("r1", START)

# Runs a plan of one step that never ends, in a process of its own.
ENDLESS = """
import sys, pathlib
sys.path.insert(0, sys.argv[2])
import conftest
from omopcloudetl.core import hookspecs
from omopcloudetl.core.plan import Origin, SqlStep, Statement
lab = conftest.Lab(pathlib.Path(sys.argv[1]))
lab.manager.add_hookspecs(hookspecs)
def tell():
    print("running", flush=True)
    return 1
lab.functions["tell"] = tell
endless = "CREATE TABLE t AS WITH RECURSIVE r(i) AS (SELECT tell() UNION ALL SELECT i + 1 FROM r) SELECT i FROM r"
def step(name, text, *after):
    statements = (Statement(sql=text, purpose="test"),)
    origin = Origin(file="w", line=1)
    return SqlStep(name=name, summary=name, origin=origin, depends_on=after, fingerprint=name, statements=statements)
first = step("first", "CREATE TABLE first (i)")
lab.run([first, step("endless", endless, "first"), step("behind", "SELECT 1", "endless")])
"""


@contextmanager
def _other_run(lab: Lab) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs the target `dev` of this lab; it is killed at the end."""
    command = [sys.executable, "-c", ENDLESS, str(lab.base), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "running\n"
            yield process
        finally:
            process.kill()


def test_a_second_run_of_a_target_is_refused(lab: Lab, step: Make) -> None:
    """The error names run, user, host, process and start, and says what to do; another target may run."""
    lab.query("CREATE TABLE maintained (i)")  # so that no run waits to make it while the endless one writes
    with _other_run(lab) as process:
        with pytest.raises(TargetInUseError) as caught:
            lab.run([step("a", "SELECT 1")])
        (other,) = lab.runs()
        assert other.state == "running"
        assert lab.run([step("a", "SELECT 1", transaction="none")], target="prod", workflow=None).state == "done"
    since = f"{other.started_at:%Y-%m-%d %H:%M:%S} UTC"
    words = f"run {other.run_id} of {ME.user} on {socket.gethostname()}, process {process.pid}, since {since}"
    assert f"the target dev is in use by {words}: wait until it has ended, or stop it" in str(caught.value)
    assert f"`kill {process.pid}`" in str(caught.value)


def test_a_run_that_was_killed_is_found_dead(lab: Lab, step: Make) -> None:
    """It is `died` for who reads, and in the store as soon as the next run of the target begins, which says so."""
    with _other_run(lab) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (dead,) = lab.runs()
    assert (dead.state, dead.error) == ("died", "its process ended without a word")
    run = lab.run([step("a", "SELECT 1")])
    assert run.state == "done"
    with LocalRunStore(lab.state) as store:
        assert store.run_ids() == [run.run_id, dead.run_id]
        assert store.read_run(dead.run_id).state == "died"
        told = [(entry.event, entry.level, entry.details) for entry in store.log_of(run.run_id)]
    assert ("earlier_run_died", "warning", {"run": dead.run_id}) in told
    assert "running" not in [record.state for record in dead.steps]
    assert dead.steps[2].state == "pending"


def test_a_dead_holder_is_told_to_who_comes_next(tmp_path: Path) -> None:
    """Its file is there, the lock of the operating system is not."""
    path = lock_file(tmp_path, "dev")
    code = (
        "import os, pathlib, sys\n"
        "from omopcloudetl.orchestrator_local.lock import Holder, hold\n"
        "from datetime import UTC, datetime\n"
        "with hold(pathlib.Path(sys.argv[1]), 'dev', Holder.of('dead', datetime.now(UTC))):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    process = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert not is_held(path)
    with hold(path, "dev", ME) as dead:
        assert dead is not None
        assert dead.run_id == "dead"
    with hold(path, "dev", ME) as dead:
        assert dead is None


def test_the_files_of_the_lock_are_for_their_owner_only(tmp_path: Path) -> None:
    """While it is held, the holder's file says who has it; it is gone afterwards."""
    path = lock_file(tmp_path / "state", "dev")
    assert not is_held(path)
    with hold(path, "dev", ME):
        assert is_held(path)
        assert read_holder(path) == ME
        if os.name == "posix":
            assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not is_held(path)
    assert (read_holder(path), [file.name for file in path.parent.iterdir()]) == (None, ["dev.lock"])


def test_threads_of_one_process_are_refused_too(tmp_path: Path) -> None:
    """A program that starts a target twice is told so, in the same thread and in another."""
    path = lock_file(tmp_path, "dev")
    refused: list[str] = []

    def attempt() -> None:
        try:
            with hold(path, "dev", ME):
                pass
        except TargetInUseError as error:
            refused.append(str(error))

    with hold(path, "dev", ME):
        attempt()
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert [f"process {os.getpid()}" in text for text in refused] == [True, True]
    attempt()
    assert len(refused) == 2


@pytest.mark.parametrize("content", [None, "", "{}"], ids=["none", "empty", "other"])
def test_a_holder_that_says_nothing_is_live_all_the_same(tmp_path: Path, content: str | None) -> None:
    """The lock decides, the file only tells."""
    path = lock_file(tmp_path, "dev")
    with hold(path, "dev", ME):
        path.with_suffix(".json").unlink()
        if content is not None:
            path.with_suffix(".json").write_text(content)
        with (
            pytest.raises(TargetInUseError, match="in use by another run, which has not yet said"),
            hold(path, "dev", ME),
        ):
            pass


def test_a_target_may_have_any_name(tmp_path: Path) -> None:
    """No name leads out of the folder."""
    for name in ("../../etc", "a/b", "größe"):
        assert lock_file(tmp_path, name).parent == tmp_path / "locks"


class _Broken:
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    @hookspecs.hookimpl
    def omopcloudetl_run_started(self) -> None:
        raise self.error


def test_the_lock_is_released_after_every_kind_of_end(lab: Lab, step: Make) -> None:
    """No database, no store, Ctrl-C at the start, a mistake of ours, a step that fails: the next run can begin."""
    path = lock_file(lab.state, "dev")
    (lab.base / "test.db").mkdir()
    with pytest.raises(DatabaseConnectionError):
        lab.run([step("a", "SELECT 1")])
    (lab.base / "test.db").rmdir()
    (lab.state / "runs.sqlite3").write_text("no store" * 99)
    with pytest.raises(RunError, match="is damaged"):
        lab.run([step("a", "SELECT 1")])
    (lab.state / "runs.sqlite3").unlink()
    name = lab.manager.register(_Broken(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        lab.run([step("a", "SELECT 1")])
    lab.manager.unregister(name=name)
    with pytest.raises(TypeError):
        lab.run([step("bad", "SELECT 1").model_copy(update={"statements": None})])
    assert lab.run([step("a", "SELECT nothing")]).state == "failed"
    assert not is_held(path)
    assert lab.run([step("a", "SELECT 1")]).state == "done"
    assert [re.sub("interrupted", "failed", run.state) for run in lab.runs()] == ["done", "failed", "failed", "failed"]


def test_a_dry_run_takes_no_lock(lab: Lab, step: Make) -> None:
    """It can be made beside a run."""
    with hold(lock_file(lab.state, "dev"), "dev", ME):
        assert lab.run([step("a", "SELECT 1")], dry_run=True).state == "dry_run"
