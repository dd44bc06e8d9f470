"""Promises of a state folder that is deleted, and of a run store that is damaged or of another version."""

import os
import random
import shutil
import sqlite3
import warnings
from contextlib import suppress

import pytest
from runs_apart import Content, Project

from omopcloudetl.core.errors import OmopCloudEtlError
from omopcloudetl.core.projects import list_runs, read_run, read_run_log, read_run_plan

MOVE_AWAY = "move runs.sqlite3, runs.sqlite3-wal and runs.sqlite3-shm away"


def test_a_state_folder_that_is_deleted_is_made_anew(finished: Project, undisturbed: Content) -> None:
    """History goes with its folder; the database is as it was, and the next run begins a new history."""
    shutil.rmtree(finished.state)
    finished.send("runs").expect(0, "no runs yet")
    finished.resume(undisturbed)
    assert finished.states() == ["done"]


def test_a_state_folder_that_is_deleted_in_a_run_is_made_anew(project: Project, undisturbed: Content) -> None:
    """A run whose history is deleted while it goes on says so, ends well, and is in the new history."""
    with project.paused("source_events") as process:
        shutil.rmtree(project.state)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "run_store_was_removed" in said
    project.expect(undisturbed)


@pytest.mark.parametrize("damage", ["random", "cut off", "no store"])
def test_a_damaged_store_is_told(finished: Project, undisturbed: Content, damage: str) -> None:
    """A store that cannot be read is an error that names the files to move away, and no step begins."""
    if damage == "random":
        finished.store.write_bytes(random.Random(1).randbytes(50_000))
    elif damage == "cut off":
        os.truncate(finished.store, 9_000)
    else:
        finished.store.write_bytes(b"PK\3\4" + b"0" * 5_000)
    for command in ("run", "runs"):
        finished.send(command).expect(1, "run store .* is damaged", "holds the history of runs", MOVE_AWAY)
    for path in finished.state.glob("runs.sqlite3*"):
        path.unlink()
    finished.resume(undisturbed)


@pytest.mark.parametrize("command", ["run", "runs"])
def test_a_store_of_a_newer_version_is_told(finished: Project, command: str) -> None:
    """A store that a newer version wrote is left as it is, with the versions and the choice there is."""
    with sqlite3.connect(finished.store) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    finished.send(command).expect(
        1, r"store of version 99, this program reads versions up to \d+", "update omopcloudetl"
    )


def test_a_store_of_which_bytes_are_changed_never_breaks(finished: Project) -> None:
    """Whatever bytes of the store change, reading it gives what is there, or one of our errors."""
    whole = finished.store.read_bytes()
    seeds = range(int(os.environ.get("OMOPCLOUDETL_DAMAGED_STORES", "60")))
    for chance in map(random.Random, seeds):
        for path in finished.state.glob("runs.sqlite3*"):
            path.unlink()
        finished.store.write_bytes(_damaged(whole, chance))
        for question in (list_runs, read_run, read_run_log, read_run_plan):
            with warnings.catch_warnings(action="ignore"), suppress(OmopCloudEtlError):
                question(finished.root)


def _damaged(whole: bytes, chance: random.Random) -> bytes:
    content = bytearray(whole)
    for _ in range(chance.choice([1, 10, 100])):
        start = chance.randrange(len(content))
        piece = chance.randbytes(chance.choice([1, 8, 500]))
        content[start : start + len(piece)] = piece
    return bytes(content)
