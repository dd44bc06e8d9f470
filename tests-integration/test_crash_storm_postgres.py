"""Runs on PostgreSQL that are killed, or lose their server, and are resumed leave what an undisturbed run leaves.

The environment settings of `test_crash_storm` make the storm longer, and that one over the demo's data.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest
from crash_storm import KILLED, Fingerprint, Storm, undisturbed
from crash_storm_server import ServerDatabase, ServerStorm, server_storm
from postgres_server import Server, start_again
from postgres_targets import needs_servers
from runs_apart import Project, ended

from omopcloudetl.core.errors import RunError
from omopcloudetl.core.projects import create_demo, list_runs
from omopcloudetl.core.session import Session
from omopcloudetl.orchestrator_local import dead_sessions

KILLS = int(os.environ.get("OMOPCLOUDETL_CRASH_KILLS", "2"))
STEPS = os.environ.get("OMOPCLOUDETL_CRASH_STEPS", "0")
pytestmark = [needs_servers, pytest.mark.xdist_group("crash-storm-postgres")]
Known = tuple[Storm, Fingerprint, list[tuple[str, float]], float]


@pytest.fixture(scope="module")
def known() -> Iterator[Known]:
    """A storm on a server, and what a run leaves there that nobody disturbs."""
    seed = int(os.environ.get("OMOPCLOUDETL_CRASH_SEED", os.getpid()))
    write = create_demo if "OMOPCLOUDETL_CRASH_KILLS" in os.environ else Project.write
    with server_storm(18, seed, write=write) as storm:
        yield storm, *undisturbed(storm)


def server_of(storm: Storm) -> Server:
    """The server of a storm."""
    assert isinstance(storm.database, ServerDatabase)
    assert storm.database.server is not None
    return storm.database.server


def paused(storm: Storm) -> AbstractContextManager[subprocess.Popen[str]]:
    """A run that waits in its middle until the end of the block."""
    return Project(storm.root).paused("stage_person", "--target", storm.database.target)


def test_a_killed_run_leaves_the_server_as_an_undisturbed_one(known: Known) -> None:
    """Killed at random instants, and where it is asked for inside steps, it is resumed at once."""
    storm, expected, steps, seconds = known
    storm.rage(KILLS, seconds, expected)
    chosen = steps if STEPS == "all" else storm.chance.sample(steps, int(STEPS))
    assert not chosen or not storm.strike(chosen, expected)
    assert storm.kills >= KILLS


def test_a_run_whose_server_is_killed_is_told_and_resumed(known: Known) -> None:
    """It ends within a minute, names host and port and no password; with the server back, `--resume` finishes."""
    calm, expected, _, seconds = known
    storm = ServerStorm(calm.database, calm.chance)
    storm.rage(KILLS, seconds, expected)
    assert storm.kills >= KILLS


def test_a_run_goes_on_when_its_server_comes_back(known: Known) -> None:
    """A server that is killed, and up again before the tries are used up, costs a run nothing but time."""
    storm, expected, *_ = known
    server = server_of(storm)
    storm.forget()
    with paused(storm) as process:
        server.kill()
        start_again(server, options=())
    ended(process).expect(0)
    storm.compare(expected)


def test_what_a_dead_run_left_working_is_ended(known: Known) -> None:
    """A session of a killed run, whose end the server has not seen, holds no lock against the one that goes on."""
    storm, expected, *_ = known
    with left_behind(storm) as orphan:
        storm.finish("--resume")
        with pytest.raises(psycopg.OperationalError):
            orphan.execute("SELECT 1")
    storm.compare(expected)


def test_a_session_of_a_run_that_may_be_alive_is_a_refusal(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the folder that knows the run, nobody ends its sessions: it is said how to."""
    storm, *_ = known
    monkeypatch.setattr(dead_sessions, "LOOKS", 2)
    with left_behind(storm) as orphan:
        shutil.rmtree(storm.root / ".omopcloudetl")
        session = Session.open(storm.root, target=storm.database.target)
        with pytest.raises(
            RunError, match=r"(?s)in use by a run that began from another folder.*pg_terminate_backend\(\d+\)"
        ):
            session.run(session.compile(), resume=True)
        orphan.execute("SELECT 1")


@contextmanager
def left_behind(storm: Storm) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """Kill a run in its middle; the block has a session of it that goes on with a lock on a table that all need."""
    storm.forget()
    with paused(storm) as process:
        process.kill()
    assert ended(process).code == KILLED
    name = f"omopcloudetl {list_runs(storm.root)[0].run_id}"
    with server_of(storm).admin("storm") as orphan:
        orphan.execute("SELECT set_config('application_name', %s, false)", (name,))
        orphan.execute("BEGIN")
        orphan.execute("LOCK TABLE work.etl_step IN SHARE MODE")
        yield orphan
