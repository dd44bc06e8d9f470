"""The vocabulary stub: writes the facts beside this module in Athena's format.

`facts/` holds each fact once; what follows from them is derived here: the map of a standard concept
to itself, the reverse of every relationship, every concept as its own ancestor, and the metadata
concepts that domains, classes, vocabularies and relationships refer to.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

FACTS = Path(__file__).resolve().parent / "facts"
ALWAYS = ("19700101", "20991231")
SYNONYMS = ("concept_id", "concept_synonym_name", "language_concept_id")

Row = list[str]
Table = tuple[Row, list[Row]]


def _facts(name: str) -> Table:
    with (FACTS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def _metadata_concepts() -> Iterator[Row]:
    """Yield the concepts that stand for domains, vocabularies, classes and relationships."""
    for name, vocabulary in (
        ("domains", "Domain"),
        ("vocabularies", "Vocabulary"),
        ("classes", "Concept Class"),
        ("relationship_types", "Relationship"),
    ):
        for row in _facts(name)[1]:
            yield [
                *(row[-1], row[1], "Metadata", vocabulary, vocabulary),
                *("", "OMOP generated", *ALWAYS, ""),
            ]


def _concepts() -> Table:
    header, rows = _facts("concepts")
    return header, sorted([*rows, *_metadata_concepts()], key=lambda row: int(row[0]))


def _relationships() -> Table:
    header, rows = _facts("relationships")
    reverse = {row[0]: row[4] for row in _facts("relationship_types")[1]}
    both = [[*row, ""] for row in rows]
    both += [[row[1], row[0], reverse[row[2]], row[3], row[4], ""] for row in rows]
    for concept in _facts("concepts")[1]:
        if concept[5] == "S":
            for name in ("Maps to", "Mapped from"):
                both.append([concept[0], concept[0], name, *ALWAYS, ""])
    both.sort(key=lambda row: (int(row[0]), int(row[1]), row[2]))
    return [*header, "invalid_reason"], both


def _ancestors() -> Table:
    header, rows = _facts("ancestors")
    selves = [[row[0], row[0], "0", "0"] for row in _facts("concepts")[1] if row[5] == "S"]
    return header, sorted([*rows, *selves], key=lambda row: (int(row[0]), int(row[1])))


def _write(path: Path, header: Iterable[str], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in (header, *rows):
            file.write("\t".join(row) + "\n")


def make_vocabulary(out: Path) -> None:
    """Write the stub's nine files to a folder."""
    out.mkdir(parents=True, exist_ok=True)
    tables: dict[str, Table] = {
        "CONCEPT": _concepts(),
        "CONCEPT_RELATIONSHIP": _relationships(),
        "CONCEPT_ANCESTOR": _ancestors(),
        "CONCEPT_SYNONYM": (list(SYNONYMS), []),
        "CONCEPT_CLASS": _facts("classes"),
        "DOMAIN": _facts("domains"),
        "DRUG_STRENGTH": _facts("drug_strength"),
        "RELATIONSHIP": _facts("relationship_types"),
        "VOCABULARY": _facts("vocabularies"),
    }
    for name, (header, rows) in tables.items():
        _write(out / f"{name}.csv", header, rows)
