"""Finds the CDM specifications in a folder: OHDSI's pairs of CSV files, or JSON documents of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from omopcloudetl.core.errors import Diagnostic, SpecificationError
from omopcloudetl.core.files.csv_rows import CsvFile
from omopcloudetl.core.specification.documents import parse_document
from omopcloudetl.core.specification.models import VERSION_PATTERN, CdmSpecification, version_key
from omopcloudetl.core.specification.official_csv import FILE_NAME, OfficialFiles, file_name, read_official

LEVELS = ("Field", "Table")


def versions_in(folder: Path) -> list[str]:
    """The versions that a folder holds, oldest first."""
    documents = {path.stem for path in _files(folder) if _is_document(path)}
    return sorted(documents | _official_files(folder).keys(), key=version_key)


def read_folder(folder: Path, version: str, *, label: str = "") -> tuple[CdmSpecification, tuple[Diagnostic, ...]]:
    """A version that a folder holds, and notes on what is odd in it.

    Args:
        folder: The folder.
        version: The version, such as `5.4`.
        label: How messages call the folder; without it, only files are named.

    Raises:
        SpecificationError: There is no such version, or a file cannot be read.
        ProjectError: What is wrong in the CSV files, with lines.
    """
    official, document = _official_files(folder).get(version), folder / f"{version}.json"
    if official and document.is_file():
        raise SpecificationError(f"{folder} holds {version} twice, as CSV and as {document.name}; keep one of them")
    if document.is_file():
        return parse_document(_labelled(label, document.name), _content(document)), ()
    if not official:
        known = ", ".join(versions_in(folder)) or "none"
        message = f"{folder} holds no CDM specification {version}. There are: {known}"
        raise SpecificationError(f"{message}; expected {file_name(version, 'Field')} and {file_name(version, 'Table')}")
    for level in LEVELS:
        if level not in official:
            raise SpecificationError(f"{folder}: {file_name(version, level)} is missing")
    fields, tables = (CsvFile(_labelled(label, official[level].name), _content(official[level])) for level in LEVELS)
    return read_official(version, OfficialFiles(fields, tables))


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise SpecificationError(f"the folder {folder} cannot be read: {error.strerror}") from None


def _is_document(path: Path) -> bool:
    return path.suffix == ".json" and VERSION_PATTERN.fullmatch(path.stem) is not None


def _official_files(folder: Path) -> Mapping[str, Mapping[str, Path]]:
    """The CSV files by version and level."""
    found: dict[str, dict[str, Path]] = {}
    for path in _files(folder):
        if match := FILE_NAME.fullmatch(path.name):
            other = found.setdefault(match["version"], {}).setdefault(match["level"], path)
            if other != path:
                message = f"{other.name} and {path.name} are the same file by two names; keep one of them"
                raise SpecificationError(f"{folder}: {message}")
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpecificationError(f"the file {path} cannot be read: {error.strerror}") from None


def _labelled(label: str, name: str) -> str:
    return f"{label.rstrip('/')}/{name}" if label else name
