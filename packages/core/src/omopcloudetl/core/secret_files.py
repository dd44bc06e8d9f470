"""Reads a secret from a file, and refuses one that is not the user's alone.

The rule is that of ssh for keys, with what containers need: who may change a file's permissions must have set them; a
mounted secret has those of the platform, which lets nobody else into the container.
"""

from __future__ import annotations

import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

from omopcloudetl.core.errors import SecretError

MAX_BYTES = 1_000_000
ROOT = 0
DATA = "..data"  # to which every file of a mounted Kubernetes volume is a link


class SecretWarning(UserWarning):
    """A secret can be read by people it is not for, and the user cannot change that."""


@dataclass(frozen=True)
class Access:
    """Who owns a file and who may do what with it and its folder."""

    owner: int
    mode: int
    folder_owner: int
    folder_mode: int
    is_mounted: bool = False
    """Whether the file, or its folder, is a volume of its own, as containers mount secrets."""

    @property
    def reached_by(self) -> int:
        """What others than the owner may do with the file, as far as the folder lets them through."""
        group = stat.S_IRWXG if self.folder_mode & stat.S_IXGRP else 0
        others = stat.S_IRWXO if self.folder_mode & stat.S_IXOTH else 0
        return self.mode & (group | others)


def read_secret(path: Path, name: str) -> str | None:
    """The content of a file without a final newline, None if there is no file; raises `SecretError`.

    No error quotes the file: its text may hold a part of the secret.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as handle:
            if os.name == "posix":  # access lists of Windows are not looked at
                _refuse_exposed(path, _access(path, os.fstat(handle.fileno())))
            content = handle.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SecretError(f"the file of the secret '{name}' has more than {MAX_BYTES:,} bytes: it is no secret")
        return content.decode("utf-8").replace("\r\n", "\n").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"the file of the secret '{name}' cannot be read: {type(error).__name__}") from None


def problem_of(access: Access, user: int) -> tuple[str, str] | None:
    """What makes a file unfit for a secret of a user, and what to do; None if nothing does."""
    if access.is_mounted:
        return None
    if access.owner not in {user, ROOT} or access.folder_owner not in {user, ROOT}:
        return "another user owns it or its folder, and may replace it", "chown {user} {folder} {file}"
    if access.folder_mode & (stat.S_IWGRP | stat.S_IWOTH) and not access.folder_mode & stat.S_ISVTX:
        return "others may replace it", "chmod go-w {folder}"
    if access.reached_by & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write it", "chmod go-w {file}"
    if access.owner == user and access.reached_by & (stat.S_IRGRP | stat.S_IROTH):
        return "others may read it", "chmod 600 {file}"
    return None


def is_open_to_all(access: Access, user: int) -> bool:
    """Whether anybody may read a file that belongs to root, which the user cannot change."""
    return not access.is_mounted and access.owner != user and bool(access.reached_by & stat.S_IROTH)


def _refuse_exposed(path: Path, access: Access) -> None:
    user = os.geteuid()
    found = problem_of(access, user)
    if found is not None:
        problem, command = found
        advice = command.format(file=path, folder=path.parent, user=user)
        raise SecretError(f"the secret in {path} is not used, because {problem}: {advice}")
    if is_open_to_all(access, user):
        warnings.warn(f"anybody may read the secret in {path}: chmod o= {path}", SecretWarning, stacklevel=2)


def _access(path: Path, found: os.stat_result) -> Access:
    folder = path.parent.stat()
    is_mounted = (path.parent / DATA).is_symlink() or path.parent.is_mount() or path.resolve().is_mount()
    return Access(found.st_uid, found.st_mode, folder.st_uid, folder.st_mode, is_mounted)
