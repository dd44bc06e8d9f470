"""Sets that several tests look at, made once per process."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tools.demo_data.maker import make_source
from tools.demo_data.vocabulary import make_vocabulary

Table = list[dict[str, str]]


def read(path: Path, delimiter: str = ",") -> Table:
    """Return a file's rows by column name; nothing in these files is quoted."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 100 patients of seed 42."""
    out = tmp_path_factory.mktemp("source")
    make_source(100, 42, out)
    return out


@pytest.fixture(scope="session")
def source(folder: Path) -> dict[str, Table]:
    """Return the rows of 100 patients of seed 42, by file."""
    return {path.stem: read(path) for path in folder.glob("*.csv")}


@pytest.fixture(scope="session")
def stub(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    """Return the rows of the vocabulary stub, by file."""
    out = tmp_path_factory.mktemp("vocabulary")
    make_vocabulary(out)
    return {path.stem: read(path, "\t") for path in out.glob("*.csv")}
