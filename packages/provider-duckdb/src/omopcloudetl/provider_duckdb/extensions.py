"""Finds the engine's extensions, which come as wheels or lie in a folder; nothing is downloaded."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from omopcloudetl.core.errors import LoadError
from omopcloudetl.provider_duckdb.config import DuckDBConfig


class ExtensionError(LoadError):
    """An extension is not there; the message says how to get it."""


@dataclass(frozen=True)
class Extension:
    """An extension of the engine."""

    name: str
    extra: str
    """The extra of this package that installs it."""
    needed_by: str
    """Who needs it, as the beginning of a sentence: `remote files need`."""

    def file(self, config: DuckDBConfig, base: Path, version: str) -> Path:
        """Where it is; raises `ExtensionError`."""
        file_name = f"{self.name}.duckdb_extension"
        if config.extension_directory is not None:
            found = sorted((base / config.extension_directory).rglob(f"{version}/**/{file_name}"))
            if not found:
                where = f"{config.extension_directory}, the target's extension_directory"
                raise ExtensionError(f"{self.needed_by} {file_name} for DuckDB {version}; there is none in {where}")
            return found[0]
        install = f"pip install 'omopcloudetl-provider-duckdb[{self.extra}]'"
        module = f"duckdb_extension_{self.name}"
        specification = importlib.util.find_spec(module)
        if specification is None or not specification.submodule_search_locations:
            raise ExtensionError(f"{self.needed_by} DuckDB's extension {self.name}, which is not installed: {install}")
        folder = Path(next(iter(specification.submodule_search_locations))) / "extensions"
        file = folder / version / file_name
        if not file.is_file():
            versions = ", ".join(path.name for path in sorted(folder.glob("v*"))) or "none"
            raise ExtensionError(f"{self.needed_by} {module} for DuckDB {version}; installed is {versions}: {install}")
        return file
