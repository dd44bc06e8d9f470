"""The same project gives the same plan, to the byte, wherever and whenever it is compiled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Turns the clock of a process, then runs the command.
RUN = """
import sys, time
shift = float(sys.argv.pop(1))
real = time.time
time.time = lambda: real() + shift
time.time_ns = lambda: int((real() + shift) * 1e9)
from omopcloudetl.cli.main import main
main()
"""


def omopcloudetl(folder: Path, shift: float, *arguments: str, **variables: str) -> None:
    """The command, in `folder`, with its clock `shift` seconds off and other variables of the environment."""
    subprocess.run(
        [sys.executable, "-c", RUN, str(shift), *arguments],
        cwd=folder,
        env=os.environ | variables,
        check=True,
        capture_output=True,
    )


def compiled(folder: Path, shift: float, **variables: str) -> bytes:
    """The plan of a Synthea project that is made and compiled in `folder`."""
    folder.mkdir(parents=True)
    given = ["--var", "source_uri=/data/synthea", "--var", "vocabulary_uri=/data/athena"]
    omopcloudetl(folder, shift, "init", "p", "--template", "synthea", *given, **variables)
    omopcloudetl(folder, shift, "compile", "--project", "p", "-o", "plan.json", **variables)
    return (folder / "plan.json").read_bytes()


@pytest.mark.parametrize(
    ("shift", "variables"),
    [
        (400 * 86400.0, {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C"}),
        (-3 * 86400.0, {"PYTHONHASHSEED": "4242", "TZ": "America/St_Johns", "USER": "somebody"}),
    ],
    ids=["later", "earlier"],
)
def test_two_folders_two_clocks_two_hash_seeds_one_plan(
    tmp_path: Path, shift: float, variables: dict[str, str]
) -> None:
    """Folder, clock, time zone, locale and hash seed leave no trace in a plan."""
    here = compiled(tmp_path / "here", 0.0, PYTHONHASHSEED="0")
    there = compiled(tmp_path / "some" / "where" / "else", shift, **variables)
    assert here == there
    assert str(tmp_path).encode() not in here
