"""Promises of what a killed client leaves on a Spark Connect server: another one ends it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from spark_server import address, empty_catalog, start, used_by

from omopcloudetl.core.errors import DatabaseConnectionError, StatementError
from omopcloudetl.provider_spark import orphans
from omopcloudetl.provider_spark.config import read_settings
from omopcloudetl.provider_spark.engine import SparkConnection
from omopcloudetl.provider_spark.orphans import Numbers, session_id

WORKING = 0.02
"""Seconds of processor time in two seconds: a server with nothing to do uses none, a starved one at least some."""
CLIENT = """
import sys
from pathlib import Path
from omopcloudetl.provider_spark.config import read_settings
from omopcloudetl.provider_spark.engine import SparkConnection

remote, run, folder = sys.argv[1:]
sessions = [SparkConnection(read_settings({"remote": remote}), Path()) for _ in range(2)]
for db in sessions:
    db.work_for(run)
    db.connect()
sessions[0].close()
db.execute(f"CREATE SCHEMA s LOCATION '{folder}'")
print("begins", flush=True)
db.execute("CREATE TABLE s.late USING delta AS SELECT SUM(HASH(id, id * 7) % 1000) AS v FROM range(10000000000000)")
"""
"""Is at a statement that takes hours, in a run's second session."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for fewer sessions, and wait a shorter time for those of a server that does not tell."""
    monkeypatch.setattr(orphans, "LOOKS", 3)
    monkeypatch.setattr(orphans, "SECONDS_UNTOLD", 0.1)


def eventually(happens: Callable[[], bool]) -> bool:
    """Whether it does within half a minute."""
    until = time.monotonic() + 30
    while not (did := happens()) and time.monotonic() < until:
        pass
    return did


def processor_time(server: str) -> float:
    """How much of it, in seconds, a server uses within two seconds."""
    before = used_by(server)
    time.sleep(2)
    return used_by(server) - before


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator["Sessions"]:
    """Opens sessions of runs."""
    with ExitStack() as opened:
        yield Sessions(tmp_path, opened)


class Sessions:
    """Sessions with the server that all tests use, each with an id of its own."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self.folder = folder
        self._opened = opened

    def of(self, run: str, **settings: str) -> SparkConnection:
        """An open one of a run."""
        connection = SparkConnection(read_settings({"remote": address()} | settings), self.folder)
        connection.work_for(run)
        return self._opened.enter_context(connection)


def test_a_statement_of_a_killed_client_is_ended(tmp_path: Path) -> None:
    """A server that works on for nobody has nothing to do when a run's sessions are ended."""
    server, run = start(), f"killed-{tmp_path}"
    command = [sys.executable, "-c", CLIENT, server, run, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "begins\n"
        assert eventually(lambda: processor_time(server) > WORKING)
        client.kill()
    assert processor_time(server) > WORKING

    with SparkConnection(read_settings({"remote": server}), tmp_path) as another:
        another.end_sessions({run})
        assert eventually(lambda: processor_time(server) < WORKING)
        assert another.fetch("SELECT 1") == [(1,)]


def test_sessions_of_a_run_are_ended_and_stay_so(sessions: Sessions, tmp_path: Path) -> None:
    """Those that are open, whichever were closed before, and those that its process would open; no others."""
    run, theirs = f"run-{tmp_path}", empty_catalog(tmp_path)
    first, second, another = sessions.of(run), sessions.of(run), sessions.of("another")
    shared = sessions.of(run, remote=str(theirs["remote"]))
    second.close()
    second.connect()
    assert first.fetch("SELECT 1") == [(1,)]

    another.end_sessions({run, "one that never was"})
    another.end_sessions({run})
    for ended in (first, second):
        with pytest.raises(StatementError, match="is not running"):
            ended.fetch("SELECT 1")
    with pytest.raises(DatabaseConnectionError, match="is not running"):
        sessions.of(run)
    assert shared.fetch("SELECT 1") == another.fetch("SELECT 1") == [(1,)]


def test_numbers_of_sessions_have_no_gaps() -> None:
    """Each is one session's at a time; what is given back is given first."""
    numbers = Numbers()
    assert [numbers.take() for _ in range(3)] == [(0, True), (1, True), (2, True)]
    numbers.give_back(2)
    numbers.give_back(0)
    assert [numbers.take() for _ in range(3)] == [(0, False), (2, False), (3, True)]
    assert session_id("run", 0) == session_id("run", 0) != session_id("run", 1)
