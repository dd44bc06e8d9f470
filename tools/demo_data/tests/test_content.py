from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest

from tools.demo_data.columns import PATIENT_FILES
from tools.demo_data.maker import make_source
from tools.demo_data.oddities import ODDITIES
from tools.demo_data.tests.conftest import Table, read

Source = dict[str, Table]
EVENTS = tuple(n for n in PATIENT_FILES if n not in {"patients", "payer_transitions", "encounters"})


def day(text: str) -> date:
    """Return the day of a date or a timestamp."""
    return date.fromisoformat(text[:10])


def unreadable(row: dict[str, str]) -> bool:
    """Say whether a row's required date can't be read."""
    text = row.get("START", row.get("DATE", ""))
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return True
    return False


def strangers(source: Source) -> Counter[str]:
    """Count the rows of patients who do not exist, by file."""
    known = {row["Id"] for row in source["patients"]}
    return Counter(n for n in EVENTS for row in source[n] if row["PATIENT"] not in known)


def of_class(source: Source, klass: str) -> Table:
    """Return the encounters of a class."""
    return [row for row in source["encounters"] if row["ENCOUNTERCLASS"] == klass]


def stays(source: Source) -> list[tuple[str, str, str]]:
    """Return patient, start and stop of every inpatient encounter, in order."""
    return sorted((e["PATIENT"], e["START"], e["STOP"]) for e in of_class(source, "inpatient"))


def stay_gaps(source: Source) -> Counter[int]:
    """Count the days between one stay's stop and the same patient's next start."""
    rows = stays(source)
    pairs = itertools.pairwise(rows)
    return Counter((day(b[1]) - day(a[2])).days for a, b in pairs if a[0] == b[0])


def gaps(source: Source, name: str, code: str) -> set[int]:
    """Return the days between one row's STOP and the next START of a patient and code."""
    rows = [r for r in source[name] if r["CODE"] == code and r["STOP"] and r["START"]]
    rows.sort(key=lambda r: (r["PATIENT"], r["START"]))
    pairs = itertools.pairwise(rows)
    return {(day(b["START"]) - day(a["STOP"])).days for a, b in pairs if a["PATIENT"] == b["PATIENT"]}


def inside_stay(source: Source) -> bool:
    """Say whether an encounter of another class starts inside a stay."""
    return any(
        p == e["PATIENT"] and start < e["START"] < stop
        for p, start, stop in stays(source)
        for e in source["encounters"]
        if e["ENCOUNTERCLASS"] != "inpatient"
    )


def same_day(source: Source, klass: str, then: str) -> bool:
    """Say whether a patient has encounters of both classes that start on one day."""
    first, second = (Counter((e["PATIENT"], e["START"][:10]) for e in of_class(source, k)) for k in (klass, then))
    return any(n + second[key] > 1 and second[key] for key, n in first.items())


def nights(encounter: dict[str, str]) -> int:
    """Return how many midnights an encounter spans."""
    return (day(encounter["STOP"]) - day(encounter["START"])).days


def overnight(source: Source, then: str) -> int:
    """Count the emergencies over midnight on whose last day an encounter of a class starts."""
    starts = {(e["PATIENT"], e["START"][:10]) for e in of_class(source, then)}
    return sum(nights(e) == 1 and (e["PATIENT"], e["STOP"][:10]) in starts for e in of_class(source, "emergency"))


def prescribed_at_once(source: Source) -> set[str]:
    """Return the codes of drugs that a patient got at one moment, of the patient and moment with amlodipine twice."""
    groups: dict[tuple[str, str], set[str]] = {}
    for row in source["medications"]:
        groups.setdefault((row["PATIENT"], row["START"]), set()).add(row["CODE"])
    return next(codes for codes in groups.values() if {"197361", "308136"} <= codes)


def priced(rows: Table, code: str, column: str) -> bool:
    """Say whether the rows of a code have a price."""
    return all(float(row[column]) > 0 for row in [r for r in rows if r["CODE"] == code])


def lapses(source: Source) -> int:
    """Count the pairs of insurance periods of a patient with a time between them."""
    pairs = itertools.pairwise(source["payer_transitions"])
    return sum(a["PATIENT"] == b["PATIENT"] and a["END_YEAR"] < b["START_YEAR"] for a, b in pairs)


def texts(source: Source) -> set[str]:
    """Return the values of text observations."""
    return {row["VALUE"] for row in source["observations"] if row["TYPE"] == "text"}


def after_death(source: Source) -> list[int]:
    """Return the days after death of observations without an encounter."""
    died = {p["Id"]: day(p["DEATHDATE"]) for p in source["patients"] if p["DEATHDATE"]}
    rows = [r for r in source["observations"] if r["PATIENT"] in died and not r["ENCOUNTER"]]
    late = [(day(r["DATE"]) - died[r["PATIENT"]]).days for r in rows]
    return sorted(days for days in late if days > 0)


def before_birth(source: Source) -> int:
    """Count the observations before birth."""
    born = {p["Id"]: p["BIRTHDATE"] for p in source["patients"]}
    rows = source["observations"]
    return sum(r["DATE"][:10] < born.get(r["PATIENT"], "") for r in rows)


CASES: dict[str, Callable[[Source], bool]] = {
    "unknown gender": lambda s: {p["GENDER"] for p in s["patients"]} == {"M", "F", "U", ""},
    "unknown race": lambda s: {"other", ""} <= {p["RACE"] for p in s["patients"]},
    "unknown ethnicity": lambda s: "unknown" in {p["ETHNICITY"] for p in s["patients"]},
    "missing postal code": lambda s: any(not p["ZIP"] for p in s["patients"]),
    "shared address": lambda s: max(Counter(p["ADDRESS"] for p in s["patients"]).values()) == 2,
    "no events": lambda s: len({p["Id"] for p in s["patients"]} - {e["PATIENT"] for e in s["encounters"]}) == 1,
    "no payer": lambda s: len({p["Id"] for p in s["patients"]} - {t["PATIENT"] for t in s["payer_transitions"]}) == 2,
    "readmission": lambda s: stay_gaps(s)[1] > 1 and stay_gaps(s)[0] > 0 and stay_gaps(s)[2] > 0,
    "overlapping stays": lambda s: any(gap < 0 for gap in stay_gaps(s)),
    "inside a stay": inside_stay,
    "emergency becomes inpatient": lambda s: same_day(s, "emergency", "inpatient"),
    "urgent care becomes inpatient": lambda s: same_day(s, "urgentcare", "inpatient"),
    "two emergencies": lambda s: same_day(s, "emergency", "emergency"),
    "long outpatient": lambda s: any(e["START"][:10] < e["STOP"][:10] for e in of_class(s, "outpatient")),
    "nursing home": lambda s: any(e["START"][:10] < e["STOP"][:10] for e in of_class(s, "snf")),
    "overnight": lambda s: overnight(s, "inpatient") == 1,
    "no stay after the night": lambda s: any(nights(e) == 1 for e in of_class(s, "emergency")),
    "stay in a stay": lambda s: any(
        a[0] == b[0] and a[1] < b[1] and b[2] < a[2] for a, b in itertools.pairwise(stays(s))
    ),
    "no length": lambda s: any(e["START"] == e["STOP"] for e in s["encounters"]),
    "drug gap": lambda s: {30, 31} <= gaps(s, "medications", "197361"),
    "condition gap": lambda s: {30, 31} <= gaps(s, "conditions", "195662009"),
    "courses overlap": lambda s: min(gaps(s, "medications", "197361")) < 0,
    "two strengths": lambda s: {"197361", "308136"} <= prescribed_at_once(s),
    "illness in an illness": lambda s: min(gaps(s, "conditions", "10509002")) < 0,
    "one price for two": lambda s: (
        priced(s["procedures"], "demo-0003", "BASE_COST") and priced(s["medications"], "demo-rx-002", "TOTALCOST")
    ),
    "no price": lambda s: all(any(r["BASE_COST"] == "0.00" for r in s[name]) for name in ("procedures", "medications")),
    "lapse of insurance": lambda s: lapses(s) == 1,
    "second payer": lambda s: any(t["SECONDARY_PAYER"] for t in s["payer_transitions"]),
    "study of several images": lambda s: max(Counter(r["Id"] for r in s["imaging_studies"]).values()) == 3,
    "device removed": lambda s: any(r["STOP"] for r in s["devices"]),
    "device without UDI": lambda s: any(not r["UDI"] for r in s["devices"]),
    "open medication": lambda s: {bool(r["STOP"]) for r in s["medications"]} == {True, False},
    "allergy systems": lambda s: {r["SYSTEM"] for r in s["allergies"]} == {"SNOMED-CT", "RxNorm"},
    "one to many": lambda s: any(r["CODE"] == "demo-0001" for r in s["conditions"]),
    "maps to value": lambda s: any(r["CODE"] == "demo-0002" for r in s["conditions"]),
    "value is a name": lambda s: {"Never smoker", "Positive", "Yes"} <= texts(s),
    "value is a code": lambda s: {"LA18978-9", "LA33-6", "LA6577-6"} <= texts(s),
    "value is text": lambda s: {"Amber", "Unsure"} <= texts(s),
    "units": lambda s: {"{score}", "{#}", "U/L"} <= {r["UNITS"] for r in s["observations"]},
    "after death": lambda s: after_death(s) == [30, 90],
    "before birth": lambda s: before_birth(s) == 1,
    "unknown encounter": lambda s: (
        len({r["ENCOUNTER"] for r in s["procedures"]} - {e["Id"] for e in s["encounters"]} - {""}) == 1
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_edge_case_is_there(source: Source, case: str) -> None:
    """A hundred patients hold every edge case that the README promises."""
    assert CASES[case](source)


def test_every_class_of_encounter_is_there(source: Source) -> None:
    """All of Synthea's classes occur, and one that the rules do not name."""
    expected = "ambulatory wellness outpatient emergency urgentcare inpatient home snf hospice"
    assert {e["ENCOUNTERCLASS"] for e in source["encounters"]} == {
        *expected.split(),
        "virtual",
        "pharmacy",
    }


def test_few_rows_are_for_the_quarantine(source: Source) -> None:
    """Three rows have no patient and four have no date."""
    assert strangers(source) == Counter(conditions=1, procedures=1, observations=1)
    undated = Counter(n for n in ("encounters", *EVENTS) for r in source[n] if unreadable(r))
    assert undated == Counter(conditions=1, observations=1, medications=1, encounters=1)


def test_few_rows_are_twins(source: Source) -> None:
    """Six rows occur twice, and no row three times."""
    rows = Counter((n, tuple(r.values())) for n in EVENTS for r in source[n])
    assert Counter(rows.values())[2] == 6
    assert max(rows.values()) == 2


def test_ids_are_unique_and_found(source: Source) -> None:
    """Encounters, patients, providers, organizations and payers have ids, and others find them."""
    ids = {n: [r["Id"] for r in rows] for n, rows in source.items() if rows and "Id" in rows[0]}
    del ids["imaging_studies"]  # one for all images of a study
    assert all(len(set(values)) == len(values) for values in ids.values())
    for column, name in (
        ("PATIENT", "patients"),
        ("ORGANIZATION", "organizations"),
        ("PROVIDER", "providers"),
        ("PAYER", "payers"),
    ):
        assert {e[column] for e in source["encounters"]} <= set(ids[name])
    known = {*ids["encounters"], ""}
    unknown = Counter(n for n in EVENTS for r in source[n] if r["ENCOUNTER"] not in known)
    assert unknown == Counter(procedures=1)


def test_the_dead_have_a_certificate(source: Source) -> None:
    """Each of the dead has one death certificate with a cause, and nobody else has."""
    dead = sorted(p["Id"] for p in source["patients"] if p["DEATHDATE"])
    certificates = [e for e in source["encounters"] if e["CODE"] == "308646001"]
    assert sorted(e["PATIENT"] for e in certificates) == dead
    assert all(e["REASONCODE"] for e in certificates)


def test_rates_are_plausible(tmp_path: Path) -> None:
    """Of 1,000 patients about 6 % are dead, half are women, each has 20 to 60 events."""
    make_source(1000, 3, tmp_path)
    people = read(tmp_path / "patients.csv")
    assert 40 <= sum(bool(p["DEATHDATE"]) for p in people) <= 110
    assert 450 <= sum(p["GENDER"] == "F" for p in people) <= 550
    events = sum(len(read(tmp_path / f"{name}.csv")) for name in EVENTS)
    assert 20 <= events / 1000 <= 60


def test_every_oddity_says_what_it_is() -> None:
    """An oddity has a docstring, and no two are the same but a code that comes twice."""
    described = [add.__doc__ for add in ODDITIES.values()]
    assert None not in described
    assert len(set(described)) == len(described) - 1
