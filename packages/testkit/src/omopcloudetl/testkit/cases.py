"""Cases as data: a folder each, with a mapping, the rows it is given and the rows it must make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.files.yaml_document import parse_yaml
from omopcloudetl.testkit.profile import Feature, Need
from omopcloudetl.testkit.rows import RowFile

ROOT = files("omopcloudetl.testkit")
CASES, SHARED, SPECIFICATION = ROOT / "cases", ROOT / "shared", ROOT / "specification" / "5.4.json"
OPTIONS = {
    "promise",
    "needs",
    "uses",
    "columns",
    "write",
    "deletes",
    "deliveries",
    "project",
    "again",
    "load",
    "schema",
    "files",
    "written",
    "metrics",
}


@dataclass(frozen=True)
class DataCase:
    """A folder of `cases/<subject>/`."""

    subject: str
    name: str
    folder: Traversable = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    """What `case.yaml` says."""

    def __str__(self) -> str:
        return f"{self.subject}/{self.name}"

    @property
    def promise(self) -> str:
        """One sentence: what an engine must do."""
        return str(self.options["promise"])

    @property
    def needs(self) -> frozenset[Need]:
        """What an engine must have: the subject, what the case names, what merges need, and the reading of texts."""
        named = {Feature[self.subject.upper()], *(_need(name) for name in self.options.get("needs", ()))}
        if self.options.get("write", "full") != "full":
            named.add(Capability.TRANSACTIONS)
        reads = any((self.folder / part).is_dir() for part in ("source", "data")) and self.mappings()
        return frozenset(named | ({Feature.TYPES} if reads else set()))

    @property
    def deliveries(self) -> list[str]:
        """The folders with source rows, one for each run."""
        return list(self.options.get("deliveries", ["source"]))

    @property
    def refuses(self) -> list[str]:
        """Texts that the refusal must contain; empty where the case must run."""
        file = self.folder / "refuses.txt"
        return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []

    def mappings(self) -> dict[str, str]:
        """Name of a mapping's file → its text: shared ones, and the case's own."""
        found = {f"{name}.yaml": _text(SHARED / f"{name}.yaml") for name in self.options.get("uses", ())}
        own = [
            item for item in self.folder.iterdir() if item.name.startswith("mapping") and item.name.endswith(".yaml")
        ]
        return found | {item.name: _text(item) for item in own}

    def rows(self, folder: str) -> dict[str, RowFile]:
        """Table → the rows that a folder of the case has for it, by file."""
        return dict(_row_files(self.folder / folder))

    @property
    def data(self) -> dict[str, bytes]:
        """Name of a file that the engine loads itself → its content; empty where rows are inserted."""
        folder = self.folder / "data"
        if not folder.is_dir():
            return {}
        written = self.options.get("written", {})
        newline, encoding = written.get("newline", "\n"), written.get("encoding", "utf-8")
        items = sorted(folder.iterdir(), key=lambda item: item.name)
        return {item.name: _text(item).replace("\n", newline).encode(encoding) for item in items}

    def vocabulary(self) -> dict[str, RowFile]:
        """Vocabulary table → its rows: those of all cases, but where the case has its own."""
        return dict(_row_files(SHARED / "vocab")) | self.rows("vocab")


def _need(name: str) -> Need:
    return Capability[name] if name in Capability.__members__ else Feature[name]


def _text(item: Traversable) -> str:
    return item.read_bytes().decode("utf-8")


def _row_files(folder: Traversable) -> Iterator[tuple[str, RowFile]]:
    """The CSV files of a folder, in the order of their names."""
    items = folder.iterdir() if folder.is_dir() else ()
    for item in sorted(items, key=lambda item: item.name):
        if item.name.endswith(".csv"):
            yield item.name.removesuffix(".csv"), RowFile.read(item.read_bytes().decode("utf-8"))


@cache
def data_cases() -> tuple[DataCase, ...]:
    """All of them, in the order of their names."""
    return tuple(_find())


def _find() -> Iterator[DataCase]:
    for subject in sorted(CASES.iterdir(), key=lambda item: item.name):
        for folder in sorted(subject.iterdir(), key=lambda item: item.name):
            options = parse_yaml(f"{subject.name}/{folder.name}/case.yaml", _text(folder / "case.yaml")).data
            unknown = options.keys() - OPTIONS
            if unknown:
                raise ValueError(f"{subject.name}/{folder.name}/case.yaml: unknown {sorted(unknown)}")
            yield DataCase(subject.name, folder.name, folder, options)
