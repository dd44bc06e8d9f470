"""The deliberate oddities: which patient of each hundred carries which edge case.

Patient number `i` (from 1) carries the oddity of `i % 100`. So the set grows evenly with the number
of patients, and a patient's records do not depend on that number.
"""

from __future__ import annotations

from collections.abc import Callable

from tools.demo_data import catalog as c
from tools.demo_data import catalog_care as care
from tools.demo_data import hospital
from tools.demo_data.catalog import Answer, Code, Kind
from tools.demo_data.chart import NO_ENCOUNTER, Chart, Encounter
from tools.demo_data.dice import DAY, iso, stamp
from tools.demo_data.episodes import EPISODES

Oddity = Callable[[Chart], None]

# Columns of patients.csv that are replaced.
TRAITS: dict[int, dict[str, str]] = {
    3: {"GENDER": "U"},
    4: {"GENDER": ""},
    5: {"RACE": "other"},
    6: {"RACE": ""},
    7: {"ETHNICITY": "unknown"},
    8: {"RACE": "native"},
    9: {"RACE": "hawaiian"},
    10: {"ZIP": ""},
    11: {"COUNTY": "", "ZIP": ""},
}
NO_EVENTS = 13
NO_PAYER = 14
SECOND_PAYER, LAPSE = 15, 16
HOUSEHOLD = 17  # lives at the address of the patient before
LATE, UNMAPPED_CAUSE = 77, 79
DEAD = frozenset({LATE, UNMAPPED_CAUSE})


def is_adult(index: int) -> bool:
    """Say whether a patient must be a grown-up for the oddity to make sense."""
    return index % 100 in ODDITIES


def without_payer(index: int) -> bool:
    """Say whether a patient has no insurance history at all."""
    return index % 100 in {NO_EVENTS, NO_PAYER}


def add_oddity(chart: Chart) -> None:
    """Add the oddity of this patient, if there is one."""
    add = ODDITIES.get(chart.person.index % 100)
    if add:
        add(chart)


def _day(chart: Chart, ago: int = 200) -> int:
    return chart.person.end - ago


def _repeat(chart: Chart, name: str) -> None:
    chart.rows[name].append(chart.rows[name][-1])


def _spoil(chart: Chart, name: str, old: str, new: str) -> None:
    rows = chart.rows[name]
    rows[-1] = rows[-1].replace(old, new, 1)


# ----------------------------------------------------------------------------------- quarantine
def twins(chart: Chart) -> None:
    """Six rows are there twice, identical in every column."""
    seen = chart.visit(c.PROBLEM, _day(chart))
    chart.condition(care.PHARYNGITIS, seen, seen.day, seen.day + 10)
    chart.procedure(care.SUTURE, seen)
    chart.medication(c.IBUPROFEN, seen, seen.start, 14)
    chart.measure(c.TEMPERATURE, seen)
    chart.immunization(care.INFLUENZA, seen)
    for name in ("conditions", "procedures", "medications", "observations", "immunizations"):
        _repeat(chart, name)
    chart.answer(c.SMOKING, seen)
    _repeat(chart, "observations")


def stranger_condition(chart: Chart) -> None:
    """A condition of a patient who does not exist."""
    chart.condition(care.PNEUMONIA, NO_ENCOUNTER, _day(chart))
    _spoil(chart, "conditions", chart.person.id, chart.dice.uuid())


def stranger_observation(chart: Chart) -> None:
    """An observation of a patient who does not exist."""
    day = _day(chart)
    chart.measure(c.HEART_RATE, NO_ENCOUNTER._replace(start=chart.at(day, 9)))
    _spoil(chart, "observations", chart.person.id, chart.dice.uuid())


def stranger_procedure(chart: Chart) -> None:
    """A procedure of a patient who does not exist."""
    chart.procedure(care.ECHO, NO_ENCOUNTER._replace(start=chart.at(_day(chart), 9)))
    _spoil(chart, "procedures", chart.person.id, chart.dice.uuid())


def missing_start(chart: Chart) -> None:
    """A condition whose START is missing."""
    seen = chart.visit(c.PROBLEM, _day(chart))
    chart.condition(care.BRONCHITIS, seen, seen.day)
    _spoil(chart, "conditions", iso(seen.day), "")


def unreadable_date(chart: Chart) -> None:
    """An observation whose DATE is not a date."""
    seen = chart.visit(c.PROBLEM, _day(chart))
    chart.measure(c.WEIGHT, seen)
    _spoil(chart, "observations", stamp(seen.start), "last spring")


def impossible_date(chart: Chart) -> None:
    """A medication that starts on the 30th of February."""
    seen = chart.visit(c.PROBLEM, _day(chart))
    chart.medication(c.IBUPROFEN, seen, seen.start, 0)
    _spoil(chart, "medications", stamp(seen.start), "2024-02-30T09:00:00Z")


def timeless_encounter(chart: Chart) -> None:
    """An encounter whose START is unreadable, and a condition that points to it."""
    start = chart.at(_day(chart), 9)
    seen = chart.encounter(c.PROBLEM, start, start + 900, started="0000-00-00T00:00:00Z")
    chart.condition(care.PHARYNGITIS, seen, seen.day, seen.day + 10)


# --------------------------------------------------------------------------------------- visits
def chain(chart: Chart) -> None:
    """Three stays in a row: discharge on day D, readmission on D+1, and on the day of discharge."""
    day = _day(chart)
    hospital.emergency(chart, day, care.PNEUMONIA)
    first = hospital.stay(chart, day, 3, care.PNEUMONIA)
    chart.condition(care.PNEUMONIA, first, day, day + 30)
    hospital.stay(chart, day + 4, 2, care.PNEUMONIA)
    hospital.stay(chart, day + 6, 2, care.PNEUMONIA)
    hospital.stay(chart, day + 10, 1, care.PNEUMONIA)  # two days later: a visit of its own


def overlap(chart: Chart) -> None:
    """Two stays that overlap, as in a transfer, a visit inside, and a nursing home afterwards."""
    day = _day(chart)
    hospital.stay(chart, day, 5, care.STROKE)
    hospital.stay(chart, day + 3, 6, care.STROKE)
    chart.visit(c.CONSULT, day + 4, 30, care.STROKE)
    start = chart.at(day + 9, 14)
    chart.encounter(c.SNF, start, start + 12 * DAY, care.STROKE)


def urgent_first(chart: Chart) -> None:
    """Urgent care in the morning, a stay that begins in the afternoon."""
    day = _day(chart)
    start = chart.at(day, 8)
    chart.encounter(c.URGENT, start, start + 3600, care.PNEUMONIA)
    hospital.stay(chart, day, 2, care.PNEUMONIA)


def long_outpatient(chart: Chart) -> None:
    """An outpatient encounter that spans three days."""
    start = chart.at(_day(chart), 9)
    chart.encounter(c.CHECK_UP, start, start + 2 * DAY)


def two_emergencies(chart: Chart) -> None:
    """Two visits to the emergency room on one day."""
    day = _day(chart)
    start = chart.at(day, 6)
    chart.encounter(c.EMERGENCY, start, start + 3600)
    start = chart.at(day, 15)
    chart.encounter(c.EMERGENCY, start, start + 3600)


def three_visits(chart: Chart) -> None:
    """Three outpatient visits of three classes on one day, one of no length."""
    day = _day(chart)
    for kind in (c.WELL_ADULT, c.CHECK_UP, c.SYMPTOM):
        chart.visit(kind, day, 0 if kind is c.SYMPTOM else 20)


def _class(kind: Kind) -> Oddity:
    def add(chart: Chart) -> None:
        chart.visit(kind, _day(chart), 60)

    add.__doc__ = f"An encounter of class {kind.klass} that is over the same day."
    return add


def unknown_encounter(chart: Chart) -> None:
    """A procedure that points to an encounter which does not exist."""
    start = chart.at(_day(chart), 9)
    chart.procedure(care.ECHO, Encounter(chart.dice.uuid(), start, start, NO_ENCOUNTER.payer))


# ----------------------------------------------------------------------------------------- eras
def _drug_gap(gap: int) -> Oddity:
    def add(chart: Chart) -> None:
        start = _day(chart, 400)
        for days in (0, 30 + gap):
            seen = chart.visit(c.FOLLOW_UP, start + days, 20, care.HYPERTENSION)
            chart.medication(c.AMLODIPINE_5, seen, seen.day * DAY + 43_200, 30, care.HYPERTENSION)

    add.__doc__ = f"Two prescriptions; the second starts {gap} days after the first ends."
    return add


def _condition_gap(gap: int) -> Oddity:
    def add(chart: Chart) -> None:
        day = _day(chart, 400)
        for start in (day, day + 10 + gap):
            seen = chart.visit(c.SYMPTOM, start, 15, care.PHARYNGITIS)
            chart.condition(care.PHARYNGITIS, seen, start, start + 10)

    add.__doc__ = f"Two illnesses; the second starts {gap} days after the first ends."
    return add


# --------------------------------------------------------------------------------- dates, codes
def early(chart: Chart) -> None:
    """An observation a week before birth."""
    moment = (chart.person.birth - 7) * DAY + 43_200
    chart.measure(c.CHILD_WEIGHT, NO_ENCOUNTER._replace(start=moment), 31)


def late(chart: Chart) -> None:
    """Observations 30 days and 90 days after death."""
    for days in (30, 90):
        moment = (chart.person.end + days) * DAY + 43_200
        chart.measure(c.HEMOGLOBIN, NO_ENCOUNTER._replace(start=moment))


def _coded(what: Code) -> Oddity:
    def add(chart: Chart) -> None:
        seen = chart.visit(c.PROBLEM, _day(chart), 15, what)
        chart.condition(what, seen, seen.day)

    add.__doc__ = f"A condition with code {what.code}."
    return add


def _answered(what: Answer, value: str) -> Oddity:
    def add(chart: Chart) -> None:
        chart.answer(what._replace(values=(value,)), chart.visit(c.CHECK_UP, _day(chart)))

    add.__doc__ = f"An observation whose text is {value}."
    return add


ODDITIES: dict[int, Oddity] = {
    21: twins,
    31: stranger_condition,
    32: stranger_observation,
    33: stranger_procedure,
    41: missing_start,
    42: unreadable_date,
    43: impossible_date,
    44: timeless_encounter,
    51: chain,
    52: overlap,
    53: urgent_first,
    54: long_outpatient,
    55: two_emergencies,
    56: three_visits,
    61: _drug_gap(30),
    62: _drug_gap(31),
    63: _condition_gap(30),
    64: _condition_gap(31),
    71: _class(c.HOME),
    72: _class(c.SNF),
    73: _class(c.HOSPICE),
    74: _class(c.VIRTUAL),
    75: _class(c.PHARMACY),
    76: unknown_encounter,
    LATE: late,
    78: early,
    80: _coded(care.TWO_AT_ONCE),
    81: _coded(care.TWO_AT_ONCE),
    82: _coded(care.HISTORY_OF_CANCER),
    83: _coded(care.PREMATURE),
    84: _answered(c.SMOKING, "LA18978-9"),
    85: _answered(c.SMOKING, "Never smoker"),
    86: _answered(c.URINE_COLOR, "Amber"),
    87: _answered(c.SAFE, "LA33-6"),
    **EPISODES,
}
