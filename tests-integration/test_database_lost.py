"""Promises of a database file that is removed, replaced, emptied or damaged, in a run or between two."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from runs_apart import Content, Project, ended

Disturb = Callable[[Path], object]


def _replace(database: Path) -> None:
    """By a database that holds nothing."""
    other = database.with_name("new.duckdb")
    duckdb.connect(str(other)).close()
    other.replace(database)


def _empty(database: Path) -> None:
    os.truncate(database, 0)


IN_A_RUN = {
    "removed": (Path.unlink, "was removed while it was in use"),
    "replaced": (_replace, "was replaced by another file while it was in use"),
    "emptied": (_empty, "was emptied or overwritten while it was in use"),
}


@pytest.mark.parametrize(
    ("what", "step"),
    [("removed", "source_events"), ("removed", "ledger"), ("replaced", "stage_person"), ("emptied", "source_events")],
)
def test_a_file_that_is_lost_in_a_run_is_told(project: Project, undisturbed: Content, what: str, step: str) -> None:
    """The engine notices nothing; the run fails with what happened to which file, and the next one makes it anew."""
    disturb, words = IN_A_RUN[what]
    with project.paused(step) as process:
        disturb(project.database)

    ended(process).expect(1, rf"the database file {project.database} {words}", "run --resume")
    assert project.states() == ["failed"]
    if what == "emptied":
        project.run("--resume").expect(1, "not a valid DuckDB database file", r"move both\s+away")
        project.database.unlink()
        Path(f"{project.database}.wal").unlink(missing_ok=True)
    project.resume(undisturbed)


def test_a_log_that_is_removed_in_a_run_is_not_needed(project: Project, undisturbed: Content) -> None:
    """What the engine's log held is in the file when the run ends."""
    with project.paused("stage_person") as process:
        Path(f"{project.database}.wal").unlink()
    ended(process).expect(0)
    project.expect(undisturbed)


@pytest.mark.parametrize("removed", [("",), ("", ".wal"), (".wal",)], ids=["file", "both", "log"])
def test_what_is_removed_between_runs_is_done_again(
    project: Project, undisturbed: Content, removed: tuple[str, ...]
) -> None:
    """After a run that was killed, its file, its log or both may be gone: `--resume` does what is not there."""
    _kill(project)
    for suffix in removed:
        Path(f"{project.database}{suffix}").unlink(missing_ok=True)
    project.resume(undisturbed)


def test_an_older_copy_is_brought_up_to_date(project: Project, undisturbed: Content) -> None:
    """What an older copy of the database lacks runs again, whatever the history of runs says was done."""
    _kill(project, "source_events")
    older = project.root / "older"
    duckdb.connect(str(project.database)).close()  # all is in the file then
    shutil.copy(project.database, older)
    _kill(project, "ledger", "--resume")
    older.replace(project.database)
    Path(f"{project.database}.wal").unlink(missing_ok=True)
    project.resume(undisturbed)


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "no database of DuckDB"), (5_000, "the file is damaged")],
)
def test_a_file_that_is_cut_off_is_told(finished: Project, undisturbed: Content, size: int, words: str) -> None:
    """A damaged file is refused with its name and a way out, and taking that brings everything back."""
    project = finished
    os.truncate(project.database, size)
    project.run("--resume").expect(1, f"cannot open .*{project.database.name}", words, r"move both\s+away")
    project.database.unlink()
    project.resume(undisturbed)


def test_a_file_that_lacks_some_tables_is_told_when_one_is_read(finished: Project, undisturbed: Content) -> None:
    """A file whose end is missing may still open; a run that reads what is missing fails, whatever it passes over."""
    os.truncate(finished.database, 400_000)
    finished.run("--resume").expect(1, "the file is damaged", r"move both\s+away")
    finished.database.unlink()
    finished.resume(undisturbed)


def test_another_programs_file_is_told(project: Project) -> None:
    """A file that is none of DuckDB's is refused, and stays as it is."""
    project.database.write_bytes(b"SQLite format 3\0" + b"\0" * 20_000)
    project.run().expect(1, "no database of DuckDB", r"move both\s+away")
    assert project.database.read_bytes().startswith(b"SQLite format 3\0")


def _kill(project: Project, step: str = "stage_events", *options: str) -> None:
    with project.paused(step, *options) as process:
        process.kill()
    assert ended(process).code == -9
