"""Which codes of the mappings have concepts: counts, the codes to map next, and a file of them for Usagi."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING

from omopcloudetl.core.errors import RunError, UnknownNameError

if TYPE_CHECKING:
    from omopcloudetl.core.compiler.coverage import CoverageSql
    from omopcloudetl.core.connection import BaseConnection, Row

VALUE = "value"
"""The role of texts that may be the code or name of a value; they may say more of a person than a code does."""
MOST_CODES = 10_000_000
USAGI_COLUMNS = ("sourceCode", "sourceName", "sourceFrequency", "sourceAutoAssignedConceptIds", "vocabulary", "mapping")
"""What Usagi asks for when codes are imported; it keeps the last two if they are chosen as additional information."""


@dataclass(frozen=True)
class Counts:
    """How much there is of something."""

    codes: int = 0
    rows: int = 0
    persons: int | None = None
    """Distinct persons; None where the mapping does not say whose rows they are."""


@dataclass(frozen=True)
class RoleCoverage:
    """How much of one lookup of a mapping has a standard concept."""

    mapping: str
    role: str
    """What the concept is for: `concept` and `unit` of an event, `value`, or a field of a table mapping."""
    mapped: Counts
    unmapped: Counts

    @property
    def share(self) -> float | None:
        """Which part of the rows has a standard concept; None without rows."""
        rows = self.mapped.rows + self.unmapped.rows
        return self.mapped.rows / rows if rows else None


@dataclass(frozen=True)
class CodeCoverage:
    """One code of a lookup."""

    mapping: str
    role: str
    vocabulary: str
    """Where it was looked for; several are in their order, with commas."""
    code: str
    name: str | None
    """What the source calls it, else what its own concept is called; None where neither says."""
    rows: int
    persons: int | None
    source_concept_id: int
    """0 where no vocabulary has the code."""
    concept_id: int
    """0 where it has no standard concept."""

    @property
    def why(self) -> str:
        """Why it has no standard concept."""
        if self.concept_id:
            return ""
        return "its concept maps to no standard one" if self.source_concept_id else "no vocabulary has it"


@dataclass(frozen=True)
class Coverage:
    """Which codes have concepts, in the tables that are in the database now."""

    roles: tuple[RoleCoverage, ...]
    codes: tuple[CodeCoverage, ...]
    """The codes of the roles that were asked for, the most frequent of each mapping first."""

    def unmapped(self) -> list[CodeCoverage]:
        """The codes to map next: those of most rows first, of all mappings."""
        found = [code for code in self.codes if not code.concept_id]
        return sorted(found, key=lambda one: (-one.rows, -(one.persons or 0), one.mapping, one.role, one.code))

    def to_csv(self) -> str:
        """Every code as CSV with a header."""
        return _csv([field.name for field in fields(CodeCoverage)], (asdict(code).values() for code in self.codes))

    def to_usagi(self) -> str:
        """The codes to map next as a file for Usagi's import; a code of several mappings is one.

        Only codes of a vocabulary are in it: `source_to_concept_map` finds no others.
        """
        found: dict[tuple[str, str], list[CodeCoverage]] = {}
        for code in self.unmapped():
            if vocabulary := own_vocabulary(code):
                found.setdefault((vocabulary, code.code), []).append(code)
        rows: list[tuple[str, str, int, str, str, str]] = [
            (
                code,
                next((one.name for one in same if one.name), code),
                sum(one.rows for one in same),
                "",
                vocabulary,
                ", ".join(sorted({one.mapping for one in same})),
            )
            for (vocabulary, code), same in found.items()
        ]
        rows.sort(key=lambda row: (-row[2], row[4], row[0]))
        return _csv(USAGI_COLUMNS, rows)


def own_vocabulary(code: CodeCoverage) -> str:
    """The vocabulary that a mapping of a code belongs to: of several the last, as those before it are others' own."""
    return code.vocabulary.rpartition(", ")[2]


def check_names(asked: Iterable[str], mappings: Sequence[str], looking: Iterable[str]) -> None:
    """Raise `UnknownNameError` for a name that is no mapping's, or that of one that looks no codes up."""
    known = list(looking)
    for name in asked:
        if name not in mappings:
            raise UnknownNameError(name, f"no mapping is named '{name}'", get_close_matches(name, mappings))
        if name not in known:
            raise UnknownNameError(name, f"the mapping '{name}' looks no codes up")


def read_coverage(
    connection: BaseConnection,
    queries: Mapping[str, CoverageSql],
    tables: Mapping[str, Sequence[str]],
    roles: Sequence[str],
) -> Coverage:
    """Ask an open connection.

    Args:
        connection: To the target of a run.
        queries: Mapping → its queries.
        tables: Mapping → the physical name of its codes table.
        roles: The roles whose codes are listed; all but `value` without any.

    Raises:
        RunError: The tables of a mapping's last run are not there.
    """
    missing = [name for name in queries if not connection.table_exists(tables[name])]
    if missing:
        tables_ = ", ".join(queries[name].table for name in missing)
        raise RunError(f"there is no {tables_}: a run makes it, `omopcloudetl run`")
    found = [
        (
            list(_roles(name, sql, connection.fetch(sql.totals))),
            [
                code
                for code in _codes(name, sql, connection.fetch(sql.codes, limit=MOST_CODES))
                if code.role in roles or (not roles and code.role != VALUE)
            ],
        )
        for name, sql in queries.items()
    ]
    return Coverage(
        tuple(role for roles_, _ in found for role in roles_), tuple(code for _, codes in found for code in codes)
    )


def _roles(mapping: str, sql: CoverageSql, rows: Iterable[Row]) -> Iterator[RoleCoverage]:
    counts: dict[str, dict[bool, Counts]] = {}
    for role, is_mapped, codes, source_rows, persons in rows:
        known = _number(persons) if sql.has_persons else None
        counts.setdefault(str(role), {})[bool(is_mapped)] = Counts(_number(codes), _number(source_rows), known)
    nothing = Counts(persons=0 if sql.has_persons else None)
    for role, by_fate in counts.items():
        yield RoleCoverage(mapping, role, by_fate.get(True, nothing), by_fate.get(False, nothing))


def _codes(mapping: str, sql: CoverageSql, rows: Iterable[Row]) -> Iterator[CodeCoverage]:
    for role, vocabulary, code, name, source_rows, persons, source_concept_id, concept_id in rows:
        yield CodeCoverage(
            mapping=mapping,
            role=str(role),
            vocabulary=str(vocabulary),
            code=str(code),
            name=None if name is None else str(name),
            rows=_number(source_rows),
            persons=_number(persons) if sql.has_persons else None,
            source_concept_id=_number(source_concept_id),
            concept_id=_number(concept_id),
        )


def _number(value: object) -> int:
    """A count, which engines give as whole numbers or decimals."""
    return int(str(value).partition(".")[0])


def _csv(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(list(row) for row in rows)
    return text.getvalue()
