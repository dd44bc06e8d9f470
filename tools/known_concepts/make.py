"""Write the well-known concepts, to check constants with, from the demo's vocabulary and further facts.

Usage: `python -m tools.known_concepts.make [--output FILE]`. `facts.csv` beside this program holds what the
demo's vocabulary lacks: further type concepts, visits, currencies, units.
"""

import argparse
import csv
import io
from pathlib import Path

from omopcloudetl.core.specification.concepts import COLUMNS

ROOT = Path(__file__).resolve().parents[2]
FACTS = Path(__file__).resolve().parent / "facts.csv"
RESOURCES = ROOT / "packages/omop-resources/src/omopcloudetl/omop_resources"
DEMO = RESOURCES / "demo/vocabulary/CONCEPT.csv"
SHIPPED = RESOURCES / "concepts/known.csv"
LONGEST_NAME = 60


def make() -> str:
    """Return the text of the file: one concept a line, by id."""
    with DEMO.open(encoding="utf-8", newline="") as file:
        concepts = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    with FACTS.open(encoding="utf-8", newline="") as file:
        concepts += csv.DictReader(file)
    by_id = {int(concept["concept_id"]): concept for concept in concepts}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for _, concept in sorted(by_id.items()):
        row = {**concept, "concept_name": _shortened(concept["concept_name"])}
        writer.writerow(row[column] for column in COLUMNS)
    return out.getvalue()


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1].rstrip()}…"


def main(arguments: list[str] | None = None) -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Write the well-known concepts.")
    parser.add_argument("--output", type=Path, default=SHIPPED)
    parser.parse_args(arguments).output.write_text(make(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
