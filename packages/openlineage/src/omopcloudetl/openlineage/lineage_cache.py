"""Keeps what was read from a plan's SQL, because the same plan runs every night and reading it takes a second."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import platformdirs

from omopcloudetl.openlineage.column_inputs import Inputs
from omopcloudetl.openlineage.step_lineage import StepLineage, TableLineage

FOLDER_VARIABLE = "OMOPCLOUDETL_CACHE_DIR"
KEPT = 20
"""Plans that are kept; the oldest files go."""


def default_folder() -> Path:
    """Below `OMOPCLOUDETL_CACHE_DIR`, else where the system keeps a user's caches."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return (Path(folder) if folder else platformdirs.user_cache_path("omopcloudetl", appauthor=False)) / "lineage"


class LineageCache:
    """One plan's file in the folder. What cannot be read or written costs time, nothing else."""

    def __init__(self, plan_hash: str, folder: Path | None = None) -> None:
        self._folder = folder if folder is not None else default_folder()
        readers = version("omopcloudetl-openlineage"), version("sqlglot")
        self._path = self._folder / f"{hashlib.sha256(repr((plan_hash, *readers)).encode()).hexdigest()}.json"

    def read(self) -> dict[str, StepLineage]:
        """Step → its lineage; nothing where there is no file, or none that can be read."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return {name: _step(step) for name, step in content.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def write(self, steps: Mapping[str, StepLineage]) -> None:
        """Keep it, for this user only, and let the oldest others go."""
        content = json.dumps({name: _plain(step) for name, step in steps.items()}, separators=(",", ":"))
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder)  # 0600
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content)
            Path(name).replace(self._path)
            files = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for path in files[:-KEPT]:
                path.unlink(missing_ok=True)


def _plain(step: StepLineage) -> dict[str, Any]:
    tables = {
        name: {
            "columns": table.columns,
            "inputs": {column: _plain_inputs(inputs) for column, inputs in table.inputs.items()},
            "rows": _plain_inputs(table.rows),
            "counted": table.counted,
        }
        for name, table in step.tables.items()
    }
    return {"tables": tables, "unknown": step.unknown}


def _plain_inputs(inputs: Inputs) -> list[list[str]]:
    return [[table, column, *sorted(uses)] for (table, column), uses in inputs.items()]


def _step(plain: Mapping[str, Any]) -> StepLineage:
    tables = {
        name: TableLineage(
            columns=dict(table["columns"]),
            inputs={column: _inputs(inputs) for column, inputs in table["inputs"].items()},
            rows=_inputs(table["rows"]),
            counted=bool(table["counted"]),
        )
        for name, table in plain["tables"].items()
    }
    return StepLineage(tables, list(plain["unknown"]))


def _inputs(plain: list[Any]) -> Inputs:
    return {(table, column): frozenset(uses) for table, column, *uses in plain}
