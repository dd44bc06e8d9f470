"""Finds CDM specifications: bundled by plugins, in a folder, or fetched earlier; nothing here uses a network."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources.abc import Traversable

from omopcloudetl.core.errors import ProjectError, SpecificationError
from omopcloudetl.core.specification.documents import parse_document
from omopcloudetl.core.specification.models import VERSION_PATTERN, CdmSpecification, version_key

FOLDER = "specifications"


class SpecificationManager:
    """Reads the specifications that resource plugins bundle, by version such as `5.4`.

    A plugin bundles `VERSION.json` (all facts) or `VERSION.yaml` (an overlay on another version).
    """

    def __init__(self, resources: Sequence[Traversable]) -> None:
        self._resources = resources

    def versions(self) -> list[str]:
        """The versions there are, oldest first."""
        names = {
            item.name.removesuffix(suffix)
            for root in self._resources
            if (root / FOLDER).is_dir()
            for item in (root / FOLDER).iterdir()
            for suffix in (".json", ".yaml")
            if item.name.endswith(suffix)
        }
        return sorted(filter(VERSION_PATTERN.fullmatch, names), key=version_key)

    def load(self, version: str) -> CdmSpecification:
        """The specification of one version; raises `SpecificationError` with the versions there are."""
        return self._load(version, ())

    def _load(self, version: str, waiting: tuple[str, ...]) -> CdmSpecification:
        if version in waiting:
            raise SpecificationError(f"the bundled overlays go round: {' on '.join((*waiting, version))}")
        if version in self.versions():
            for root in self._resources:
                document, overlay = (root / FOLDER / f"{version}{suffix}" for suffix in (".json", ".yaml"))
                if document.is_file():
                    return parse_document(document.name, document.read_bytes())
                if overlay.is_file():
                    return self._apply(overlay, (*waiting, version))
        known = self.versions()
        close = get_close_matches(version, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else "."
        raise SpecificationError(
            f"there is no CDM specification {version}{hint} There are: {', '.join(known) or 'none'}"
        )

    def _apply(self, file: Traversable, waiting: tuple[str, ...]) -> CdmSpecification:
        from omopcloudetl.core.specification.overlay import apply_overlay, read_overlay

        try:
            overlay, document = read_overlay(file.name, file.read_text(encoding="utf-8"))
            if len(overlay.base) != 1 or overlay.version != waiting[-1]:
                raise SpecificationError(f"the overlay {file.name} must name its version and one base")
            return apply_overlay(self._load(overlay.base[0], waiting), overlay, document)
        except (ProjectError, UnicodeDecodeError) as error:
            raise SpecificationError(f"the specification {file.name} cannot be read: {error}") from None
