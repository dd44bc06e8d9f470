from pathlib import Path

import pytest

from tools import pins

PYPROJECT = """\
[tool.uv]
package = false # why
constraint-dependencies = [
    "duckdb==1.5.4",
    "gone==1",
]

[tool.other]
constraint-dependencies-like = ["x"]
"""


def test_export_becomes_sorted_pins() -> None:
    """Extras and markers that do not choose between versions are dropped."""
    text = "sqlglot[c]==30.30.0\ncolorama==0.4.6 ; sys_platform == 'win32'\n\nRich==15.0.0\n"
    assert pins.parse_export(text) == ["colorama==0.4.6", "rich==15.0.0", "sqlglot==30.30.0"]


def test_two_versions_keep_their_markers() -> None:
    """A package with one version per Python is pinned once per Python."""
    text = "numpy==1.26 ; python_version < '3.12'\nnumpy==2.0 ; python_version >= '3.12'\n"
    assert pins.parse_export(text) == [
        "numpy==1.26 ; python_version < '3.12'",
        "numpy==2.0 ; python_version >= '3.12'",
    ]


@pytest.mark.parametrize("line", ["-e ./packages/core", "x @ file:///x.whl", "x>=1", "-i there"])
def test_anything_but_a_version_is_refused(line: str) -> None:
    """A path, an address or a range never becomes a pin."""
    with pytest.raises(pins.PinsError, match="expected name==version"):
        pins.parse_export(line)


def test_written_pins_are_read_back_and_the_rest_stays() -> None:
    """Only the block changes."""
    new = ["duckdb==1.5.5", "rich==15.0.0 ; python_version < '4'"]
    text = pins.write_pins(PYPROJECT, new)
    assert pins.read_pins(text) == new
    assert text.startswith("[tool.uv]\npackage = false # why\n")
    assert text.endswith('\n[tool.other]\nconstraint-dependencies-like = ["x"]\n')
    assert pins.write_pins(text, pins.read_pins(PYPROJECT)) == PYPROJECT


def test_a_file_without_the_block_is_refused() -> None:
    """The error says what the block must look like."""
    with pytest.raises(pins.PinsError, match="expected one block"):
        pins.write_pins("[tool.uv]\nconstraint-dependencies = []\n", [])


def test_differences_are_named_both_ways() -> None:
    """A new package, a removed one and a changed version are all reported."""
    assert pins.compare(["a==1", "b==1"], ["b==2", "c==1"]) == [
        "resolved but not pinned: b==2",
        "resolved but not pinned: c==1",
        "pinned but not resolved: a==1",
        "pinned but not resolved: b==1",
    ]


def test_a_failed_refresh_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What uv can't resolve costs nobody the pins they had."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    monkeypatch.setattr(pins, "LOCK_NEWEST", ("python3", "-c", "raise SystemExit('no such host')"))
    with pytest.raises(pins.PinsError, match="no such host"):
        pins.refresh(tmp_path)
    assert (tmp_path / "pyproject.toml").read_text() == PYPROJECT


def test_a_refresh_writes_what_was_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest versions are locked with no pin in the way, then pinned."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    unpinned = "assert 'duckdb' not in open('pyproject.toml').read()"
    monkeypatch.setattr(pins, "LOCK_NEWEST", ("python3", "-c", unpinned))
    monkeypatch.setattr(pins, "EXPORT", ("python3", "-c", "print('duckdb==1.5.5')"))
    assert pins.refresh(tmp_path) == ["duckdb==1.5.5"]
    assert pins.check(tmp_path) == []
