"""Looks at the files of a project's runs: the state folder, earlier records, the inputs, room on the disk."""

from __future__ import annotations

import glob
import os
import re
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from omopcloudetl.core.errors import PluginError, RunError
from omopcloudetl.core.findings import Finding
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.core.run_history import open_history, plugins_of_runs
from omopcloudetl.core.text import in_bytes, one_line, plural

if TYPE_CHECKING:
    from omopcloudetl.core.plan import CompiledWorkflowPlan

SHOWN = 5
OTHERS = 0o077
ROOM_FACTOR = 3
"""Loaded text and the CDM made of it need about this many times the size of the files."""
LEAST_ROOM = 100_000_000
_REMOTE = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")


def check_state(state: Path) -> Iterator[Finding]:
    """Whether run records can be kept, and by whom they can be read."""
    name = "state folder"
    folder = state if state.exists() else state.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(name, "problem", f"{folder} cannot be written", "a run keeps its record there: make it writable")
        return
    if os.name == "posix" and state.exists() and state.stat().st_mode & OTHERS:
        help_ = f"records may quote values of patients: chmod go= {state}"
        yield Finding(name, "warning", f"other people may look into {state}", help_)
        return
    yield Finding(name, "ok", "writable, for its owner only" if state.exists() else "will be made by the first run")


def check_runs(file: Path, state: Path) -> Iterator[Finding]:
    """Whether the records of earlier runs of a project file can be read."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            plugins = plugins_of_runs(file)
            caught.clear()  # what is wrong with plugins is told where they are looked at
            with open_history(plugins, state) as history:
                runs = history.list_runs()
        except PluginError:
            yield Finding("earlier runs", "skipped", "they cannot be looked at before the plugins are right")
            return
        except RunError as error:
            yield Finding("earlier runs", "problem", str(error))
            return
    for warning in caught:
        yield Finding("earlier runs", "warning", one_line(str(warning.message)), "move the file away")
    newest = f", the newest {runs[0].run_id} {runs[0].state}" if runs else ""
    yield Finding("earlier runs", "ok", f"{plural(len(runs), 'run')}{newest}")


def check_inputs(plan: CompiledWorkflowPlan, root: Path, sizes: list[int]) -> Iterator[Finding]:
    """Whether the files that the plan loads are there; those of other machines are not looked at."""
    missing: list[str] = []
    found: dict[Path, None] = {}
    remote = 0
    for step in plan.steps:
        if not isinstance(step, BulkLoadStep):
            continue
        if _REMOTE.match(step.uri) and not step.uri.lower().startswith("file://"):
            remote += 1
            continue
        files = next(filter(None, (_files(uri, root) for uri in (step.uri, *step.others))), [])
        if not files and not step.optional:
            missing.append(f"{step.uri} ({step.origin.file}:{step.origin.line})")
        found |= dict.fromkeys(files)
    sizes += [file.stat().st_size for file in found]
    missing += [f"{file} cannot be read" for file in found if not os.access(file, os.R_OK)]
    if missing:
        more = [f"and {len(missing) - SHOWN} more"] if len(missing) > SHOWN else []
        text = "\n".join([f"{plural(len(missing), 'file')} missing", *missing[:SHOWN], *more])
        yield Finding("input files", "problem", text, "set the variable that names their folder, or bring them there")
    elif sizes:
        yield Finding("input files", "ok", f"{plural(len(sizes), 'file')}, {in_bytes(sum(sizes))}")
    if remote:
        yield Finding("input files", "skipped", f"{plural(remote, 'load')} from other machines")


def check_room(folder: Path, sizes: list[int]) -> Iterator[Finding]:
    """Whether the disk of a database on this machine has room for what will be loaded."""
    existing = next((place for place in (folder, *folder.parents) if place.exists()), None)
    if existing is None:
        return
    free = shutil.disk_usage(existing).free
    needed = max(LEAST_ROOM, ROOM_FACTOR * sum(sizes))
    if free >= needed:
        yield Finding("disk", "ok", f"{in_bytes(free)} free for the database")
        return
    help_ = f"a run may need {in_bytes(needed)}: make room, or name another path in `connection:`"
    yield Finding("disk", "warning", f"only {in_bytes(free)} free for the database", help_)


def _files(uri: str, root: Path) -> list[Path]:
    path = unquote(urlsplit(uri).path) if uri.lower().startswith("file://") else uri
    exact = root / path
    if exact.is_file():
        return [exact]
    archive = next((parent for parent in exact.parents if parent.suffix.lower() == ".zip" and parent.is_file()), None)
    if archive is not None:
        return [archive] if _has_member(archive, exact.relative_to(archive).as_posix()) else []
    pattern = path if Path(path).is_absolute() else f"{glob.escape(str(root))}/{path}"
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # Path.glob takes no absolute pattern
    return [Path(name) for name in found if Path(name).is_file()]


def _has_member(archive: Path, wanted: str) -> bool:
    """Whether a zip archive has a member, in whichever folder."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
    return any(fnmatchcase(name, wanted) or fnmatchcase(name.rpartition("/")[2], wanted) for name in names)
