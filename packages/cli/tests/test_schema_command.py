"""Promises of `omopcloudetl schema`."""

import json
from pathlib import Path


def test_a_schema_is_printed_as_json(call) -> None:
    """One document on stdout, nothing else."""
    assert json.loads(call("schema", "mapping").stdout)["$id"] == "urn:omopcloudetl:mapping"


def test_every_schema_is_written_to_a_folder(call, tmp_path: Path) -> None:
    """One file a kind, named after it."""
    call("schema", "--all", tmp_path / "schemas")
    names = sorted(path.name for path in (tmp_path / "schemas").iterdir())
    assert names == [f"{kind}.schema.json" for kind in ("mapping", "overlay", "project", "workflow")]


def test_one_kind_or_all(call) -> None:
    """A call that names neither, or both, is a wrong command."""
    call("schema", code=2)
    call("schema", "project", "--all", "x", code=2)
