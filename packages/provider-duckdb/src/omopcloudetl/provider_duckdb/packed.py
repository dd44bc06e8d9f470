"""Tells whether packed files of this machine are whole: the engine takes one that is cut off for a shorter one."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from omopcloudetl.core.errors import LoadError

CHUNK = 1 << 20
CUT_OFF = "it is cut off; deliver it again"
DAMAGED = "it is not packed as its name says, or damaged; deliver it again"

# Zstandard, RFC 8878: a frame is a header, blocks and perhaps a checksum.
ZST_FRAME = 0xFD2FB528
ZST_SKIPPED = range(0x184D2A50, 0x184D2A60)
ZST_DICTIONARY_BYTES = (0, 1, 2, 4)
ZST_SIZE_BYTES = (0, 2, 4, 8)
ZST_RUN, ZST_RESERVED = 1, 3


def refuse_damaged(path: str, label: str, go_on: Callable[[], None]) -> None:
    """Raise `LoadError` for a file in gzip or Zstandard that does not reach its own end.

    `go_on` is called now and then, and may raise whatever shall end it.
    """
    name = path.lower()
    try:
        if name.endswith(".gz"):
            _unpack(path, go_on)
        elif name.endswith(".zst"):
            _walk(path)
    except EOFError as error:
        raise LoadError(f"{label}: {CUT_OFF}") from error
    except (gzip.BadGzipFile, zlib.error, ValueError) as error:
        raise LoadError(f"{label}: {DAMAGED}") from error
    except OSError as error:
        raise LoadError(f"cannot read {label}: {error.strerror or error}") from error


def _unpack(path: str, go_on: Callable[[], None]) -> None:
    """Read all of a file in gzip, which only then knows its length and checksum."""
    with gzip.open(path) as handle:
        while handle.read(CHUNK):
            go_on()


def _walk(path: str) -> None:
    """Go from block to block of a file in Zstandard; nothing is unpacked."""
    size = Path(path).stat().st_size
    with Path(path).open("rb") as handle:
        while handle.tell() < size:
            magic = _number(handle, 4)
            if magic in ZST_SKIPPED:
                handle.seek(_number(handle, 4), 1)
            elif magic == ZST_FRAME:
                _skip_frame(handle)
            else:
                raise ValueError(magic)
            if handle.tell() > size:
                raise EOFError


def _skip_frame(handle: IO[bytes]) -> None:
    descriptor = _number(handle, 1)
    is_single = descriptor >> 5 & 1
    size_bytes = ZST_SIZE_BYTES[descriptor >> 6] or is_single
    handle.seek(1 - is_single + ZST_DICTIONARY_BYTES[descriptor & 3] + size_bytes, 1)
    is_last = False
    while not is_last:
        block = _number(handle, 3)
        is_last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        if kind == ZST_RESERVED:
            raise ValueError(kind)
        handle.seek(1 if kind == ZST_RUN else size, 1)
    handle.seek(4 * (descriptor >> 2 & 1), 1)


def _number(handle: IO[bytes], size: int) -> int:
    read = handle.read(size)
    if len(read) < size:
        raise EOFError
    return int.from_bytes(read, "little")
