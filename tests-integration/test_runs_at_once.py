"""Promises of two runs at the same time."""

import getpass
import socket

import duckdb
from runs_apart import Content, Project, ended


def test_a_second_run_of_a_target_is_refused_and_told_who_runs(project: Project, undisturbed: Content) -> None:
    """The message names run, user, host, process and time, and the first run goes on as if nobody had tried."""
    with project.paused("source_events") as first:
        refused = project.run("--resume")
        assert project.states() == ["running"]

    refused.expect(1, rf"in use by run \S+ of {getpass.getuser()} on {socket.gethostname()}, process {first.pid},")
    refused.expect(1, r"since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", rf"kill {first.pid}")
    ended(first).expect(0, "20 of 20 steps")
    assert project.content() == undisturbed
    assert project.states() == ["done"]


def test_runs_of_two_targets_go_on_at_once(project: Project, undisturbed: Content) -> None:
    """Runs of two targets with databases of their own do not wait for each other, and both are in the history."""
    with project.paused("source_events") as first:
        project.run("--target", "other").expect(0)
        assert project.states() == ["done", "running"]

    ended(first).expect(0)
    assert project.content() == project.content("other.duckdb") == undisturbed
    assert project.states() == ["done", "done"]


def test_two_targets_with_one_database_file_are_told(project: Project, undisturbed: Content) -> None:
    """A run on a file that another process writes is refused with the file and the process, before any step."""
    with project.paused("source_events") as first:
        refused = project.run("--target", "same")

    refused.expect(1, rf"cannot open {project.database}: another process \(PID {first.pid}\) has it open")
    ended(first).expect(0)
    assert project.content() == undisturbed


def test_a_database_that_another_program_reads_is_told(finished: Project, undisturbed: Content) -> None:
    """A program that looks into the database file keeps runs from it, which is told with its process."""
    with duckdb.connect(str(finished.database), read_only=True):
        finished.run("--resume").expect(1, rf"cannot open {finished.database}: another process \(PID \d+\)")
    finished.resume(undisturbed)
