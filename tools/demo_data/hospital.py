"""Hospital stays: emergency rooms, admissions, readmissions and what follows them."""

from __future__ import annotations

from tools.demo_data import catalog as c
from tools.demo_data import catalog_care as care
from tools.demo_data.catalog import Admission, Code
from tools.demo_data.chart import NO_REASON, Chart, Encounter
from tools.demo_data.dice import DAY


def stay(chart: Chart, day: int, nights: int, reason: Code = NO_REASON) -> Encounter:
    """Record an inpatient stay that begins in the afternoon and ends in the morning."""
    return chart.encounter(c.INPATIENT, chart.at(day, 17), chart.at(day + nights, 10), reason)


def emergency(chart: Chart, day: int, reason: Code = NO_REASON) -> Encounter:
    """Record a visit to the emergency room that is over by the afternoon."""
    start = chart.at(day, chart.dice.between(2, 12))
    return chart.encounter(c.EMERGENCY, start, start + chart.dice.between(1, 4) * 3600, reason)


def admit(chart: Chart, day: int, why: Admission) -> None:
    """Record an admission with all that it brings, if the patient lives long enough for it."""
    dice = chart.dice
    nights = dice.between(1, 7)
    if day + nights + 40 > chart.person.end:
        return
    first = emergency(chart, day, why.what) if dice.chance(75) else None
    inside = stay(chart, day, nights, why.what)
    home = day + nights
    chart.condition(why.what, first or inside, day, home + 20)
    _treat(chart, inside, why)
    if nights >= 3 and dice.chance(40):
        chart.visit(c.CONSULT, day + 1, 30, why.what)
    if dice.chance(15):
        again = stay(chart, home + 1, 2, why.what)
        chart.measure(c.LEUKOCYTES, again)
        home += 3
    _after(chart, home, why.what)


def _treat(chart: Chart, inside: Encounter, why: Admission) -> None:
    dice = chart.dice
    for what in why.procedures:
        chart.procedure(what, inside, why.what)
        if what is care.CHEST_XRAY:
            chart.chest_image(inside, what)
    for drug in why.drugs:
        chart.medication(drug, inside, inside.start, drug.days, why.what)
    if why.device:
        chart.device(why.device, inside)
    for measure in (c.LEUKOCYTES, c.HEMOGLOBIN, c.SATURATION, c.TEMPERATURE, c.ALANINE):
        if dice.chance(50):
            chart.measure(measure, inside)
    if dice.chance(50):
        for item in care.SUPPLIES:
            if dice.chance(50):
                chart.supply(item, inside, dice.between(1, 24))


def _after(chart: Chart, day: int, why: Code) -> None:
    dice, age = chart.dice, chart.age(day)
    if age >= 70 and dice.chance(30):
        start = chart.at(day, 14)
        chart.encounter(c.SNF, start, start + dice.between(5, 14) * DAY, why)
    elif age >= 55 and dice.chance(30):
        chart.visit(c.HOME, day + dice.between(3, 10), 45, why)
    chart.visit(c.FOLLOW_UP, day + dice.between(14, 20), 20, why)


def birth(chart: Chart, day: int) -> None:
    """Record a pregnancy: prenatal visits and a delivery in hospital."""
    if day + 290 > chart.person.end:
        return
    first = chart.visit(c.PRENATAL_FIRST, day + 60, 30, care.PREGNANCY)
    chart.condition(care.PREGNANCY, first, day + 60, day + 280)
    chart.procedure(care.PREGNANCY_TEST, first, care.PREGNANCY)
    chart.answer(c.URINE_PROTEIN, first)
    chart.plan(care.ANTENATAL_CARE, first, 220, care.PREGNANCY)
    for week in (120, 200):
        seen = chart.visit(c.PRENATAL, day + week, 20, care.PREGNANCY)
        chart.procedure(care.FUNDAL_HEIGHT, seen, care.PREGNANCY)
        chart.procedure(care.FETAL_HEART, seen, care.PREGNANCY)
    delivered = stay(chart, day + 280, chart.dice.between(1, 3), care.PREGNANCY)
    chart.procedure(care.CHILDBIRTH, delivered, care.PREGNANCY)


def die(chart: Chart, cause: Code) -> None:
    """Record the end of a life: often hospice, and always the certificate, a week later."""
    person, dice = chart.person, chart.dice
    if chart.age(person.end) >= 65 and dice.chance(50):
        start = chart.at(person.end - dice.between(3, 20), 13)
        chart.encounter(c.HOSPICE, start, person.end * DAY + 9 * 3600, cause)
    start = chart.at(person.end + 7, 11)
    seen = chart.encounter(c.DEATH, start, start + 900, cause)
    chart.procedure(care.CERTIFICATION, seen, cause)
    what = c.CAUSE_OF_DEATH
    chart.answer(c.Answer("exam", what.code, what.text, (cause.text,)), seen)
