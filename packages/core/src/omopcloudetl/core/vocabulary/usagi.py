"""Reads what Usagi saves: codes with the concepts that people mapped them to, and how far these are approved.

The columns are those that OHDSI's Usagi writes, of all versions: what it saves, and what it exports for review.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from omopcloudetl.core.errors import Diagnostic, Position, ProjectError
from omopcloudetl.core.files.csv_rows import CsvFile, CsvRow, csv_rows, header_of
from omopcloudetl.core.files.validation import close_match

Status = Literal["APPROVED", "UNCHECKED", "AUTO_MAPPED", "AUTO_MAPPED_TO_1", "FLAGGED", "IGNORED", "INVALID_TARGET"]
"""How far a mapping is: a person has approved it, or not yet."""
MappingType = Literal["MAPS_TO", "MAPS_TO_VALUE", "MAPS_TO_UNIT", "MAPS_TO_OPERATOR"]
"""What a concept is of the code: the event itself, or what it says of its value, unit or operator."""
STATUSES: tuple[Status, ...] = get_args(Status)
TYPES: tuple[MappingType, ...] = get_args(MappingType)
_TYPE_NAMES: Mapping[str, MappingType] = {
    **{name: name for name in TYPES},
    # In files of Usagi 1.4's first versions.
    "EVENT": "MAPS_TO",
    "VALUE": "MAPS_TO_VALUE",
    "UNIT": "MAPS_TO_UNIT",
}
_HELP = "take the file as Usagi saves it (File, Save as), or as it exports it for review"
VOCABULARY_COLUMN = "ADD_INFO:vocabulary"
"""What a code's vocabulary is kept in while Usagi has it; Usagi keeps any column of this prefix."""
_OLD_NAMES = {"targetConceptId": "conceptId", "targetVocabularyId": "vocabularyId", "targetDomainId": "domainId"}
"""Columns of an export for review → what they are called in a file that was saved."""
_KNOWN = (
    *("sourceCode", "sourceName", "mappingStatus", "conceptId", "vocabularyId", "domainId", "mappingType"),
    VOCABULARY_COLUMN,
)


@dataclass(frozen=True)
class UsagiRow:
    """One code with one concept."""

    line: int
    code: str
    name: str
    status: Status
    type: MappingType
    concept_id: int
    """0 where no concept was chosen."""
    concept_vocabulary: str
    """The concept's vocabulary, which only an export for review has; else empty."""
    concept_domain: str
    """The concept's domain; empty in files that do not have it."""
    vocabulary: str
    """The code's own vocabulary, where the file has it in `ADD_INFO:vocabulary`; else empty."""


def read_usagi(file: Path) -> tuple[UsagiRow, ...]:
    """The rows of a file that Usagi saved, in its order.

    Args:
        file: The CSV file; a spreadsheet may have put semicolons or tabs between its values.

    Raises:
        ProjectError: The file cannot be read or is no such file; every row that is wrong has its line.
    """
    try:
        content = CsvFile(str(file), file.read_bytes())
    except OSError as error:
        message = f"this file cannot be read: {error.strerror}"
        help_ = "write its path as it is called from the current folder"
        raise ProjectError([Diagnostic("missing-file", message, Position(str(file)), help=help_)]) from None
    names, delimiter = header_of(content)
    columns = {found: column for found in names if (column := _column(found))}
    required = ["sourceCode", "conceptId"]
    # Usagi leaves the status out of an export for review that has approved mappings only.
    if "targetConceptId" not in names:
        required.append("mappingStatus")
    by_column = {column: found for found, column in columns.items()}
    reader = _Reader({column: by_column.get(column) for column in _KNOWN})
    needed = [by_column.get(column, column) for column in required]
    rows = tuple(reader.rows(csv_rows(content, needed, help=_HELP, delimiter=delimiter)))
    if reader.problems:
        raise ProjectError(reader.problems)
    return rows


def _column(found: str) -> str | None:
    """The name that a column has here; its case does not matter."""
    known = {name.lower(): name for name in _KNOWN} | {old.lower(): new for old, new in _OLD_NAMES.items()}
    return known.get(found.strip().lower())


class _Reader:
    """Collects what is wrong while it reads."""

    def __init__(self, columns: Mapping[str, str | None]) -> None:
        self.columns = columns
        self.problems: list[Diagnostic] = []

    def rows(self, rows: Iterator[CsvRow]) -> Iterator[UsagiRow]:
        """The rows that are right."""
        for row in rows:
            before = len(self.problems)
            found = UsagiRow(
                line=row.where.line,
                code=self._code(row),
                name=self._text(row, "sourceName"),
                status=self._status(row),
                type=self._type(row),
                concept_id=self._concept(row),
                concept_vocabulary=self._text(row, "vocabularyId"),
                concept_domain=self._text(row, "domainId"),
                vocabulary=self._text(row, VOCABULARY_COLUMN),
            )
            if len(self.problems) == before:
                yield found

    def _text(self, row: CsvRow, column: str) -> str:
        name = self.columns[column]
        return "" if name is None else row.cells[name].strip()

    def _code(self, row: CsvRow) -> str:
        """The code as it stands: blanks around it may be part of it."""
        code = row.cells[self.columns["sourceCode"] or ""]
        if not code.strip():
            self._refuse(row, "the row has no sourceCode", "", (), "give the code, or take the row out")
        return code

    def _status(self, row: CsvRow) -> Status:
        found = self._text(row, "mappingStatus") or "APPROVED"
        for status in STATUSES:
            if found == status:
                return status
        self._refuse(row, f"mappingStatus is '{found}'", found, STATUSES)
        return "UNCHECKED"

    def _type(self, row: CsvRow) -> MappingType:
        found = self._text(row, "mappingType") or "MAPS_TO"
        if found not in _TYPE_NAMES:
            self._refuse(row, f"mappingType is '{found}'", found, TYPES)
        return _TYPE_NAMES.get(found, "MAPS_TO")

    def _concept(self, row: CsvRow) -> int:
        found = self._text(row, "conceptId") or "0"
        if not found.isascii() or not found.isdigit():
            self._refuse(row, f"conceptId is '{found}'", found, (), "write the number of a concept, or 0 for none")
            return 0
        return int(found)

    def _refuse(self, row: CsvRow, message: str, found: str, allowed: Collection[str], help: str | None = None) -> None:
        near = close_match(found, tuple(allowed))
        self.problems.append(
            Diagnostic(
                "invalid-value",
                message,
                row.where,
                found=found,
                allowed=tuple(allowed),
                suggestion=near,
                help=help or "correct the row, or set it in Usagi and save again",
            )
        )
