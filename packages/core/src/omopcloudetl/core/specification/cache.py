"""The copies of OHDSI's specifications that were fetched: one file per version, read without a network."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omopcloudetl.core.errors import Diagnostic, OmopCloudEtlError, SpecificationError
from omopcloudetl.core.files.csv_rows import CsvFile
from omopcloudetl.core.specification.models import VERSION_PATTERN, CdmSpecification, version_key
from omopcloudetl.core.specification.official_csv import OfficialFiles, read_official

FOLDER_VARIABLE = "OMOPCLOUDETL_CACHE_DIR"
LEVELS = ("Field", "Table")
_FORMAT = 1


@dataclass(frozen=True)
class CachedFile:
    """One of a version's two files, and how the server knows whether it changed."""

    name: str
    text: str = field(repr=False)
    sha256: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class CacheEntry:
    """A version's two files, and the address of the folder they came from."""

    version: str
    url: str
    files: Mapping[str, CachedFile]

    def read(self) -> tuple[CdmSpecification, tuple[Diagnostic, ...]]:
        """The specification and notes on it; raises `ProjectError` for what is wrong in the files."""
        fields, tables = (CsvFile(self.files[level].name, self.files[level].text.encode()) for level in LEVELS)
        return read_official(self.version, OfficialFiles(fields, tables))


def cached_file(name: str, content: bytes, etag: str | None, last_modified: str | None) -> CachedFile:
    """A file as it is kept, with the hash that later shows damage; raises `UnicodeDecodeError`."""
    return CachedFile(name, content.decode("utf-8"), hashlib.sha256(content).hexdigest(), etag, last_modified)


class SpecificationCache:
    """A folder of entries; each is replaced as a whole, so that a reader never sees half of one."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else default_folder()

    def path(self, version: str) -> Path:
        """The file of a version; raises `SpecificationError` for what is no version."""
        if not VERSION_PATTERN.fullmatch(version):
            raise SpecificationError(f"'{version}' is no version of the CDM, such as 5.4")
        return self.folder / f"{version}.json"

    def versions(self) -> list[str]:
        """The versions there are, oldest first."""
        with suppress(OSError):
            names = [path.stem for path in self.folder.glob("*.json") if VERSION_PATTERN.fullmatch(path.stem)]
            return sorted(names, key=version_key)
        return []

    def entry(self, version: str) -> CacheEntry | None:
        """What is kept of a version; raises `SpecificationError` where that is damaged."""
        path = self.path(version)
        try:
            return _parse(json.loads(path.read_text(encoding="utf-8")), version)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
            message = f"the copy of the CDM {version} in {path} is damaged: {reason}"
            raise SpecificationError(f"{message}. Fetch it again: omopcloudetl spec fetch {version} --force") from None

    def load(self, version: str) -> CdmSpecification:
        """The specification of a version; where it was never fetched, the error says how to."""
        entry = self.entry(version)
        if entry is None:
            others = ", ".join(self.versions()) or "none"
            message = f"OHDSI's CDM {version} is not on this machine (fetched so far: {others})"
            raise SpecificationError(f"{message}. Fetch it once: omopcloudetl spec fetch {version}")
        try:
            return entry.read()[0]
        except OmopCloudEtlError as error:
            message = f"the copy of the CDM {version} in {self.path(version)} cannot be read"
            raise SpecificationError(f"{message}: {error}") from None

    def store(self, entry: CacheEntry) -> None:
        """Put an entry in the place of the one before, all of it or nothing."""
        path = self.path(entry.version)
        content = json.dumps({"format": _FORMAT, **asdict(entry)}, ensure_ascii=False)
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{entry.version}-", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def default_folder() -> Path:
    """The folder of the cache: below `OMOPCLOUDETL_CACHE_DIR`, else where the system keeps a user's caches."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given) / "specifications"
    from platformdirs import user_cache_path

    return user_cache_path("omopcloudetl", appauthor=False) / "specifications"


def _parse(document: Any, version: str) -> CacheEntry:
    if document["format"] != _FORMAT or document["version"] != version:
        raise ValueError("it was written by another version of this program")
    files = {level: CachedFile(**document["files"][level]) for level in LEVELS}
    for file in files.values():
        if hashlib.sha256(file.text.encode()).hexdigest() != file.sha256:
            raise ValueError(f"{file.name} does not match its hash")
    return CacheEntry(version, str(document["url"]), files)
