"""Reads a specification that someone names in one word: a version, a folder, a file, with overlays."""

from __future__ import annotations

import re
from pathlib import Path

from omopcloudetl.core.errors import SpecificationError
from omopcloudetl.core.specification.cache import SpecificationCache
from omopcloudetl.core.specification.documents import parse_document
from omopcloudetl.core.specification.folder import read_folder, versions_in
from omopcloudetl.core.specification.manager import SpecificationManager
from omopcloudetl.core.specification.models import VERSION_PATTERN, CdmSpecification
from omopcloudetl.core.specification.overlay import apply_overlay, read_overlay

_BEFORE_OVERLAY = re.compile(r"\+(?=[^+]*\.ya?ml(?:\+|$))")
FORMS = "5.4, ohdsi@5.4, FOLDER@5.4, FILE.json or OVERLAY.yaml; more overlays with +OVERLAY.yaml"


def read_reference(reference: str, manager: SpecificationManager) -> CdmSpecification:
    """The specification that a reference names.

    Args:
        reference: `5.4` (bundled), `ohdsi@5.4` (fetched before), `FOLDER` or `FOLDER@5.4` (OHDSI's CSV files or
            documents), `FILE.json`, or `OVERLAY.yaml` on its own base; each may be followed by `+OVERLAY.yaml`.
        manager: The bundled specifications.

    Raises:
        SpecificationError: There is no such specification.
        ProjectError: What is wrong in a file, with lines.
    """
    base, *overlays = _BEFORE_OVERLAY.split(reference)
    specification = _base(base, manager)
    for file in overlays:
        specification = apply_overlay(specification, *read_overlay(file, _text(file)))
    return specification


def _base(text: str, manager: SpecificationManager) -> CdmSpecification:
    source, at, version = text.rpartition("@")
    if at and source == "ohdsi":
        return SpecificationCache().load(version)
    if at and Path(source).is_dir():
        return read_folder(Path(source), version, label=source)[0]
    path = Path(text)
    if not VERSION_PATTERN.fullmatch(text) and (path.exists() or path.suffix):
        return _of_path(path, text, manager)
    return manager.load(text)


def _of_path(path: Path, text: str, manager: SpecificationManager) -> CdmSpecification:
    if path.is_dir():
        versions = versions_in(path)
        if len(versions) != 1:
            there = ", ".join(versions) or "none"
            raise SpecificationError(f"say which version of {text} is meant, as {text}@5.4. There are: {there}")
        return read_folder(path, versions[0], label=text)[0]
    if path.suffix == ".json":
        return parse_document(text, _text(text).encode())
    if path.suffix not in {".yaml", ".yml"}:
        raise SpecificationError(f"'{text}' names no specification; write {FORMS}")
    overlay, document = read_overlay(text, _text(text))
    if len(overlay.base) != 1:
        raise SpecificationError(f"say which version {text} is laid over, as 5.4+{text}; it does not name one base")
    return apply_overlay(manager.load(overlay.base[0]), overlay, document)


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SpecificationError(f"the file {file} is not UTF-8") from None
    except OSError as error:
        raise SpecificationError(f"the file {file} cannot be read: {error.strerror}") from None
