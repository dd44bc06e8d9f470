"""Finds CDM specifications among the registered resources; nothing is fetched from a network."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources.abc import Traversable

from pydantic import ValidationError

from omopcloudetl.core.errors import SpecificationError
from omopcloudetl.core.specification.models import CdmSpecification

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
        return sorted(names, key=_version_key)

    def load(self, version: str) -> CdmSpecification:
        """The specification of one version; raises `SpecificationError` with the versions there are."""
        for root in self._resources:
            file = root / FOLDER / f"{version}.json"
            if version in self.versions() and file.is_file():
                return _parse(file)
        known = self.versions()
        close = get_close_matches(version, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else "."
        raise SpecificationError(
            f"there is no CDM specification {version}{hint} There are: {', '.join(known) or 'none'}"
        )


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def _parse(file: Traversable) -> CdmSpecification:
    try:
        specification = CdmSpecification.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise SpecificationError(f"the specification {file.name} cannot be read: {where}: {first['msg']}") from None
    except UnicodeDecodeError:
        raise SpecificationError(f"the specification {file.name} is not UTF-8") from None
    if not any(table.primary_key for table in specification.tables):
        raise SpecificationError(f"the specification {file.name} names no primary key")
    return specification
