"""Fetches OHDSI's specification of a version into the cache: the one part of core that uses a network."""

from __future__ import annotations

import os
from dataclasses import dataclass

from filelock import FileLock, Timeout

from omopcloudetl.core.errors import Diagnostic, ProjectError, SpecificationError
from omopcloudetl.core.specification.cache import (
    LEVELS,
    CachedFile,
    CacheEntry,
    SpecificationCache,
    cached_file,
)
from omopcloudetl.core.specification.download import Downloader, Patience, downloader, file_url, shown
from omopcloudetl.core.specification.models import CdmSpecification
from omopcloudetl.core.specification.official_csv import file_name

OFFICIAL_URL = "https://raw.githubusercontent.com/OHDSI/CommonDataModel/main/inst/csv"
URL_VARIABLE = "OMOPCLOUDETL_SPECIFICATION_URL"


@dataclass(frozen=True)
class Fetched:
    """What came of a fetch."""

    specification: CdmSpecification
    notes: tuple[Diagnostic, ...]
    """What is odd in the files, and how it is read."""
    url: str
    changed: bool
    """Whether the cache holds something else than before."""


def fetch_specification(
    version: str,
    *,
    url: str | None = None,
    force: bool = False,
    cache: SpecificationCache | None = None,
    patience: Patience | None = None,
) -> Fetched:
    """Bring a version's two files into the cache; what was there stays until all of the new is there and right.

    Args:
        version: The version, such as `5.4`.
        url: The folder with the files; by default `OMOPCLOUDETL_SPECIFICATION_URL`, else OHDSI's repository.
        force: Fetch again even where the server says that nothing changed.
        cache: The cache; the user's by default.
        patience: Time limits and attempts.

    Raises:
        SpecificationError: No network, no such version, no specification, or another process holds the cache.
    """
    cache, patience = cache or SpecificationCache(), patience or Patience()
    folder = url or os.environ.get(URL_VARIABLE) or OFFICIAL_URL
    cache.path(version)  # refuses what is no version, before it becomes part of an address
    lock = FileLock(cache.folder / f".{version}.lock", timeout=patience.total)
    try:
        cache.folder.mkdir(parents=True, exist_ok=True)
        with lock, downloader(patience) as source:
            return _fetch(source, version, folder, cache, force)
    except Timeout:
        raise SpecificationError(f"another process is fetching the CDM {version} and does not end") from None
    except OSError as error:
        raise SpecificationError(f"the cache {cache.folder} cannot be written: {error.strerror}") from None


def _fetch(source: Downloader, version: str, folder: str, cache: SpecificationCache, force: bool) -> Fetched:
    where = shown(file_url(folder, "")).rstrip("/")
    before = _known(cache, version, where)
    files = {level: _file(source, version, folder, level, None if force else before) for level in LEVELS}
    entry = CacheEntry(version, where, files)
    try:
        specification, notes = entry.read()
    except ProjectError as error:
        first, *others = error.diagnostics
        more = f" (and {len(others)} mistakes more)" if others else ""
        raise SpecificationError(f"what came from {where} is no CDM specification: {first}{more}") from None
    if entry != before:
        cache.store(entry)
    changed = before is None or any(files[level].sha256 != before.files[level].sha256 for level in LEVELS)
    return Fetched(specification, notes, where, changed)


def _known(cache: SpecificationCache, version: str, where: str) -> CacheEntry | None:
    """What is there from the same place; a damaged copy counts as none."""
    try:
        entry = cache.entry(version)
    except SpecificationError:
        return None
    return entry if entry is not None and entry.url == where else None


def _file(source: Downloader, version: str, folder: str, level: str, before: CacheEntry | None) -> CachedFile:
    name, known = file_name(version, level), before.files[level] if before else None
    url = file_url(folder, name)
    etag, last_modified = (known.etag, known.last_modified) if known else (None, None)
    found = source.get(url, etag=etag, last_modified=last_modified)
    if found.content is None:
        if known is None:
            raise SpecificationError(f"cannot fetch {shown(url)}: the server says it is unchanged, but nothing is here")
        return known
    try:
        return cached_file(name, found.content, found.etag, found.last_modified)
    except UnicodeDecodeError:
        raise SpecificationError(f"what came from {shown(url)} is no CDM specification: it is not UTF-8") from None
