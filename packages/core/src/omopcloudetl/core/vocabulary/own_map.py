"""Makes rows of source_to_concept_map, or own concepts, from what Usagi saved, and says what is left out and why."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from omopcloudetl.core.vocabulary.usagi import MappingType, Status, UsagiRow, read_usagi

FIRST_DAY, LAST_DAY = "1970-01-01", "2099-12-31"
"""Usagi knows no validity; OHDSI's vocabularies use these two for what always holds."""
APPROVED: tuple[Status, ...] = ("APPROVED",)
LONGEST_CODE = 50
LONGEST_NAME = 255
LONGEST_VOCABULARY = 20
_NO_PLACE: Mapping[MappingType, str] = {
    "MAPS_TO_VALUE": "its concept is a value, which source_to_concept_map cannot say",
    "MAPS_TO_UNIT": "its concept is a unit, which source_to_concept_map cannot say",
    "MAPS_TO_OPERATOR": "its concept is an operator, which source_to_concept_map cannot say",
}


@dataclass(frozen=True)
class MapRow:
    """A row of source_to_concept_map."""

    source_code: str
    source_concept_id: int
    source_vocabulary_id: str
    source_code_description: str
    target_concept_id: int
    target_vocabulary_id: str
    valid_start_date: str = FIRST_DAY
    valid_end_date: str = LAST_DAY
    invalid_reason: str = ""

    @property
    def code(self) -> str:
        """The code that is mapped."""
        return self.source_code

    @property
    def vocabulary(self) -> str:
        """Its vocabulary."""
        return self.source_vocabulary_id


@dataclass(frozen=True)
class ConceptRow:
    """A row of a file of own concepts: one code with one of its meanings."""

    vocabulary_id: str
    concept_code: str
    concept_name: str
    domain_id: str
    maps_to: int | None = None
    maps_to_value: int | None = None

    @property
    def code(self) -> str:
        """The code that is mapped."""
        return self.concept_code

    @property
    def vocabulary(self) -> str:
        """Its vocabulary."""
        return self.vocabulary_id


@dataclass(frozen=True)
class LeftOut:
    """A row of Usagi's file that makes none."""

    line: int
    code: str
    concept_id: int
    reason: str


@dataclass(frozen=True)
class OwnMap:
    """What a file of Usagi gives for source_to_concept_map."""

    rows: tuple[MapRow | ConceptRow, ...]
    """In the order of vocabulary, code and concept, so that a file of them changes only where a mapping did."""
    left_out: tuple[LeftOut, ...]
    """In the order of the file."""
    kind: type[MapRow | ConceptRow] = MapRow
    """What the rows are."""

    @property
    def codes(self) -> int:
        """How many codes the rows are of."""
        return len({(row.vocabulary, row.code) for row in self.rows})

    def reasons(self) -> dict[str, int]:
        """Why rows are left out, and how many, the most frequent first."""
        return dict(Counter(one.reason for one in self.left_out).most_common())

    def to_csv(self) -> str:
        """The rows as CSV with a header, as a load of the format `csv` reads it."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([field.name for field in fields(self.kind)])
        writer.writerows(astuple(row) for row in self.rows)
        return text.getvalue()


def import_usagi(file: str | Path, *, vocabulary: str | None = None, statuses: Collection[Status] = APPROVED) -> OwnMap:
    """Rows of source_to_concept_map from a file that Usagi saved or exported for review.

    Args:
        file: The CSV file.
        vocabulary: The `source_vocabulary_id` of all rows, as mappings name it; without it, that of the column
            `ADD_INFO:vocabulary`, which `vocab coverage --usagi` writes.
        statuses: Which rows count; what nobody has approved is a guess of Usagi's.

    Raises:
        ProjectError: The file cannot be read, or rows are wrong.
    """
    rows: dict[tuple[str, str, int], MapRow] = {}
    left_out: list[LeftOut] = []
    for row in read_usagi(Path(file)):
        name = vocabulary or row.vocabulary
        key = (name, row.code, row.concept_id)
        reason = _why_not(row, name, statuses) or ("it says what an earlier row says" if key in rows else None)
        if reason is not None:
            left_out.append(LeftOut(row.line, row.code, row.concept_id, reason))
            continue
        rows[key] = MapRow(row.code, 0, name, row.name[:LONGEST_NAME], row.concept_id, row.concept_vocabulary)
    return OwnMap(tuple(rows[key] for key in sorted(rows)), tuple(left_out))


def import_usagi_concepts(
    file: str | Path, *, vocabulary: str | None = None, statuses: Collection[Status] = APPROVED
) -> OwnMap:
    """Own concepts from a file that Usagi saved: each code is one, and maps to what people chose for it.

    Unlike `source_to_concept_map`, concepts can say that a code means a value, too, or nothing at all. A concept is of
    the domain of what it maps to; without any, it is an observation. The arguments are those of `import_usagi`.

    Raises:
        ProjectError: The file cannot be read, or rows are wrong.
    """
    kept: list[tuple[str, UsagiRow]] = []
    left_out: list[LeftOut] = []
    known: set[tuple[str, str, str, int]] = set()
    for row in read_usagi(Path(file)):
        name = vocabulary or row.vocabulary
        key = (name, row.code, row.type, row.concept_id)
        reason = _why_no_concept(row, name, statuses) or ("it says what an earlier row says" if key in known else None)
        if reason is not None:
            left_out.append(LeftOut(row.line, row.code, row.concept_id, reason))
            continue
        known.add(key)
        kept.append((name, row))
    kept.sort(key=lambda one: (one[0], one[1].code, one[1].type, one[1].concept_id))
    first: dict[tuple[str, str], UsagiRow] = {}
    for name, row in kept:
        first.setdefault((name, row.code), row)
    return OwnMap(tuple(_concept(name, row, first[name, row.code]) for name, row in kept), tuple(left_out), ConceptRow)


def _concept(vocabulary: str, row: UsagiRow, first: UsagiRow) -> ConceptRow:
    """A row with the name and the domain of the code's first one, as all rows of a concept have the same."""
    target = row.concept_id or None
    domain = first.concept_domain if first.type == "MAPS_TO" else ""
    name = (first.name or first.code)[:LONGEST_NAME]
    is_value = row.type == "MAPS_TO_VALUE"
    return ConceptRow(
        vocabulary, row.code, name, domain or "Observation", None if is_value else target, target if is_value else None
    )


def _why_no_concept(row: UsagiRow, vocabulary: str, statuses: Collection[Status]) -> str | None:
    """Why a row is no meaning of an own concept, or must not be."""
    if row.type in {"MAPS_TO_UNIT", "MAPS_TO_OPERATOR"}:
        word = "a unit" if row.type == "MAPS_TO_UNIT" else "an operator"
        return (
            _reason(row, vocabulary, statuses) or f"its concept is {word}, which a relationship of concepts cannot say"
        )
    if row.code != row.code.strip():
        return _reason(row, vocabulary, statuses) or "its code has blanks around it"
    return _reason(row, vocabulary, statuses)


def _why_not(row: UsagiRow, vocabulary: str, statuses: Collection[Status]) -> str | None:
    """Why a row cannot be one of source_to_concept_map, or must not."""
    if row.status in statuses and row.concept_id == 0:
        return "it is mapped to no concept"
    if row.status in statuses and row.type != "MAPS_TO":
        return _NO_PLACE[row.type]
    return _reason(row, vocabulary, statuses)


def _reason(row: UsagiRow, vocabulary: str, statuses: Collection[Status]) -> str | None:
    """Why a row cannot be used at all."""
    if row.status not in statuses:
        return f"its status is {row.status}"
    if not vocabulary:
        return "it has no vocabulary"
    if len(vocabulary) > LONGEST_VOCABULARY:
        return f"the name of its vocabulary is longer than {LONGEST_VOCABULARY} characters"
    if len(row.code) > LONGEST_CODE:
        return f"its code is longer than {LONGEST_CODE} characters"
    return None


def without_vocabulary(rows: Iterable[LeftOut]) -> bool:
    """Whether rows are left out because nothing says which vocabulary their codes are of."""
    return any(row.reason == "it has no vocabulary" for row in rows)
