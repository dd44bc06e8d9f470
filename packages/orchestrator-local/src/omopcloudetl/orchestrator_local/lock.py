"""One run of a target at a time: a lock of the operating system, and a file that says who has it."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from omopcloudetl.core.errors import RunError
from omopcloudetl.core.private_files import write_private
from omopcloudetl.orchestrator_local.store_file import FILE_MODE, make_private_folder, way_out_of_disk

FOLDER = "locks"
# Who only looks whether a run is alive holds the lock for a moment.
PATIENCE = 1.0


class TargetInUseError(RunError):
    """Another run of the same target goes on."""


class Holder(BaseModel):
    """Who has the lock of a target."""

    run_id: str
    pid: int
    host: str
    user: str
    started_at: datetime

    @classmethod
    def of(cls, run_id: str, started_at: datetime) -> Holder:
        """This process."""
        return cls(run_id=run_id, pid=os.getpid(), host=socket.gethostname(), user=_user(), started_at=started_at)

    def __str__(self) -> str:
        since = self.started_at.astimezone(UTC)
        return (
            f"run {self.run_id} of {self.user} on {self.host}, process {self.pid}, since {since:%Y-%m-%d %H:%M:%S} UTC"
        )


def lock_file(folder: Path, target: str) -> Path:
    """The lock of a target in a state folder."""
    return folder / FOLDER / f"{quote(target, safe='')}.lock"


@contextmanager
def hold(path: Path, target: str, holder: Holder) -> Iterator[Holder | None]:
    """Have the lock for the block; yields who had it and died, if somebody did.

    The operating system lets go of the lock with the process, however that ends; what tells a dead holder is that
    its file is still there.

    Raises:
        TargetInUseError: A live run has it.
        RunError: The lock cannot be made.
    """
    lock = FileLock(path, timeout=PATIENCE, mode=FILE_MODE, thread_local=False)
    try:
        make_private_folder(path.parent)
        lock.acquire()
    except Timeout:
        raise TargetInUseError(_refusal(target, read_holder(path))) from None
    except NotImplementedError as error:
        raise RunError(f"the lock {path} of the target {target} cannot be taken: {error}") from error
    except OSError as error:
        raise RunError(
            f"the lock {path} of the target {target} cannot be taken: {error}{way_out_of_disk(error, path.parent)}"
        ) from error
    try:
        dead = read_holder(path)
        try:
            write_private(_holder_file(path), holder.model_dump_json().encode())
        except OSError as error:
            raise RunError(
                f"{_holder_file(path)} cannot be written: {error}{way_out_of_disk(error, path.parent)}"
            ) from error
        try:
            yield dead
        finally:
            with suppress(OSError):
                _holder_file(path).unlink()
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a live process has this lock; in doubt it has."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0, mode=FILE_MODE, thread_local=False):
            return False
    except (Timeout, OSError, NotImplementedError):
        return True


def read_holder(path: Path) -> Holder | None:
    """Who says to have the lock; None if nobody, or nobody who can be understood."""
    with suppress(OSError, ValidationError):
        return Holder.model_validate_json(_holder_file(path).read_bytes())
    return None


def _refusal(target: str, holder: Holder | None) -> str:
    if holder is None:
        return f"the target {target} is in use by another run, which has not yet said who it is; try again"
    stop = f"stop it with `kill {holder.pid}`" if holder.host == socket.gethostname() else f"stop it on {holder.host}"
    return (
        f"the target {target} is in use by {holder}: wait until it has ended, or {stop}; it then rolls back what runs"
    )


def _holder_file(path: Path) -> Path:
    return path.with_suffix(".json")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
