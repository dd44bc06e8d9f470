"""Looks at a database file before it is opened: is it there, can it be made, who may read it."""

from __future__ import annotations

import os
from pathlib import Path

from omopcloudetl.core.findings import Diagnosis, Finding

NAME = "database file"
OTHERS = 0o077


def diagnose_file(path: Path, label: str) -> Diagnosis:
    """What a run will find; opening would make a file that is not there, so it is not opened just to look."""
    folder = path.parent
    if not path.exists():
        return Diagnosis((_missing(folder, label),), would_create=True, folder=folder)
    if not path.is_file():
        return Diagnosis((Finding(NAME, "problem", f"{label} is no file", "name a file in `connection.path`"),))
    if not os.access(path, os.R_OK | os.W_OK):
        help_ = f"chmod u+rw {label}, or name another file"
        return Diagnosis((Finding(NAME, "problem", f"{label} cannot be read and written", help_),))
    if not os.access(folder, os.W_OK | os.X_OK):
        help_ = "the engine keeps its log beside the file: make the folder writable"
        return Diagnosis((Finding(NAME, "problem", f"the folder of {label} cannot be written", help_),))
    if os.name == "posix" and path.stat().st_mode & OTHERS:
        found = Finding(NAME, "warning", f"other people may read {label}", f"chmod go= {label}")
    else:
        found = Finding(NAME, "ok", f"{label}, for its owner only")
    return Diagnosis((found,), folder=folder)


def _missing(folder: Path, label: str) -> Finding:
    if not folder.is_dir():
        return Finding(NAME, "problem", f"the folder of {label} does not exist", f"mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(NAME, "problem", f"{label} cannot be made", f"make the folder {folder} writable")
    return Finding(NAME, "ok", f"{label} will be made by the first run")
