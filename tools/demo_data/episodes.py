"""Oddities of several records: nights in hospital, courses of a drug, prices, images, devices."""

from __future__ import annotations

from tools.demo_data import catalog as c
from tools.demo_data import catalog_care as care
from tools.demo_data import hospital
from tools.demo_data.chart import Chart
from tools.demo_data.dice import DAY

HOUR = 3600
YEAR_AGO = 400
NOON = 12 * HOUR


def _day(chart: Chart, ago: int = 200) -> int:
    return chart.person.end - ago


# --------------------------------------------------------------------------------------- nights
def overnight(chart: Chart) -> None:
    """An emergency over midnight, and a stay that begins in the same night."""
    start = chart.at(_day(chart), 22)
    chart.encounter(c.EMERGENCY, start, start + 5 * HOUR, care.PNEUMONIA)
    chart.encounter(c.INPATIENT, start + 6 * HOUR, start + 3 * DAY, care.PNEUMONIA)


def within(chart: Chart) -> None:
    """A stay of one night that lies wholly in another, and an emergency in it."""
    day = _day(chart)
    hospital.stay(chart, day, 6, care.STROKE)
    hospital.stay(chart, day + 2, 1, care.STROKE)
    hospital.emergency(chart, day + 4, care.STROKE)


def night_watch(chart: Chart) -> None:
    """An emergency over midnight that no stay follows."""
    start = chart.at(_day(chart), 23)
    chart.encounter(c.EMERGENCY, start, start + 3 * HOUR)


# -------------------------------------------------------------------------------------- courses
def overlapping_courses(chart: Chart) -> None:
    """Three courses of a drug: the second begins before the first ends, the third 30 days after the second."""
    first = _day(chart, YEAR_AGO)
    for day in (first, first + 20, first + 20 + 60):
        seen = chart.visit(c.FOLLOW_UP, day, 20, care.HYPERTENSION)
        chart.medication(c.AMLODIPINE_5, seen, day * DAY + NOON, 30, care.HYPERTENSION)


def two_strengths(chart: Chart) -> None:
    """One ingredient in two strengths, the second 15 days after the first, and once more on the same days."""
    first = _day(chart, YEAR_AGO)
    for day, drug in ((first, c.AMLODIPINE_5), (first + 45, c.AMLODIPINE_2), (first + 45, c.AMLODIPINE_5)):
        seen = chart.visit(c.FOLLOW_UP, day, 20, care.HYPERTENSION)
        chart.medication(drug, seen, day * DAY + NOON, 30, care.HYPERTENSION)


def nested_illness(chart: Chart) -> None:
    """A long illness, a short one of the same kind in it, and one that does not end."""
    day = _day(chart, YEAR_AGO)
    for start, stop in ((day, day + 60), (day + 20, day + 25), (day + 80, 0)):
        seen = chart.visit(c.SYMPTOM, start, 15, care.BRONCHITIS)
        chart.condition(care.BRONCHITIS, seen, start, stop)


# --------------------------------------------------------------------- prices, images, devices
def one_price(chart: Chart) -> None:
    """A procedure and a drug, each with a price, whose codes map to two standard concepts."""
    seen = chart.visit(c.CHECK_UP, _day(chart), 45)
    chart.procedure(care.SCOPE_AND_REMOVE, seen)
    chart.medication(c.TWO_DRUG_KIT, seen, seen.start, 10)


def no_price(chart: Chart) -> None:
    """A procedure and a drug that cost nothing."""
    seen = chart.visit(c.CHECK_UP, _day(chart))
    chart.procedure(care.URINE_CULTURE, seen, cents=0)
    chart.medication(c.IBUPROFEN._replace(cents=0), seen, seen.start, 14)


def images(chart: Chart) -> None:
    """An imaging study of two series and three images: three rows with one Id."""
    seen = chart.visit(c.CHECK_UP, _day(chart), 30)
    chart.procedure(care.CHEST_XRAY, seen)
    chart.chest_image(seen, care.CHEST_XRAY, images=(2, 1))


def removed_device(chart: Chart) -> None:
    """A device that is taken out again, and one without a UDI."""
    seen = chart.visit(c.CHECK_UP, _day(chart), 30)
    chart.device(care.PACEMAKER, seen, days=90)
    chart.device(care.PACEMAKER, seen, known=False)


EPISODES = {
    57: overnight,
    58: within,
    59: night_watch,
    65: overlapping_courses,
    66: two_strengths,
    67: nested_illness,
    88: one_price,
    89: no_price,
    90: images,
    91: removed_device,
}
