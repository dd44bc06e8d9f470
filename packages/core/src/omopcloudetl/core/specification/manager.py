"""Finds CDM specifications among the registered resources; nothing is fetched from a network."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources.abc import Traversable

from omopcloudetl.core.errors import SpecificationError
from omopcloudetl.core.specification.documents import parse_document
from omopcloudetl.core.specification.models import CdmSpecification, version_key

FOLDER = "specifications"


class SpecificationManager:
    """Reads the specifications that resource plugins bundle, by version such as `5.4`."""

    def __init__(self, resources: Sequence[Traversable]) -> None:
        self._resources = resources

    def versions(self) -> list[str]:
        """The versions there are, oldest first."""
        names = {
            item.name.removesuffix(".json")
            for root in self._resources
            if (root / FOLDER).is_dir()
            for item in (root / FOLDER).iterdir()
            if item.name.endswith(".json")
        }
        return sorted(names, key=version_key)

    def load(self, version: str) -> CdmSpecification:
        """The specification of one version; raises `SpecificationError` with the versions there are."""
        for root in self._resources:
            file = root / FOLDER / f"{version}.json"
            if version in self.versions() and file.is_file():
                return parse_document(file.name, file.read_bytes())
        known = self.versions()
        close = get_close_matches(version, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else "."
        raise SpecificationError(
            f"there is no CDM specification {version}{hint} There are: {', '.join(known) or 'none'}"
        )
