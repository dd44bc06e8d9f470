"""Checks the files of a project's own concepts, so that a mistake is told with its line before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.domains import check_domain
from omopcloudetl.core.errors import Position, ProjectError
from omopcloudetl.core.files.csv_rows import CsvFile, CsvRow, csv_rows, header_of
from omopcloudetl.core.models.workflow import ConceptsStep

REQUIRED = ("concept_code", "concept_name", "domain_id")
TARGETS = ("maps_to", "maps_to_value")
"""What a concept means: each a concept's id or VOCABULARY:CODE. A concept with several has several rows."""
OPTIONAL = (
    *("vocabulary_id", "concept_class_id", "standard_concept", "concept_id"),
    *("valid_start_date", "valid_end_date", "invalid_reason", *TARGETS),
)
COLUMNS = (*REQUIRED, *OPTIONAL)
FIRST_ID, LAST_ID = 2_000_000_000, 2_147_483_647
"""OHDSI leaves the ids from 2,000,000,000 on to those who have concepts of their own; the CDM's are of 32 bits."""
_LENGTHS: Mapping[str, int] = {
    "concept_code": 50,
    "concept_name": 255,
    "domain_id": 20,
    "vocabulary_id": 20,
    "concept_class_id": 20,
}
_WORDS: Mapping[str, tuple[str, ...]] = {"standard_concept": ("S", "C"), "invalid_reason": ("D", "U")}
_DATES = ("valid_start_date", "valid_end_date")
_TARGET = re.compile(r"\d{1,10}|[^:]+:.+", re.DOTALL)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_HELP = f"write a header with {', '.join(REQUIRED)}, and commas between the values; docs/vocabulary.md has an example"


@dataclass
class _Seen:
    """What earlier rows said."""

    rows: dict[tuple[str, str], CsvRow] = field(default_factory=dict)
    """Vocabulary and code → the first row of the concept."""
    ids: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Id that a row gives → vocabulary and code."""


def check_concept_files(compilation: Compilation, step: ConceptsStep, position: Position) -> None:
    """Report every mistake in a step's files that can be told without the vocabulary."""
    seen = _Seen()
    for name, text in compilation.project.concept_files.get(step.file, {}).items():
        file = CsvFile(name, text.encode())
        header, _ = header_of(file)
        unknown = [column for column in header if column.strip() not in COLUMNS]
        if unknown and set(REQUIRED) <= {column.strip() for column in header}:
            for column in unknown:
                message = f"a concept has no '{column}'"
                compilation.problem("unknown-column", message, Position(name), found=column, allowed=COLUMNS)
            continue
        try:
            for row in csv_rows(file, REQUIRED, help=_HELP):
                _check_row(compilation, step, row, seen)
        except ProjectError as error:
            compilation.problems.extend(error.diagnostics)
    used = {vocabulary for vocabulary, _ in seen.rows}
    for name in step.vocabularies.keys() - used if seen.rows else ():
        message = f"no concept is of the vocabulary '{name}'"
        compilation.problem("unused-name", message, position, found=name, help="leave it out", severity="warning")


def _check_row(compilation: Compilation, step: ConceptsStep, row: CsvRow, seen: _Seen) -> None:
    cells = {column: row.cells.get(column, "") for column in COLUMNS}
    key = (cells["vocabulary_id"] or step.vocabulary or "", cells["concept_code"])
    problems = [*_missing(cells, key[0]), *_wrong(cells), *_against_others(cells, key, row, seen)]
    for found, message, help_ in problems:
        compilation.problem("invalid-value", message, row.where, found=found or None, help=help_)
    if not problems:
        check_domain(compilation, cells["domain_id"], row.where)


_Problem = tuple[str, str, str]
"""What was found, what is wrong with it, what to do."""


def _missing(cells: Mapping[str, str], vocabulary: str) -> Iterator[_Problem]:
    for column in REQUIRED:
        if not cells[column].strip():
            yield "", f"the concept has no {column}", "write one"
    if not vocabulary:
        yield "", "the concept has no vocabulary", "add a column vocabulary_id, or say `vocabulary:` in the step"


def _wrong(cells: Mapping[str, str]) -> Iterator[_Problem]:
    """What is wrong with a value by itself."""
    for column, value in cells.items():
        if value and column != "concept_name" and value != value.strip():
            yield value, f"{column} has blanks around it", "take them away"
        elif len(value) > _LENGTHS.get(column, len(value)):
            yield value, f"{column} holds at most {_LENGTHS[column]} characters", "shorten it"
        elif value and column in _WORDS and value not in _WORDS[column]:
            words = " or ".join(_WORDS[column])
            yield value, f"{column} is '{value}'", f"write {words}, or nothing"
        elif value and column in _DATES and not _is_day(value):
            yield value, f"{column} is '{value}'", "write a date as 2024-01-31"
        elif value and column in TARGETS and not _TARGET.fullmatch(value):
            yield value, f"{column} is '{value}'", "write a concept's id, or VOCABULARY:CODE"
    given = cells["concept_id"]
    if given and not (given.isascii() and given.isdigit() and FIRST_ID <= int(given) <= LAST_ID):
        help_ = f"own concepts have ids from {FIRST_ID:,} to {LAST_ID:,}; leave it empty to get the next one"
        yield given, f"concept_id is '{given}'", help_
    if cells["standard_concept"] == "S" and cells["maps_to"]:
        yield cells["maps_to"], "a standard concept maps to itself and to no other", "leave one of the two empty"


def _against_others(cells: Mapping[str, str], key: tuple[str, str], row: CsvRow, seen: _Seen) -> Iterator[_Problem]:
    """What contradicts an earlier row."""
    first = seen.rows.setdefault(key, row)
    for column in COLUMNS:
        if column not in TARGETS and cells[column] != first.cells.get(column, ""):
            message = f"{column} is not what {first.where.file}:{first.where.line} says of the same concept"
            yield cells[column], message, "rows of one concept differ in what it maps to, and in nothing else"
    given = cells["concept_id"]
    if given and seen.ids.setdefault(given, key) != key:
        owner = ":".join(seen.ids[given])
        yield given, f"the concept_id {given} is that of {owner}, too", "give each concept its own"


def _is_day(value: str) -> bool:
    try:
        return _DAY.fullmatch(value) is not None and date.fromisoformat(value) is not None
    except ValueError:
        return False
