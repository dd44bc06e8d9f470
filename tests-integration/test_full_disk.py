"""Promises of disks that are full: the database's, the state folder's, and that of what does not fit into memory."""

import os
import time
from pathlib import Path

import pytest
from runs_apart import TARGETS, Content, Project, content_of, ended
from small_disks import disk, resize

ON_DISK = TARGETS.replace("path: omop.duckdb", "path: disk/omop.duckdb")
FULL = "the disk is full: free space on it"
BLOCK = 256
OTHERS = r"(\w+, )*"


@pytest.mark.parametrize(
    ("kilobytes", "where"),
    # Steps that fail for the same reason are told together.
    [
        (8, "cannot open"),
        (14, rf"failed: {OTHERS}cdm_tables\b"),
        (42, f"failed: {OTHERS}(stage|write)_"),
        (700, rf"failed: {OTHERS}pairs\b"),
    ],
    ids=["at the opening", "in loads", "in stages", "in a commit"],
)
def test_a_full_disk_of_the_database_is_told(tmp_path: Path, undisturbed: Content, kilobytes: int, where: str) -> None:
    """The step in which the disk is full fails and says so; with more space `--resume` goes on from there."""
    project = Project.write(tmp_path / "project", ON_DISK)
    with disk(project.root / "disk", f"{kilobytes}k") as place:
        project.run().expect(1, where, "No space left on device", FULL, "run --resume")
        assert project.states()[:1] in (["failed"], [])
        resize(place, "100m")
        project.run("--resume").expect(0)
        assert content_of(place / "omop.duckdb") == undisturbed
    assert project.states()[0] == "done"


def test_a_disk_that_is_full_in_the_checkpoint_loses_nothing(tmp_path: Path, undisturbed: Content) -> None:
    """What is committed is in the engine's log: that it does not fit into the file yet is a warning."""
    project = Project.write(tmp_path / "project", ON_DISK)
    with disk(project.root / "disk", "3600k") as place:
        project.run().expect(0, "maintenance_failed", "No space left on device", FULL)
        resize(place, "100m")
        assert content_of(place / "omop.duckdb") == undisturbed


@pytest.mark.parametrize("kilobytes", [0, 16, 64])
def test_a_full_disk_of_the_state_folder_is_told(project: Project, undisturbed: Content, kilobytes: int) -> None:
    """The run is refused, or ends with the error; what its steps did is in the database, and `--resume` goes on."""
    with disk(project.state, f"{max(kilobytes, 4)}k") as place:
        if not kilobytes:
            (place / "full").write_bytes(b"0" * 4096)
        project.run().expect(1, place.name, r"disk is full|No space left on device", "free space on it")
        (place / "full").unlink(missing_ok=True)
        resize(place, "100m")
        project.resume(undisturbed)


def test_a_disk_that_is_full_for_a_moment_stops_nothing(project: Project, undisturbed: Content) -> None:
    """What cannot be kept of a run while it goes on is a warning, and is kept as soon as there is room."""
    with disk(project.state, "100m") as place:
        with project.paused("source_events") as process:
            resize(place, f"{_used(place)}k")
            time.sleep(1.2)  # in which the store would be written
            resize(place, "100m")
        ended(process).expect(0)
        project.expect(undisturbed)


def test_a_disk_that_is_full_to_the_end_is_told(project: Project, undisturbed: Content) -> None:
    """A run whose record cannot be kept at its end is an error; what it did is in the database nevertheless."""
    with disk(project.state, "100m") as place:
        with project.paused("source_events") as process:
            resize(place, f"{_used(place)}k")
        ended(process).expect(1, "run store .* cannot be kept", "free space on it")
        resize(place, "100m")
        project.resume(undisturbed)
        assert project.states() == ["done", "died"]


DIGITS = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
SORTED = """
SELECT md5(CONCAT(a.d, b.d, c.d, d.d, e.d, f.d)) AS digest
FROM work.digits AS a CROSS JOIN work.digits AS b CROSS JOIN work.digits AS c
CROSS JOIN work.digits AS d CROSS JOIN work.digits AS e CROSS JOIN work.digits AS f ORDER BY digest
"""
LITTLE = """
name: little
targets:
  local:
    provider: duckdb
    connection: {path: omop.duckdb, threads: 1, memory_limit: 40MB, temp_directory: temp/engine}
"""
WORKFLOW = """
name: little
steps:
  - {name: digits, kind: sql, file: digits.sql, creates: work.digits}
  - {name: sorted, kind: sql, file: sorted.sql, creates: work.sorted}
"""


def test_a_full_disk_of_what_does_not_fit_into_memory_is_told(tmp_path: Path) -> None:
    """The step fails with the settings that give it more room, and with more of it `--resume` goes on."""
    texts = {"project.yaml": LITTLE, "workflow.yaml": WORKFLOW, "digits.sql": DIGITS, "sorted.sql": SORTED}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    project = Project(tmp_path)
    with disk(project.root / "temp", "4m") as place:
        said = project.run().expect(1, "failed: sorted", "`temp_directory`|disk is full", "run --resume").said
        assert "PRAGMA" not in said, "an advice that nobody can follow"
        resize(place, "1g")
        project.run("--resume").expect(0)
    assert {name: rows for name, (rows, _) in project.content().items()} == {"work.digits": 10, "work.sorted": 10**6}


def _used(place: Path) -> int:
    """Kilobytes of a disk that are in use."""
    found = os.statvfs(place)
    return (found.f_blocks - found.f_bfree) * found.f_frsize // 1024
