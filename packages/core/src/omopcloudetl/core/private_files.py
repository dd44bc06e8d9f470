"""Writes files that only their owner may read: what a run tells may quote values of patients."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FILE_MODE = 0o600
OWNER_ONLY = 0o077


@contextmanager
def only_for_owner() -> Iterator[None]:
    """Let every file that is made meanwhile be for its owner only, whoever makes it.

    Engines write logs and temporary files with rows of patients by the process's own mask. That is of the whole
    process, so this is for commands, not for functions that programs call.
    """
    before = os.umask(OWNER_ONLY)
    try:
        yield
    finally:
        os.umask(before)


def write_private(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, for the owner only; one that is there is replaced.

    What is there and is no file, such as a pipe, is written to as it is.

    Raises:
        OSError: The folder does not exist, is full, or may not be written.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
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
