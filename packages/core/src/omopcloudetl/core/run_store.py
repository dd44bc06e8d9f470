"""Keeps run records: one JSON file a run, `<state>/runs/<run_id>.json`, for the owner only."""

from __future__ import annotations

import os
import secrets
import warnings
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from omopcloudetl.core.errors import RunError, UnknownRunError
from omopcloudetl.core.runs import RunRecord

FOLDER = "runs"
SUFFIX = ".json"
# Errors and ledgers may quote values of patients.
FILE_MODE = 0o600
FOLDER_MODE = 0o700


def save_run(state: Path, run: RunRecord) -> None:
    """Write a run's record, whole or not at all; raises `RunError` if that cannot be done."""
    folder = state / FOLDER
    text = run.model_dump_json(indent=2) + "\n"
    try:
        for made in (state, folder):
            made.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        _replace(folder / f"{run.run_id}{SUFFIX}", text.encode())
    except OSError as error:
        raise RunError(f"the record of run {run.run_id} cannot be kept: {error}") from error


def list_runs(state: Path) -> list[RunRecord]:
    """Every record, the newest first; one that cannot be read is left out with a warning."""
    runs = []
    for path in _files(state):
        try:
            runs.append(_read(path))
        except RunError as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
    return sorted(runs, key=lambda run: (run.started_at, run.run_id), reverse=True)


def read_run(state: Path, run_id: str | None = None) -> RunRecord:
    """The record of a run; the beginning of an id is enough where only one run has it.

    Without an id it is the newest. Raises `UnknownRunError` for an id that names no run, or several.
    """
    if run_id is None:
        records = list_runs(state)
        if not records:
            raise UnknownRunError("there are no runs yet")
        return records[0]
    files = {path.stem: path for path in _files(state)}
    if run_id in files:
        return _read(files[run_id])
    matches = [name for name in files if run_id and name.startswith(run_id)]
    if len(matches) == 1:
        return _read(files[matches[0]])
    if matches:
        raise UnknownRunError(f"'{run_id}' is the beginning of several runs: {', '.join(matches)}")
    close = get_close_matches(run_id, files, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise UnknownRunError(f"there is no run '{run_id}' in {state}{hint}")


def _files(state: Path) -> list[Path]:
    try:
        return sorted((state / FOLDER).glob(f"*{SUFFIX}"))
    except OSError as error:
        raise RunError(f"the runs in {state} cannot be listed: {error}") from error


def _read(path: Path) -> RunRecord:
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(f"the run record {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        what = f"{place}: {problem['msg']}" if place else problem["msg"]
        raise RunError(f"{path} is no run record of this version: {what}") from error


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
