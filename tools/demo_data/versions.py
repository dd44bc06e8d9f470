"""How Synthea's releases write the same records: the columns of each file, and the rows in that form.

The facts are those of Synthea's `CSVExporter.java` (later `CSVConstants.java`) and of the tables that OHDSI's
ETL-Synthea makes for each release.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from tools.demo_data import places
from tools.demo_data.columns import COLUMNS

SHIPPED = "3.0"
VERSIONS = ("2.7", "3.0", "3.1", "3.2", "3.3")

Row = dict[str, str]
Make = Callable[[Row], str]

_2_7 = {
    "payer_transitions": "PATIENT,START_YEAR,END_YEAR,PAYER,OWNERSHIP",
    "allergies": "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION",
    "observations": "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,VALUE,UNITS,TYPE",
    "procedures": "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,BASE_COST,REASONCODE,REASONDESCRIPTION",
}
_3_1 = {
    "patients": COLUMNS["patients"].replace(",COUNTY", ",COUNTY,FIPS") + ",INCOME",
    "payers": COLUMNS["payers"].replace(",NAME", ",NAME,OWNERSHIP"),
    "providers": COLUMNS["providers"].replace("UTILIZATION", "ENCOUNTERS,PROCEDURES"),
    "payer_transitions": ("PATIENT,MEMBERID,START_DATE,END_DATE,PAYER,SECONDARY_PAYER,PLAN_OWNERSHIP,OWNER_NAME"),
}
_3_3 = _3_1 | {
    "patients": _3_1["patients"].replace(",FIRST", ",FIRST,MIDDLE"),
    "conditions": COLUMNS["conditions"].replace(",CODE", ",SYSTEM,CODE"),
    "procedures": COLUMNS["procedures"].replace(",CODE", ",SYSTEM,CODE"),
}
CHANGED: Mapping[str, Mapping[str, str]] = {"2.7": _2_7, "3.0": {}, "3.1": _3_1, "3.2": _3_1, "3.3": _3_3}
"""Release → file → header, where it is not that of 3.0."""

RENAMED = {
    "START_DATE": "START_YEAR",
    "END_DATE": "END_YEAR",
    "PLAN_OWNERSHIP": "OWNERSHIP",
    "OWNER_NAME": "OWNERNAME",
    "ENCOUNTERS": "UTILIZATION",
}
"""Later name → the name in 3.0 of what a column holds."""
GOVERNMENT = {"Medicare", "Medicaid"}


def columns(version: str) -> dict[str, str]:
    """File → header of a release."""
    return {**COLUMNS, **CHANGED[version]}


def rewritten(name: str, lines: Iterable[str], version: str) -> Iterator[str]:
    """The lines of a file of 3.0 as another release writes them; no value holds a comma."""
    header = CHANGED[version].get(name)
    if header is None:
        yield from lines
        return
    before, after = COLUMNS[name].split(","), header.split(",")
    rows: Iterator[Row] = (dict(zip(before, line.split(","), strict=True)) for line in lines)
    if version == "2.7":
        rows = OLD.get(name, iter)(rows)
    made = MADE.get(name, {})
    for row in rows:
        yield ",".join(made[column](row) if column in made else row[_in(row, column)] for column in after)


def _in(row: Row, column: str) -> str:
    return column if column in row else RENAMED[column]


def _number(text: str, below: int) -> int:
    """A number that depends on a text alone."""
    return zlib.crc32(text.encode()) % below


def _fips(row: Row) -> str:
    return f"25{_number(row['COUNTY'], 1000):03d}" if row["COUNTY"] else ""


def _ownership(row: Row) -> str:
    if row["NAME"] == "NO_INSURANCE":
        return "NO_INSURANCE"
    return "GOVERNMENT" if row["NAME"] in GOVERNMENT else "PRIVATE"


MADE: dict[str, dict[str, Make]] = {
    "patients": {
        "FIPS": _fips,
        "INCOME": lambda row: str(8000 + _number(row["Id"], 120_000)),
        "MIDDLE": lambda row: places.FEMALE[_number(row["Id"], len(places.FEMALE))],
    },
    "payers": {"OWNERSHIP": _ownership},
    "providers": {"PROCEDURES": lambda row: str(int(row["UTILIZATION"]) // 3)},
    # The modules of Synthea write the system in one of these ways.
    "conditions": {"SYSTEM": lambda _: "SNOMED-CT"},
    "procedures": {"SYSTEM": lambda _: "http://snomed.info/sct", "DATE": lambda row: row["START"]},
}
"""File → column → its value, for columns that 3.0 does not have."""


def _whole_years(rows: Iterator[Row]) -> Iterator[Row]:
    """Periods of whole years, the last one included: a patient's next period begins with the next year."""
    patient, last = "", 0
    for row in rows:
        if row["PATIENT"] != patient:
            patient, last = row["PATIENT"], 0
        start, end = max(int(row["START_YEAR"][:4]), last + 1), int(row["END_YEAR"][:4])
        if start <= end:
            last = end
            yield row | {"START_YEAR": str(start), "END_YEAR": str(end)}


def _without_drugs(rows: Iterator[Row]) -> Iterator[Row]:
    """Allergies that SNOMED has a code for; without a column for the system there is no other."""
    return (row for row in rows if row["SYSTEM"] != "RxNorm")


OLD: dict[str, Callable[[Iterator[Row]], Iterator[Row]]] = {
    "payer_transitions": _whole_years,
    "allergies": _without_drugs,
}
"""File → what becomes of its rows in 2.7, whose columns can say less."""
