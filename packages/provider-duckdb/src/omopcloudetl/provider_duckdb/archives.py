"""Unpacks members of zip archives that a load names, `folder/data.zip/patients.csv`, for as long as it reads them."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.text import in_bytes

CHUNK = 1 << 20
# What must stay free on the disk beside what is unpacked.
RESERVE = 100 << 20
ENCRYPTED = 1
# Folders and files that a Mac adds to an archive.
ADDED = ("__MACOSX/", "._")
DAMAGED = "it is no zip archive, or damaged; deliver it again"


def archive_of(path: Path) -> tuple[Path, str] | None:
    """The zip archive that a path leads into and what it names there; None for a path that leads into none."""
    for parent in path.parents:
        if parent.suffix.lower() == ".zip" and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def members(archive: Path, wanted: str, label: str) -> list[str]:
    """The members that a name or a pattern means, in alphabetical order; raises `LoadError`.

    A name without folders also means a member of that name in any one folder: archives are packed with and
    without the folder that holds the files.
    """
    with _opened(archive, label) as opened:
        return [info.filename for info in _matching(opened, wanted, label)]


def unpack(
    archive: Path, wanted: str, label: str, folder: Path | None, stack: ExitStack, go_on: Callable[[], None]
) -> list[tuple[Path, str]]:
    """Unpack what is wanted into a folder of its own, which is removed when the stack is closed.

    Args:
        archive: The zip archive.
        wanted: A member's name, or a pattern of members.
        label: How the user calls the archive.
        folder: Where there is room; the system's folder for such files without it.
        stack: What removes the files.
        go_on: Called between the pieces; what it raises ends the work, as where the load is told to stop.

    Returns:
        For each member where it is now, under its own last name, and what it is called in the archive.

    Raises:
        LoadError: The archive cannot be read, is encrypted, or needs more room than there is.
    """
    with _opened(archive, label) as opened:
        found = _matching(opened, wanted, label)
        if not found:
            return []
        place = Path(stack.enter_context(_temporary(folder, label)))
        _refuse_too_large(sum(info.file_size for info in found), place, label)
        unpacked = []
        for number, info in enumerate(found):
            # Its own folders could lead anywhere; only its last name is kept.
            target = place / str(number) / PurePosixPath(info.filename.replace("\\", "/")).name
            target.parent.mkdir()
            _write(opened, info, target, label, go_on)
            unpacked.append((target, info.filename))
        return unpacked


@contextmanager
def _opened(archive: Path, label: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except zipfile.BadZipFile as error:
        raise LoadError(f"{label}: {DAMAGED}") from error
    except OSError as error:
        raise LoadError(f"cannot read {label}: {error.strerror or error}") from error


@contextmanager
def _temporary(folder: Path | None, label: str) -> Iterator[str]:
    """A folder that only its owner can read."""
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="omopcloudetl-", dir=folder, ignore_cleanup_errors=True) as made:
            yield made
    except OSError as error:
        raise LoadError(f"cannot unpack {label} in {folder or tempfile.gettempdir()}: {error.strerror}") from error


def _matching(opened: zipfile.ZipFile, wanted: str, label: str) -> list[zipfile.ZipInfo]:
    files = {info.filename: info for info in opened.infolist() if not info.is_dir() and not _is_added(info.filename)}
    found = sorted(name for name in files if fnmatchcase(name, wanted))
    if not found and "/" not in wanted:
        found = sorted(name for name in files if fnmatchcase(name.rpartition("/")[2], wanted))
        folders = sorted({name.rpartition("/")[0] for name in found})
        if len(folders) > 1:
            raise LoadError(
                f"{label} has {wanted} in several folders: {', '.join(folders)}; say which, as in FOLDER/{wanted}"
            )
    return [files[name] for name in found]


def _is_added(name: str) -> bool:
    return name.startswith(ADDED[0]) or name.rpartition("/")[2].startswith(ADDED[1])


def _refuse_too_large(size: int, place: Path, label: str) -> None:
    free = shutil.disk_usage(place).free
    if size > free - RESERVE:
        help_ = "make room, name another temp_directory in the target's connection, or unpack it yourself"
        needed, there = in_bytes(size), in_bytes(free)
        raise LoadError(f"{label} needs {needed} to be unpacked, and {place.parent} has {there}: {help_}")


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, label: str, go_on: Callable[[], None]) -> None:
    """Unpack one member piece by piece; its checksum is compared at the end."""
    name = f"{label}/{info.filename}"
    if info.flag_bits & ENCRYPTED:
        raise LoadError(f"{name} is encrypted; unpack it yourself")
    try:
        with opened.open(info) as source, target.open("wb") as copy:
            while piece := source.read(CHUNK):
                go_on()
                copy.write(piece)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise LoadError(f"{name}: {DAMAGED}") from error
    except NotImplementedError as error:
        raise LoadError(f"{name} is packed in a way that Python does not know; unpack it yourself") from error
