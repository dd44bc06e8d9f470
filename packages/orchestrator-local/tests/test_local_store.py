"""Promises of the run store: its file, what it refuses, what it takes over, what it gives back."""

import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from omopcloudetl.core.errors import RunError
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.runs import RunRecord, StepRecord
from omopcloudetl.orchestrator_local.journal import RunJournal
from omopcloudetl.orchestrator_local.migrations import APPLICATION_ID, MIGRATIONS, VERSION
from omopcloudetl.orchestrator_local.store import LocalRunStore
from omopcloudetl.orchestrator_local.store_file import FILE, open_for_reading, open_for_writing

START = datetime(2026, 11, 23, 10, 15, 2, tzinfo=UTC)
PLAN = CompiledWorkflowPlan(
    name="test", cdm_version="5.4", provider="p", dialect="sqlite", schemas={"cdm": "größe"}, steps=()
).sealed()
OpenFile = Callable[[Path], sqlite3.Connection | None]


def _record(run_id: str, minutes: int = 0, **values: object) -> RunRecord:
    base = {
        "run_id": run_id,
        "name": "test",
        "plan_hash": PLAN.content_hash,
        "target": "dev",
        "provider": "p",
        "cdm_version": "5.4",
        "state": "done",
        "started_at": START + timedelta(minutes=minutes),
        "steps": [StepRecord(name=f"größe{i}", kind="sql", fingerprint="f") for i in range(3)],
    }
    return RunRecord.model_validate({**base, **values})


def _keep(state: Path, run: RunRecord) -> None:
    journal = RunJournal(state, run, PLAN)
    journal.open()
    journal.close()


def _kept(state: Path) -> list[RunRecord]:
    with LocalRunStore(state) as store:
        return store.list_runs()


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")
def test_the_file_and_those_beside_it_are_for_their_owner_only(tmp_path: Path) -> None:
    """Whatever the umask says, nobody else may look into the store, its WAL or its folders."""
    state = tmp_path / ".omopcloudetl" / "vocabulary"
    with _umask(0), closing(open_for_writing(state)):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()}
        assert modes == dict.fromkeys([FILE, f"{FILE}-wal", f"{FILE}-shm"], 0o600)
        assert {stat.S_IMODE(folder.stat().st_mode) for folder in (state, state.parent)} == {0o700}


def test_reading_makes_nothing(tmp_path: Path) -> None:
    """A folder without runs, or that is not there, is an empty store and stays what it was."""
    for state in (tmp_path, tmp_path / "nowhere"):
        with LocalRunStore(state) as store:
            assert (store.run_ids(), store.list_runs()) == ([], [])
            with pytest.raises(RunError, match="there is no run 'x'"):
                store.read_run("x")
    assert list(tmp_path.iterdir()) == []


def test_what_was_kept_is_read(tmp_path: Path) -> None:
    """Record, plan and log come back as they were; a run without a plan of its own has none."""
    run = _record("r1", ledger=[{"mapping": "m", "entry": "source", "row_count": 3}], table_rows={"cdm.person": 2})
    journal = RunJournal(tmp_path, run, PLAN)
    journal.open()
    journal.log("a", "warning", step="größe0", text="naïve", count=1, share=0.5, known=True, nothing=None)
    journal.log("b")
    journal.close()
    with LocalRunStore(tmp_path) as store:
        assert store.read_run("r1") == run
        assert store.plan_of("r1") == PLAN
        first, second = store.log_of("r1")
    assert (first.event, first.level, first.step, second.event, second.level) == ("a", "warning", "größe0", "b", "info")
    assert first.details == {"text": "naïve", "count": 1, "share": 0.5, "known": True, "nothing": None}


def test_a_plan_is_kept_once_and_small(tmp_path: Path) -> None:
    """However often a plan runs, there is one copy of it, compressed."""
    plan = PLAN.model_copy(update={"counted_tables": {f"cdm.t{i}": "SELECT count(*)" for i in range(999)}}).sealed()
    for run_id in ("a", "b"):
        journal = RunJournal(tmp_path, _record(run_id, plan_hash=plan.content_hash), plan)
        journal.open()
        journal.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        ((size,),) = file.execute("SELECT length(content) FROM plan")
    assert size < len(plan.to_json()) / 5
    with LocalRunStore(tmp_path) as store:
        assert store.plan_of("a") == store.plan_of("b") == plan


def test_runs_are_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    """A clock that was set back does not make an old run the newest."""
    for run_id, minutes in (("a", 9), ("b", 1), ("c", 5)):
        _keep(tmp_path, _record(run_id, minutes))
    assert [run.run_id for run in _kept(tmp_path)] == ["c", "b", "a"]


def test_old_records_are_taken_over_once(tmp_path: Path) -> None:
    """JSON files of before become runs, the oldest first; they stay, and one that is none is warned about."""
    folder = tmp_path / "runs"
    folder.mkdir()
    for run_id, minutes in (("b", 1), ("a", 2)):
        (folder / f"{run_id}.json").write_text(_record(run_id, minutes, plan_hash="old").model_dump_json(), "utf-8")
    (folder / "bad.json").write_text("{}")
    with pytest.warns(RuntimeWarning, match=r"bad\.json is no run record: run_id: Field required"):
        runs = _kept(tmp_path)
    assert runs == [_record("a", 2, plan_hash="old"), _record("b", 1, plan_hash="old")]
    _keep(tmp_path, _record("c"))
    assert [run.run_id for run in _kept(tmp_path)] == ["c", "a", "b"]
    assert len(list(folder.iterdir())) == 3
    with LocalRunStore(tmp_path) as store:
        assert (store.plan_of("a"), store.log_of("a")) == (None, [])


@pytest.mark.parametrize("open_file", [open_for_reading, open_for_writing])
def test_a_newer_store_is_refused(tmp_path: Path, open_file: OpenFile) -> None:
    """What a later version wrote is neither read nor changed; the error says what to do."""
    _keep(tmp_path, _record("a"))
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        file.execute("PRAGMA user_version = 99")
    with pytest.raises(RunError, match=rf"of version 99, this program reads versions up to {VERSION}; update"):
        open_file(tmp_path)


@pytest.mark.parametrize("open_file", [open_for_reading, open_for_writing])
def test_a_database_of_another_program_is_refused(tmp_path: Path, open_file: OpenFile) -> None:
    """Its tables are not touched."""
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        file.execute("CREATE TABLE theirs (i)")
    with pytest.raises(RunError, match="is a database of another program; move it away"):
        open_file(tmp_path)


@pytest.mark.parametrize("offset", [0, 4096], ids=["header", "pages"])
def test_a_damaged_store_is_an_error_with_a_way_out(tmp_path: Path, offset: int) -> None:
    """The error names the files to move away; after that the next run begins a new store."""
    for number in range(20):
        _keep(tmp_path, _record(f"r{number}"))
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 20_000)
    for damaged in (_kept, lambda state: _keep(state, _record("new"))):
        with pytest.raises(RunError, match=rf"is damaged .*: move {FILE}, {FILE}-wal and {FILE}-shm away"):
            damaged(tmp_path)
    for path in tmp_path.glob(f"{FILE}*"):
        path.unlink()
    _keep(tmp_path, _record("new"))
    assert [run.run_id for run in _kept(tmp_path)] == ["new"]


def test_a_damaged_record_hides_no_other(tmp_path: Path) -> None:
    """It is left out of the list with a warning; asked for by its id, it is an error; so are its log and plan."""
    for run_id in ("a", "b"):
        _keep(tmp_path, _record(run_id))
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as file:
        file.execute("UPDATE step SET record = '{}' WHERE run = 2 AND place = 1")
        file.execute("UPDATE plan SET content = x'78'")
        file.execute("INSERT INTO event VALUES (2, 0, '[]')")
    with pytest.warns(RuntimeWarning, match="the record of run b is no run record of this version: name: Field"):
        assert [run.run_id for run in _kept(tmp_path)] == ["a"]
    with LocalRunStore(tmp_path) as store:
        for read, words in ((store.read_run, "record"), (store.log_of, "log"), (store.plan_of, "plan")):
            with pytest.raises(RunError, match=f"the {words} of run b"):
                read("b")


def test_a_migration_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of an older version gets the newest tables and keeps its runs; a step that fails changes nothing."""
    _keep(tmp_path, _record("a"))
    monkeypatch.setattr("omopcloudetl.orchestrator_local.migrations.VERSION", 2)
    for statements in (("CREATE TABLE more (i)", "nonsense"), ("CREATE TABLE more (i)",)):
        monkeypatch.setattr("omopcloudetl.orchestrator_local.migrations.MIGRATIONS", (*MIGRATIONS, statements))
        if "nonsense" in statements:
            with pytest.raises(RunError, match="nonsense"):
                _kept(tmp_path)
    assert [run.run_id for run in _kept(tmp_path)] == ["a"]
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (2,)
        assert file.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert file.execute("SELECT count(*) FROM more").fetchone() == (0,)


OPEN = """
import sys, pathlib
from omopcloudetl.orchestrator_local.store_file import open_for_writing
sys.stdin.readline()
open_for_writing(pathlib.Path(sys.argv[1])).close()
"""


def test_processes_that_make_the_store_at_once_make_one(tmp_path: Path) -> None:
    """Each waits for the other, and old records are taken over once."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a.json").write_text(_record("a").model_dump_json(), "utf-8")
    command = [sys.executable, "-c", OPEN, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(4)]  # type: ignore[call-overload]  # of pipes
    time.sleep(1)
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [(process.communicate()[1], process.returncode) for process in processes] == [("", 0)] * 4
    assert [run.run_id for run in _kept(tmp_path)] == ["a"]


WRITE = """
import sys, pathlib
from omopcloudetl.orchestrator_local import journal
sys.path.insert(0, sys.argv[2])
from test_local_store import PLAN, _record
journal.SECONDS_BETWEEN_COMMITS = 0
for number in range(10**9):
    run = _record(f"{sys.argv[3]}-{number:09}", state="running")
    writing = journal.RunJournal(pathlib.Path(sys.argv[1]), run, PLAN)
    writing.open()
    for step in run.steps:
        for step.state, tell in (("running", writing.step_started), ("done", writing.step_finished)):
            tell(step)
            writing.commit_if_due()
    run.state = "done"
    writing.close()
    print(number, flush=True)
"""


def test_the_store_survives_kill_9(tmp_path: Path) -> None:
    """Killed at any instant, it is whole: what was committed is there, and the next process goes on."""
    complete = 0
    for attempt in range(6):
        command = [sys.executable, "-c", WRITE, str(tmp_path), str(Path(__file__).parent), str(attempt)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(3):
                process.stdout.readline()
            time.sleep(random.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
            complete += 3 + len(process.stdout.read().splitlines())
        with closing(sqlite3.connect(tmp_path / FILE)) as file:
            assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        states = [run.state for run in _kept(tmp_path)]
        assert set(states) <= {"done", "died"}
        assert complete <= states.count("done") <= complete + attempt + 1  # killed before it could print
        assert len(states) - states.count("done") <= attempt + 1


READ = """
import os, pathlib, sys
from omopcloudetl.orchestrator_local.store import LocalRunStore
state = pathlib.Path(sys.argv[1])
assert not os.access(state, os.W_OK)
print(*[run.run_id for run in LocalRunStore(state).list_runs()])
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="takes the rights away that root has over modes")
def test_a_folder_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    """A copy on a medium that is read-only shows its runs."""
    for run_id in ("a", "b"):
        _keep(tmp_path / "state", _record(run_id))
    (tmp_path / "state").chmod(0o500)
    without_rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    command = [*without_rights, sys.executable, "-c", READ, str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (tmp_path / "state").chmod(0o700)
    assert (done.stdout, done.stderr) == ("b a\n", "")


def test_the_orchestrator_registers_its_store(tmp_path: Path) -> None:
    """Who reads runs finds them by the registration alone."""
    _keep(tmp_path, _record("a"))
    store = load_plugins().orchestrator("local").store
    assert store is not None
    with store(tmp_path) as opened:
        assert opened.run_ids() == ["a"]
