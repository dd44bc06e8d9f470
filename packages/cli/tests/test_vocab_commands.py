"""Promises of the commands about vocabularies."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Call = Callable[..., Result]
TEXT = "sourceCode,sourceName,mappingStatus,conceptId\nGLU,Glucose,APPROVED,3004501\nX,what,UNCHECKED,0\n"


@pytest.fixture
def usagi_file(tmp_path: Path) -> Path:
    """A file of Usagi with one row that is approved and one that is not."""
    path = tmp_path / "lab.csv"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_usagi_prints_rows_on_stdout_and_what_is_left_out_on_stderr(call: Call, usagi_file: Path) -> None:
    """So that stdout is the CSV file, whole."""
    result = call("vocab", "usagi", usagi_file, "--vocabulary", "LAB")
    assert result.stdout.splitlines()[1:] == ["GLU,0,LAB,Glucose,3004501,,1970-01-01,2099-12-31,"]
    assert result.stderr == "1 row of 1 code\nleft out: 1 row, its status is UNCHECKED: X (line 3)\n"


def test_usagi_writes_a_file_and_json(call: Call, usagi_file: Path, tmp_path: Path) -> None:
    """The document has every row and every reason; the file has the same rows."""
    output = tmp_path / "map.csv"
    arguments = ("vocab", "usagi", usagi_file, "--vocabulary", "LAB", "-o", output, "--status", "unchecked")
    document = json.loads(call(*arguments, "--format", "json").stdout)
    assert document["rows"] == []
    assert [row["reason"] for row in document["left_out"]] == ["its status is APPROVED", "it is mapped to no concept"]
    assert len(output.read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "say --vocabulary"),
        (("--vocabulary", "x" * 21), "1 to 20 characters"),
        (("--vocabulary", "LAB", "--status", "GOOD"), "'GOOD' is not one of"),
        (("--vocabulary", "LAB", "-o", "no/such/folder.csv"), "no/such/folder.csv"),
    ],
    ids=["no vocabulary", "long vocabulary", "status", "output"],
)
def test_a_wrong_command_is_told(call: Call, usagi_file: Path, options: tuple[str, ...], says: str) -> None:
    """What is missing or cannot be is a message, not a traceback."""
    code = 1 if "-o" in options else 2
    assert says in " ".join(call("vocab", "usagi", usagi_file, *options, code=code).output.split())


def test_a_wrong_file_is_told_with_its_line(call: Call, usagi_file: Path) -> None:
    """The exit code is that of wrong files."""
    usagi_file.write_text(TEXT.replace("APPROVED", "GOOD"), encoding="utf-8")
    assert "lab.csv:2:1" in call("vocab", "usagi", usagi_file, "--vocabulary", "LAB", code=2).output


def test_usagi_gives_own_concepts(call: Call, usagi_file: Path) -> None:
    """In the form of a file of a step of the kind `concepts`."""
    result = call("vocab", "usagi", usagi_file, "--vocabulary", "LAB", "--as", "concepts")
    assert result.stdout.splitlines()[1:] == ["LAB,GLU,Glucose,Observation,3004501,"]
