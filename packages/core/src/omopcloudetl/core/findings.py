"""What an examination finds: a finding for each check, and what a connection says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Outcome = Literal["ok", "warning", "problem", "skipped"]


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    """What was looked at, in a few words: `connection`, `schema cdm`."""
    outcome: Outcome
    found: str
    help: str | None = None
    """What to do about it."""
    target: str | None = None
    """The target it is about; None for what is the same for all."""

    def to_json(self) -> dict[str, object]:
        """The finding as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Report:
    """All that was found, in the order in which it was looked at."""

    findings: tuple[Finding, ...]

    def of(self, outcome: Outcome) -> tuple[Finding, ...]:
        """The findings of one outcome."""
        return tuple(finding for finding in self.findings if finding.outcome == outcome)

    @property
    def healthy(self) -> bool:
        """Whether nothing stands in the way of a run; warnings do not."""
        return not self.of("problem")

    def to_json(self) -> dict[str, object]:
        """The report as plain JSON values."""
        return {"healthy": self.healthy, "findings": [finding.to_json() for finding in self.findings]}

    def __repr__(self) -> str:
        outcomes: Iterable[Outcome] = ("ok", "warning", "problem", "skipped")
        return f"<Report: {', '.join(f'{len(self.of(outcome))} {outcome}' for outcome in outcomes)}>"


@dataclass(frozen=True)
class Diagnosis:
    """What a connection says before it is opened."""

    findings: tuple[Finding, ...] = ()
    would_create: bool = False
    """Whether opening it would make the database: it is then not opened just to look."""
    folder: Path | None = None
    """Where the database keeps its data, if that is on this machine."""
    reads_files: bool = False
    """Whether a server reads the files of loads by itself: it is asked for them then, and not this machine."""
