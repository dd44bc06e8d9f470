"""Makes the patients one by one and writes them to files as they are made."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from tools.demo_data import care, hospital, patients, vocabulary
from tools.demo_data.catalog_care import ALCOHOL
from tools.demo_data.chart import Chart, Rows
from tools.demo_data.columns import PATIENT_FILES
from tools.demo_data.dice import Dice
from tools.demo_data.facilities import Facilities, make_facilities
from tools.demo_data.oddities import NO_EVENTS, UNMAPPED_CAUSE, add_oddity
from tools.demo_data.versions import SHIPPED, VERSIONS, columns, rewritten

BATCH = 200  # patients held in memory


def make_patient(index: int, seed: int, facilities: Facilities, rows: Rows) -> None:
    """Add all rows of patient number `index`; they depend on the seed and the index alone."""
    dice = Dice(f"{seed}:{index}")
    person = patients.make_person(index, dice, facilities)
    chart = Chart(person, dice, facilities, rows)
    patients.write_transitions(chart)
    if index % 100 != NO_EVENTS:
        care.live(chart)
        add_oddity(chart)
        if person.dead:
            unmapped = index % 100 == UNMAPPED_CAUSE
            hospital.die(chart, ALCOHOL if unmapped else care.cause_of_death(dice))
    patients.write_patient(chart, seed)


def make_source(count: int, seed: int, out: Path, version: str = SHIPPED) -> None:
    """Write the files of `count` patients to a folder, in the format of a release of Synthea."""
    out.mkdir(parents=True, exist_ok=True)
    facilities = make_facilities(seed)
    with ExitStack() as stack:
        files = {name: stack.enter_context(_open(out, name, version)) for name in PATIENT_FILES}
        for start in range(1, count + 1, BATCH):
            rows: Rows = {name: [] for name in PATIENT_FILES}
            for index in range(start, min(start + BATCH, count + 1)):
                make_patient(index, seed, facilities, rows)
            for name, file in files.items():
                _write(file, list(rewritten(name, rows[name], version)))
    for name, lines in facilities.rows().items():
        with _open(out, name, version) as file:
            _write(file, list(rewritten(name, lines, version)))


def _open(out: Path, name: str, version: str) -> TextIO:
    file = (out / f"{name}.csv").open("w", encoding="utf-8", newline="\n")
    file.write(columns(version)[name] + "\n")
    return file


def _write(file: TextIO, rows: Sequence[str]) -> None:
    if rows:
        file.write("\n".join(rows) + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line and make what it asks for."""
    parser = argparse.ArgumentParser(prog="make.py", description="Make up patients in Synthea's CSV format.")
    parser.add_argument("--patients", type=int, default=100, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=42, metavar="S", help="decides every byte")
    parser.add_argument("--synthea-version", choices=VERSIONS, default=SHIPPED, help=f"whose format ({SHIPPED})")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to fill")
    parser.add_argument("--vocabulary-out", type=Path, metavar="DIR", help="folder for the vocabulary stub")
    asked = parser.parse_args(argv)
    if asked.patients < 0:
        parser.error(f"--patients is {asked.patients}; it must be 0 or more")
    make_source(asked.patients, asked.seed, asked.out, asked.synthea_version)
    if asked.vocabulary_out:
        vocabulary.make_vocabulary(asked.vocabulary_out)
    return 0
