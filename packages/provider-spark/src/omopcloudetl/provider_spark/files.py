"""Finds the files of a load: those of a folder that the workers see, too, or a URI that only Spark can list."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class DataFile:
    """A file, or a pattern of them that only Spark can list."""

    path: str
    """For Spark."""
    label: str
    """For people."""
    size: int = -1
    modified: str = ""


def find(uri: str, base: Path) -> list[DataFile]:
    """The files of a path or a pattern of this machine's; a URI elsewhere as it is, because Spark alone can tell."""
    scheme, separator, rest = uri.partition("://")
    if separator and scheme.lower() != "file":
        return [DataFile(uri, uri)]
    path = unquote(rest) if separator else uri
    paths = sorted(_matching(path, base)) if PATTERN.search(path) and not (base / path).is_file() else [base / path]
    return [_file(one, base) for one in paths if one.is_file()]


def is_local(file: DataFile) -> bool:
    """Whether its size is known."""
    return file.size >= 0


def _matching(pattern: str, base: Path) -> list[Path]:
    anchor = Path(pattern).anchor
    return list((Path(anchor) if anchor else base).glob(pattern.removeprefix(anchor)))


def _file(path: Path, base: Path) -> DataFile:
    found = path.stat()
    label = path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)
    return DataFile(path.absolute().as_posix(), label, found.st_size, str(found.st_mtime_ns))
