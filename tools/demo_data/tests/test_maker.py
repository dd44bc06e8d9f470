from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.demo_data.columns import COLUMNS, PATIENT_FILES
from tools.demo_data.maker import main, make_source

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "packages/omop-resources/src/omopcloudetl/omop_resources/demo"


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def start(out: Path, hash_seed: str) -> dict[str, bytes]:
    """Run the program as a user does, in a folder of its own."""
    out.mkdir()
    command = [sys.executable, str(ROOT / "tools/demo_data/make.py"), "--patients", "60"]
    command += ["--seed", "7", "--out", "s", "--vocabulary-out", "v"]
    subprocess.run(command, cwd=out, env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=True)
    return {f"{name}/{k}": v for name in "sv" for k, v in content(out / name).items()}


def test_the_same_bytes_for_every_hash_seed(tmp_path: Path) -> None:
    """Two processes that hash differently write the same bytes."""
    first = start(tmp_path / "a", "0")
    assert len(first) == len(COLUMNS) + 9
    assert first == start(tmp_path / "b", "4711")


def test_a_patient_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    """The files of few patients are the beginning of the files of many, across a batch too."""
    make_source(130, 5, tmp_path / "few")
    make_source(410, 5, tmp_path / "many")
    few, many = content(tmp_path / "few"), content(tmp_path / "many")
    assert [n for n in PATIENT_FILES if not many[f"{n}.csv"].startswith(few[f"{n}.csv"])] == []


def test_another_seed_makes_other_patients(tmp_path: Path, folder: Path) -> None:
    """No line of patients.csv but the header is the same for two seeds."""
    make_source(100, 43, tmp_path)
    lines = [set((f / "patients.csv").read_text("utf-8").splitlines()) for f in (tmp_path, folder)]
    assert lines[0] & lines[1] == {COLUMNS["patients"]}


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_every_row_has_the_header_s_columns(folder: Path, name: str) -> None:
    """A file has Synthea's header, line feeds only, no quotes, and no row is short or long."""
    text = (folder / f"{name}.csv").read_bytes().decode()
    assert "\r" not in text
    assert '"' not in text
    assert text.endswith("\n")
    header, *rows = text.splitlines()
    assert header == COLUMNS[name]
    assert rows
    assert {row.count(",") for row in rows} == {header.count(",")}


def test_no_patients_is_a_header(tmp_path: Path) -> None:
    """Zero patients give files that hold their header."""
    make_source(0, 42, tmp_path)
    assert (tmp_path / "patients.csv").read_text("utf-8") == COLUMNS["patients"] + "\n"


def test_fewer_than_no_patients_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A negative number is an error that says what is allowed."""
    with pytest.raises(SystemExit):
        main(["--patients", "-1", "--out", str(tmp_path)])
    assert "--patients is -1; it must be 0 or more" in capsys.readouterr().err


def test_the_shipped_set_is_what_the_maker_makes(tmp_path: Path) -> None:
    """The demo in the package is 100 patients of seed 42 and the stub, byte for byte."""
    out = ["--out", str(tmp_path / "source"), "--vocabulary-out", str(tmp_path / "vocabulary")]
    main(["--patients", "100", "--seed", "42", *out])
    for name in ("source", "vocabulary"):
        assert content(SHIPPED / name) == content(tmp_path / name), (
            f"demo/{name} is not what the maker makes; see tools/demo_data/README.md"
        )


def test_the_shipped_set_is_small() -> None:
    """The demo stays below two megabytes."""
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*.csv")) < 2_000_000
