"""Tests that share a fixture of their module are one process's, or each process would make it anew."""

import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("groups of tests")


@pytest.mark.parametrize("number", range(4))
def test_a_group_has_one_process(number: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """All of a group run where its first test ran; a combination of pytest and pytest-xdist may forget groups."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    seen: Path = shared / "group-of-tests"
    with seen.open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} ran {number}\n")
    processes = {line.split()[0] for line in seen.read_text(encoding="utf-8").splitlines()}
    assert processes == {str(os.getpid())}
