"""Reads the malformed projects that stand as data in `malformed/`, and writes them into a folder."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

HOME = Path(__file__).parent / "malformed"
BASE = HOME / "base"
"""A project in which everything is right; a case says what is different."""
CASES = HOME / "cases"

_EXPECTED = re.compile(r"(?P<file>[^:]+):(?P<line>\d+):(?P<column>\d+) (?P<code>[a-z0-9-]+): (?P<says>.+)", re.DOTALL)


@dataclass(frozen=True)
class Expected:
    """A diagnostic that a case must have: `FILE:LINE:COLUMN CODE: a piece of its message`."""

    file: str
    line: int
    column: int
    code: str
    says: str

    @classmethod
    def read(cls, text: str) -> "Expected":
        """The one line of a case as its parts."""
        found = _EXPECTED.fullmatch(text.strip())
        assert found, f"not FILE:LINE:COLUMN CODE: MESSAGE but {text!r}"
        return cls(found["file"], int(found["line"]), int(found["column"]), found["code"], found["says"])

    def is_met_by(self, diagnostic: Mapping[str, Any]) -> bool:
        """Whether a diagnostic in JSON is this one."""
        place = diagnostic["position"]
        where = (place["file"], place["line"], place["column"])
        same = where == (self.file, self.line, self.column) and diagnostic["code"] == self.code
        return same and self.says in diagnostic["message"]


@dataclass(frozen=True)
class Case:
    """One malformed project: what differs from the base project, and what must be said about it."""

    name: str
    edit: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """File → text that stands in it once → what stands there instead."""
    write: Mapping[str, str] = field(default_factory=dict)
    """File → its whole text."""
    bytes: Mapping[str, str] = field(default_factory=dict)
    """File → its bytes, each written as the character of that number: `\\xFF`."""
    repeat: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """File → (before, what is repeated, how often, after)."""
    remove: Sequence[str] = ()
    link: Mapping[str, str] = field(default_factory=dict)
    """Symbolic link → where it leads."""
    folder: Sequence[str] = ()
    options: Sequence[str] = ()
    """Further options of the command."""
    expect: Sequence[str] = ()
    """Diagnostics, exactly these; the files are wrong, so the exit code is 2."""
    run_says: Sequence[str] = ()
    """Pieces of the error of a run; the files are right, the run fails with exit code 1."""

    def write_into(self, folder: Path) -> Path:
        """The project's folder, written below `folder`."""
        root = folder / "project"
        shutil.copytree(BASE, root)
        self.change(root)
        return root

    def change(self, root: Path) -> None:
        """Turn the base project into this one."""
        for name in self.remove:
            path = root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, data in self._contents(root):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for name in self.folder:
            (root / name).mkdir(parents=True)
        for name, target in self.link.items():
            (root / name).symlink_to(target)

    def _contents(self, root: Path) -> Iterator[tuple[str, bytes]]:
        for name, changes in self.edit.items():
            text = (root / name).read_text(encoding="utf-8")
            for old, new in changes.items():
                assert text.count(old) == 1, f"{self.name}: {old!r} must stand once in {name}"
                text = text.replace(old, new)
            yield name, text.encode()
        for name, text in self.write.items():
            yield name, text.encode()
        for name, text in self.bytes.items():
            yield name, text.encode("latin-1")
        for name, (before, part, times, after) in self.repeat.items():
            yield name, f"{before}{part * times}{after}".encode()


def read_cases() -> list[Case]:
    """Every case, in the order of the files; its name begins with the file's."""
    yaml = YAML(typ="safe", pure=True)
    cases = []
    for file in sorted(CASES.glob("*.yaml")):
        for name, content in yaml.load(file.read_text(encoding="utf-8")).items():
            cases.append(Case(f"{file.stem}/{name}", **content))
    return cases


def snapshot(root: Path) -> dict[str, bytes | str]:
    """Every file and link below a folder, with what it holds."""
    found: dict[str, bytes | str] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            key = path.relative_to(root).as_posix()
            found[key] = str(path.readlink()) if path.is_symlink() else path.read_bytes()
    return found
