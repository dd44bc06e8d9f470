"""Files that this program reads and sends to the server as they are, piece by piece, because the target asks for it."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from omopcloudetl.core.errors import LoadError
from omopcloudetl.provider_postgres.datafiles import (
    BYTE_ORDER_MARK,
    PATTERN,
    DataFile,
    LoadSession,
    label_of,
    local_path,
)

PIECE = 1 << 18
UNKNOWN = (".zst", ".bz2", ".xz")
DAMAGED = "it is damaged or cut off; deliver it again"


class ClientFiles:
    """Files of this machine; those in gzip, and members of zip archives, are unpacked on the way."""

    def __init__(self, session: LoadSession) -> None:
        self._session = session

    def find(self, uri: str, base: Path) -> list[DataFile]:
        """The files of a path or a pattern; of an archive, its members."""
        path = base / local_path(uri)
        archive = _archive_of(path)
        if archive is not None:
            return _members(*archive, base)
        paths = [path] if path.is_file() or not PATTERN.search(local_path(uri)) else _matching(local_path(uri), base)
        return [_file(one, base) for one in paths if one.is_file()]

    def head(self, file: DataFile, count: int) -> bytes:
        """The first bytes, unpacked."""
        with _opened(file) as source:
            return source.read(count)

    def copy(self, file: DataFile, statement: str, options: str) -> int:
        """Send the file; the server alone makes rows of it."""
        return self._session.copy_in(f"{statement} FROM STDIN {options}", self._pieces(file))

    def missing(self, uri: str, base: Path) -> str:
        """Which folder is not there."""
        folder = next((parent for parent in (base / local_path(uri)).parents if parent.exists()), base)
        return f"; {label_of(str(folder), base)} is the nearest folder that there is"

    def _pieces(self, file: DataFile) -> Iterator[bytes]:
        with _opened(file) as source:
            piece = source.read(PIECE).removeprefix(BYTE_ORDER_MARK)
            while piece:
                self._session.refuse_if_cancelled()
                yield piece
                piece = source.read(PIECE)


def _matching(pattern: str, base: Path) -> list[Path]:
    anchor = Path(pattern).anchor
    return sorted((Path(anchor) if anchor else base).glob(pattern.removeprefix(anchor)))


def _file(path: Path, base: Path, member: str = "") -> DataFile:
    label = label_of(str(path), base)
    if path.suffix.lower() in UNKNOWN:
        raise LoadError(f"cannot load {label}: only gzip and zip are unpacked on the way to PostgreSQL; unpack it")
    found = path.stat()
    return DataFile(str(path), f"{label}/{member}" if member else label, found.st_size, str(found.st_mtime_ns), member)


def _archive_of(path: Path) -> tuple[Path, str] | None:
    """The zip archive that a path leads into, and what it names there."""
    for parent in path.parents:
        if parent.suffix.lower() == ".zip" and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def _members(archive: Path, wanted: str, base: Path) -> list[DataFile]:
    """A name without folders also means a member of that name in any one folder."""
    with _errors(label_of(str(archive), base)), zipfile.ZipFile(archive) as opened:
        names = sorted(
            info.filename for info in opened.infolist() if not info.is_dir() and "__MACOSX/" not in info.filename
        )
    found = [name for name in names if fnmatchcase(name, wanted)]
    if not found and "/" not in wanted:
        found = [name for name in names if fnmatchcase(name.rpartition("/")[2], wanted)]
    if len({name.rpartition("/")[0] for name in found}) > 1:
        raise LoadError(
            f"{label_of(str(archive), base)} has {wanted} in several folders; say which, as in FOLDER/{wanted}"
        )
    return [_file(archive, base, name) for name in found]


@contextmanager
def _opened(file: DataFile) -> Iterator[IO[bytes]]:
    with _errors(file.label):
        if file.member:
            with zipfile.ZipFile(file.path) as archive, archive.open(file.member) as member:
                yield member
        elif file.path.lower().endswith(".gz"):
            with gzip.open(file.path, "rb") as unpacked:
                yield unpacked  # type: ignore[misc]  # it reads bytes like any other
        else:
            with Path(file.path).open("rb") as plain:
                yield plain


@contextmanager
def _errors(label: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise LoadError(f"{label}: {DAMAGED}") from error
    except RuntimeError as error:  # what zipfile says of an encrypted member
        raise LoadError(f"cannot read {label}: {error}") from error
    except OSError as error:
        raise LoadError(f"cannot read {label}: {error.strerror or error}") from error
