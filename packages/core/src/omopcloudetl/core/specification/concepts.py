"""Well-known concepts: domain, class and name of those that authors write as constants."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable

from omopcloudetl.core.errors import SpecificationError

FOLDER = "concepts"
COLUMNS = ("concept_id", "concept_name", "domain_id", "concept_class_id", "standard_concept")


@dataclass(frozen=True)
class KnownConcept:
    """What is known of a concept, whatever vocabulary is loaded later."""

    id: int
    name: str
    domain: str
    class_: str
    standard: bool

    def __str__(self) -> str:
        return f"{self.id} {self.name}"


class KnownConcepts:
    """The concepts that resource plugins name in `concepts/*.csv`; read when the first is asked for."""

    def __init__(self, resources: Sequence[Traversable] = ()) -> None:
        self._resources = resources

    def get(self, id_: int) -> KnownConcept | None:
        """A concept by its id."""
        return self._by_id.get(id_)

    def standard_of(self, domains: Collection[str]) -> list[KnownConcept]:
        """The standard concepts of some domains, by id."""
        return sorted((c for c in self._by_id.values() if c.standard and c.domain in domains), key=lambda c: c.id)

    @cached_property
    def _by_id(self) -> dict[int, KnownConcept]:
        found: dict[int, KnownConcept] = {}
        for root in self._resources:
            folder = root / FOLDER
            files = [item for item in folder.iterdir() if item.name.endswith(".csv")] if folder.is_dir() else []
            for file in sorted(files, key=lambda item: item.name):
                for concept in _read(file):
                    found.setdefault(concept.id, concept)
        return found


def _read(file: Traversable) -> list[KnownConcept]:
    """The concepts of one file; raises `SpecificationError` for a file that is none of ours."""
    try:
        header, *rows = csv.reader(file.read_text(encoding="utf-8").splitlines())
        if tuple(header) != COLUMNS:
            raise ValueError(f"its columns are {', '.join(header)}")
        return [KnownConcept(int(id_), name, domain, class_, mark == "S") for id_, name, domain, class_, mark in rows]
    except ValueError as error:
        raise SpecificationError(
            f"the concepts {file.name} cannot be read: {error}; the columns must be {', '.join(COLUMNS)}"
        ) from None
