"""Promises of databases and folders that cannot be written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from runs_apart import Content, Project
from small_disks import read_only

MAY_WRITE = "must be able to write"


@pytest.mark.parametrize("part", ["omop.duckdb", ".", ".omopcloudetl"])
def test_a_read_only_disk_is_told(finished: Project, undisturbed: Content, part: str) -> None:
    """A database file, a project's folder or a state folder on a disk that is read-only: no step begins."""
    with read_only(finished.root / part):
        finished.run().expect(1, "Read-only file system", MAY_WRITE)
    assert finished.states() == ["done"]
    finished.resume(undisturbed)


@pytest.mark.parametrize("part", ["omop.duckdb", ".", ".omopcloudetl", ".omopcloudetl/runs.sqlite3"])
def test_what_the_user_may_not_write_is_told(finished: Project, undisturbed: Content, part: str) -> None:
    """The same for a user who lacks the permission."""
    with forbidden(finished, part):
        finished.run().expect(1, "[Pp]ermission denied|readonly", MAY_WRITE)
    assert finished.states() in (["done"], ["failed", "done"])
    finished.resume(undisturbed)


def test_the_history_of_a_read_only_folder_is_shown(finished: Project) -> None:
    """Runs can be looked at where nothing can be written."""
    with read_only(finished.root):
        finished.send("runs").expect(0, "done")
        finished.send("runs", "show").expect(0, "20 of 20 steps")


@contextmanager
def forbidden(project: Project, part: str) -> Iterator[None]:
    """Take from the owner the permission to write a part of a project; root is bound by permissions, too, then."""
    if os.geteuid() == 0:
        project.through = ("setpriv", "--bounding-set=-dac_override", "--")
    path = project.root / part
    mode = path.stat().st_mode
    path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        path.chmod(mode)
        project.through = ()
