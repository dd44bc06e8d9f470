"""What a provider declares of its engine: each capability in full, not yet, or never."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from omopcloudetl.core.capabilities import Capability, Support
from omopcloudetl.core.generator import BaseSQLGenerator


class Feature(StrEnum):
    """What the kit asks of an engine beside the capabilities that its generator declares: one for each subject."""

    TYPES = "texts are read as numbers, dates and times, and what is none is NULL"
    DATES = "days and months are added, differences and parts taken, times kept without a zone"
    IDENTIFIERS = "names of any characters, in upper and lower case, up to 63 of them"
    ORDER = "texts are compared and sorted by code point"
    TEXTS = "texts of any characters, and of a megabyte, come back as they went in"
    INJECTION = "what names and values hold is never run as SQL"
    WRITES = "tables are written in full, merged and appended, the same when run twice"
    IDS = "ids are the same numbers on every engine"
    EVENTS = "coded records are looked up, routed by domain and accounted for"
    DERIVED = "visits, periods, eras, deaths and costs are derived"
    LOADS = "text files of every spelling are loaded by the engine"
    REJECTS = "malformed records are set aside and accounted for"
    REJECTED_LINES = "malformed records are told by their lines"
    METRICS = "rows that were changed and loaded are counted"
    RECORDS = "rows of metadata are recorded, and replaced"
    SESSIONS = "two sessions work at the same time"
    CANCEL = "a statement is ended from another thread"
    ERRORS = "what the engine refuses is told in its own words, and no value of a record"


TYPES = ("integer", "bigint", "float", "number", "date", "datetime", "timestamp", "varchar", "text", "boolean")
"""What a generator's `types` must spell."""
Need = Capability | Feature
"""Something that a case may need of an engine."""


def not_yet(reason: str) -> Support:
    """The engine, or its provider, cannot do it yet."""
    return Support("not_yet", reason)


def never(reason: str) -> Support:
    """The engine is not made for it."""
    return Support("never", reason)


@dataclass(frozen=True)
class Profile:
    """The declarations of one provider; those of core's capabilities are its generator's."""

    features: Mapping[Feature, Support]
    cases: Mapping[str, Support] = field(default_factory=dict)
    """Single cases, by name, such as `loads/utf_16`: missing although their features are there, or the reverse."""
    untried: Mapping[str, str] = field(default_factory=dict)
    """Single cases that are skipped, each with its reason: of those that the engine lacks, what would never end."""

    def support(self, need: Need, generator: BaseSQLGenerator) -> Support | None:
        """What is declared of a need; None where nothing is."""
        if isinstance(need, Feature):
            return self.features.get(need)
        return generator.support(need) if need in generator.capabilities else None

    def undeclared(self, generator: BaseSQLGenerator) -> list[str]:
        """What nothing is declared of, types without a spelling, and what is declared missing without a reason."""
        declared: dict[str, Support | None] = {
            f"{type(need).__name__}.{need.name}, {need.value},": self.support(need, generator)
            for need in (*Feature, *Capability)
        }
        declared |= {f"the case {name}": support for name, support in self.cases.items()}
        declared |= {f"the case {name}": not_yet(reason) for name, reason in self.untried.items()}
        untyped = [f"the generator's `types` has no {name!r}" for name in TYPES if name not in generator.types]
        return untyped + [problem for name, support in declared.items() if (problem := _problem(name, support))]

    def missing(self, case: str, needs: Iterable[Need], generator: BaseSQLGenerator) -> str | None:
        """Why a case cannot pass: the first of its needs that the engine does not have; None if it has them all."""
        of_needs = {need.name: self.support(need, generator) for need in needs}
        declared = {case: self.cases[case]} if case in self.cases else of_needs
        for name, support in sorted(declared.items()):
            if support is not None and support.level != "full":
                return f"{name} {support.level.replace('_', ' ')}: {support.reason}"
        return None


def _problem(name: str, support: Support | None) -> str | None:
    if support is None:
        return f"{name} is not declared"
    if support.level != "full" and not support.reason:
        return f"{name} is declared as {support.level} without a reason"
    return None
