"""What rule tests come to, as data: which passed, and of those that failed which rows differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from omopcloudetl.core.errors import Diagnostic

Value = bool | int | float | str | None | Mapping[str, object]
"""A value of a row: plain, or `{person: p1}` for the id of a row."""
QUARANTINED = "quarantined"
"""What stands for a table's name where rows that are set aside differ."""


@dataclass(frozen=True)
class RowPair:
    """A row that was expected and is not there, the nearest one that is there and was not expected, or one of both."""

    expected: Mapping[str, Value] | None
    found: Mapping[str, Value] | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in which the two differ; all of them where one is missing."""
        if self.expected is None or self.found is None:
            return tuple(self.expected or self.found or ())
        return tuple(name for name, value in self.expected.items() if self.found.get(name) != value)


@dataclass(frozen=True)
class Difference:
    """What differs in one table."""

    table: str
    """A logical table, or `quarantined`."""
    columns: tuple[str, ...]
    """The columns that are compared."""
    equal: int
    """How many rows are as expected."""
    pairs: tuple[RowPair, ...]
    """Those that are not."""


@dataclass(frozen=True)
class RuleTestResult:
    """What became of one test."""

    mapping: str
    name: str
    file: str
    line: int
    state: Literal["passed", "failed"]
    seconds: float
    error: str | None = None
    """Why the rows could not be made, in the engine's or a check's words."""
    differences: tuple[Difference, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return self.state == "passed"


@dataclass(frozen=True)
class RuleTestReport:
    """What became of the tests of some mappings."""

    results: tuple[RuleTestResult, ...]
    untested: tuple[str, ...] = ()
    """The mappings that have no tests."""
    seconds: float = 0.0
    """How long it all took, compiling included."""
    warnings: tuple[Diagnostic, ...] = ()
    """What is probably not meant so."""

    @property
    def passed(self) -> bool:
        """Whether no test failed."""
        return all(result.passed for result in self.results)

    @property
    def failed(self) -> tuple[RuleTestResult, ...]:
        """The tests that failed."""
        return tuple(result for result in self.results if not result.passed)

    def to_json(self) -> dict[str, object]:
        """The report as plain values, for programs."""
        content = asdict(self)
        content["warnings"] = [warning.to_json() for warning in self.warnings]
        return {"passed": self.passed, **content}

    def __repr__(self) -> str:
        return f"<RuleTestReport: {len(self.results)} tests, {len(self.failed)} failed>"
