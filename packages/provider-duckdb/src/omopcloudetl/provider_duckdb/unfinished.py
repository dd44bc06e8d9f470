"""Refuses files that are still being written, to judge by what lies beside them or by their end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.models.loads import Encoding
from omopcloudetl.provider_duckdb import textfile
from omopcloudetl.provider_duckdb.datafiles import DataFile
from omopcloudetl.provider_duckdb.problems import CSV_FILE

# What browsers, SFTP clients, download managers and copying programs append until a file is whole.
SUFFIXES = ("part", "partial", "filepart", "tmp", "temp", "crdownload", "download", "aria2", "incomplete", "gstmp")
# rsync writes `.name.A1b2C3` beside `name`.
RSYNC = ".??????"
TOO_FEW = re.compile(r"Original Line: (.*)\nExpected Number of Columns: (\d+) Found: (\d+)", re.DOTALL)
CODECS: dict[Encoding, str] = {"utf-8": "utf-8", "utf-16": "utf-16-le", "latin-1": "latin-1"}
WAY_OUT = "wait until the delivery is complete, or remove what is left of one that was given up"
CUT_OFF = "the file ends in the middle of it: it is cut off; deliver it again, or end its last line"


def patterns_beside(path: str) -> list[str]:
    """Patterns of what programs write beside a file while it is not whole; `path` may be a pattern itself."""
    folder, slash, name = path.rpartition("/")
    return [*(f"{path}.{suffix}" for suffix in SUFFIXES), f"{folder}{slash}.{name}{RSYNC}"]


def refuse_unfinished(beside: Sequence[str]) -> None:
    """Raise `LoadError` if something lies beside the files of a load that says that they are not whole."""
    if beside:
        raise LoadError(f"{beside[0]} shows that a file is still being written: {WAY_OUT}")


def cut_off_by(words: str, files: Mapping[str, DataFile], encoding: Encoding) -> str | None:
    """What to say if the engine complains of too few values in the last line of a file that does not end there."""
    said, named = TOO_FEW.search(words), CSV_FILE.search(words)
    file = files.get(named[1]) if named else None
    if said is None or file is None or int(said[3]) >= int(said[2]):
        return None
    return CUT_OFF if ends_within(file, said[1], encoding) else None


def ends_within(file: DataFile, line: str, encoding: Encoding) -> bool:
    """Whether a line is the last of a local file that is not packed, and has no end."""
    if file.size is None or not file.is_plain or textfile.is_gzip(file.path) or not line:
        return False
    text = line.encode(CODECS[encoding], errors="replace")
    breaks = tuple(mark.encode(CODECS[encoding]) for mark in "\r\n")
    try:
        with Path(file.path).open("rb") as handle:
            handle.seek(max(0, file.size - len(text) - 2))
            tail = handle.read()
    except OSError:  # it went this moment, which is told as that
        return False
    return tail.endswith(text) and tail[: -len(text)].endswith(breaks) and not tail.endswith(breaks)
