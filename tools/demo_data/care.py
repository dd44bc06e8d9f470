"""A life's care: wellness visits, chronic and acute disease, hospital stays, in order of time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tools.demo_data import catalog as c
from tools.demo_data import catalog_care as care
from tools.demo_data import hospital
from tools.demo_data.catalog import Chronic, Code, Illness, Kind
from tools.demo_data.chart import Chart, Encounter, Person
from tools.demo_data.dice import DAY, Dice

YEAR = 365
WELLNESS_YEARS = 3
PANDEMIC = 737_425  # 2020-01-01
VACCINES = 726_468  # 1990-01-01; before, the vaccines of the catalogue did not exist

Step = tuple[int, int, Callable[[Chart], None]]


class Plan:
    """What will happen on which day; two things of one day happen in the order they were added."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def add(self, day: int, act: Callable[[Chart], None]) -> None:
        """Add something that happens on a day."""
        self.steps.append((day, len(self.steps), act))

    def live(self, chart: Chart) -> None:
        """Let it all happen, in order of time."""
        for _, _, act in sorted(self.steps, key=lambda step: step[:2]):
            act(chart)


def live(chart: Chart) -> None:
    """Fill a chart with everything that happens in a life but its end."""
    person, dice = chart.person, chart.dice
    plan = Plan()
    _plan_childhood(plan, person, dice)
    _plan_wellness(plan, person, dice)
    _plan_chronic(plan, person, dice)
    _plan_acute(plan, person, dice)
    _plan_stays(plan, person, dice)
    plan.live(chart)
    if dice.chance(45):
        for years_ago in (2, 1):
            moment = chart.at(person.end - years_ago * YEAR, 5)
            if moment // DAY > person.birth + YEAR:
                chart.quality_of_life(moment)


# ------------------------------------------------------------------------------------- wellness
def _plan_childhood(plan: Plan, person: Person, dice: Dice) -> None:
    for age, vaccines in care.CHILD_VACCINES:
        day = person.birth + age * YEAR + dice.between(10, 60)
        if day <= person.end and dice.chance(35):
            plan.add(day, partial(_grow, day=day, vaccines=vaccines))


def _grow(chart: Chart, day: int, vaccines: tuple[Code, ...]) -> None:
    seen = chart.visit(c.WELL_CHILD, day)
    years = chart.age(day)
    chart.measure(c.CHILD_HEIGHT, seen, 520 + 62 * years + chart.dice.between(-20, 20))
    chart.measure(c.CHILD_WEIGHT, seen, 40 + 32 * years + chart.dice.between(-5, 20))
    for vaccine in vaccines if day >= VACCINES else ():
        chart.immunization(vaccine, seen)


def _plan_wellness(plan: Plan, person: Person, dice: Dice) -> None:
    adult = person.birth + 18 * YEAR
    recent = max(adult, person.end - WELLNESS_YEARS * YEAR)
    day = adult + dice.between(0, 8 * YEAR)
    while day < recent:
        if dice.chance(50):
            plan.add(day, partial(_check, day=day))
        day += dice.between(8 * YEAR, 20 * YEAR)
    day = recent + dice.between(0, 300)
    while day <= person.end:
        plan.add(day, partial(_check, day=day))
        day += YEAR + dice.between(-20, 20)


def _check(chart: Chart, day: int) -> None:
    person, dice = chart.person, chart.dice
    seen = chart.visit(c.WELL_ADULT, day, 30)
    weight = person.weight + dice.between(-40, 40)
    if dice.chance(50):
        chart.measure(c.WEIGHT, seen, weight)
    if dice.chance(15):
        chart.measure(c.HEIGHT, seen, person.height)
        chart.measure(c.BMI, seen, weight * 1_000_000 // (person.height * person.height))
    chart.measure(c.SYSTOLIC, seen)
    chart.measure(c.DIASTOLIC, seen)
    if dice.chance(20):
        chart.measure(dice.pick((c.HEART_RATE, c.BREATHING, c.PAIN)), seen)
    _ask(chart, seen)
    _prevent(chart, seen)


def _ask(chart: Chart, seen: Encounter) -> None:
    dice = chart.dice
    if dice.chance(30):
        chart.answer(c.SMOKING, seen)
    if dice.chance(15):
        chart.answer(dice.pick((c.WORK, c.SAFE, c.SAFE)), seen)
    if dice.chance(15):
        chart.measure(dice.pick((c.FAMILY_SIZE, c.PHQ2)), seen)
    if dice.chance(12):
        chart.answer(dice.pick((c.URINE_PROTEIN, c.URINE_COLOR)), seen)
    if dice.chance(12):
        chart.measure(c.GLUCOSE, seen)
        chart.measure(c.ALANINE, seen)
    if dice.chance(25):
        what = dice.pick(care.FINDINGS)
        chart.condition(what, seen, seen.day, seen.day + dice.between(200, 900))


def _prevent(chart: Chart, seen: Encounter) -> None:
    dice, age = chart.dice, chart.age(seen.day)
    if dice.chance(45):
        chart.procedure(dice.pick(care.SCREENINGS), seen)
    if dice.chance(30):
        chart.immunization(care.INFLUENZA, seen)
    if dice.chance(10):
        chart.immunization(dice.pick(care.ADULT_VACCINES), seen)
    if age >= 50 and dice.chance(8):
        scoped = chart.visit(c.CHECK_UP, seen.day, 45)
        chart.procedure(care.COLONOSCOPY, scoped)
        if dice.chance(30):
            chart.procedure(care.POLYPECTOMY, scoped)
    if chart.person.female and 18 <= age <= 45 and dice.chance(15):
        chart.medication(c.MEDROXYPROGESTERONE, seen, seen.start, 90)
        chart.procedure(care.INJECTION, seen)


# -------------------------------------------------------------------------------------- disease
def _plan_chronic(plan: Plan, person: Person, dice: Dice) -> None:
    for disease in care.CHRONIC:
        earliest = person.birth + disease.min_age * YEAR
        if earliest + YEAR < person.end and dice.chance(disease.percent):
            onset = dice.between(max(earliest, person.end - 25 * YEAR), person.end - YEAR // 2)
            plan.add(onset, partial(_fall_ill, day=onset, disease=disease))
            last = person.end - dice.between(30, YEAR)
            for back in range(dice.between(1, 3)):
                day = last - back * YEAR
                if day > onset + 60:
                    plan.add(day, partial(_follow_up, day=day, disease=disease))
    if dice.chance(14):
        day = person.birth + dice.between(200, 12 * YEAR)
        if day < person.end:
            plan.add(day, partial(_react, day=day))


def _fall_ill(chart: Chart, day: int, disease: Chronic) -> None:
    seen = chart.visit(c.PROBLEM, day, 30, disease.what)
    chart.condition(disease.what, seen, day)
    for measure in disease.measures:
        chart.measure(measure, seen)
    if disease.drugs:
        drug = chart.dice.pick(disease.drugs)
        chart.medication(drug, seen, seen.start, drug.days, disease.what)
    if disease.plan:
        chart.plan(disease.plan, seen, 0, disease.what)
    if disease.what is care.DIABETES:
        chart.supply(care.TEST_STRIPS, seen, 50)
    if disease.what is care.HEART_FAILURE:
        chart.device(care.PACEMAKER, seen)


def _follow_up(chart: Chart, day: int, disease: Chronic) -> None:
    dice = chart.dice
    kind = c.VIRTUAL if day >= PANDEMIC and dice.chance(15) else c.FOLLOW_UP
    seen = chart.visit(kind, day, 20, disease.what)
    if disease.measures and kind is c.FOLLOW_UP:
        chart.measure(dice.pick(disease.measures), seen)
    for drug in disease.drugs[:2]:
        open_ended = dice.chance(25)
        days = 0 if open_ended else drug.days - dice.between(0, 20) if drug.days > 40 else drug.days
        chart.medication(drug, seen, seen.start, days, disease.what)
    if disease.measures and disease.measures[0] is c.FILTRATION and dice.chance(50):
        chart.procedure(care.DIALYSIS, seen, disease.what)
    elif disease.measures and disease.measures[0] is c.LUNG_RATIO:
        chart.procedure(care.SPIROMETRY, seen, disease.what)


def _react(chart: Chart, day: int) -> None:
    dice = chart.dice
    seen = chart.visit(c.PROBLEM, day, 30)
    start = dice.between(0, len(care.ALLERGENS) - 1)
    for step in range(dice.between(1, 4)):
        chart.allergy(care.ALLERGENS[(start + step * 5) % len(care.ALLERGENS)], seen)
    if dice.chance(40):
        chart.procedure(care.IMMUNOTHERAPY, seen)


def _plan_acute(plan: Plan, person: Person, dice: Dice) -> None:
    for _ in range(dice.between(0, 4)):
        since = person.birth if dice.chance(20) else max(person.birth, person.end - 10 * YEAR)
        day = dice.between(since + 20, max(since + 20, person.end - 5))
        if day <= person.end:
            illness = dice.pick(care.ACUTE)
            plan.add(day, partial(_ail, day=day, illness=illness))


def _ail(chart: Chart, day: int, illness: Illness) -> None:
    dice, age = chart.dice, chart.age(day)
    if not illness.min_age <= age <= illness.max_age:
        illness = care.ACUTE[0] if age >= 1 else care.ACUTE[4]
    if illness.what is care.COVID and day < PANDEMIC:
        illness = care.ACUTE[1]
    kind = _site(dice, day)
    seen = chart.visit(kind, day, 45 if kind is c.EMERGENCY else 15, illness.what)
    chart.condition(illness.what, seen, day, day + illness.days)
    for measure in illness.measures:
        chart.measure(measure, seen)
    if illness.what is care.COVID:
        chart.answer(c.VIRUS, seen)
    for procedure in illness.procedures:
        chart.procedure(procedure, seen, illness.what)
        if procedure is care.CHEST_XRAY:
            chart.chest_image(seen, procedure)
    for drug in illness.drugs:
        if dice.chance(80):
            chart.medication(drug, seen, seen.start, drug.days, illness.what)
    if illness.plan and dice.chance(70):
        chart.plan(illness.plan, seen, illness.days, illness.what)


def _site(dice: Dice, day: int) -> Kind:
    roll = dice.between(1, 100)
    if roll <= 12:
        return c.URGENT
    if roll <= 20:
        return c.EMERGENCY
    if roll <= 30:
        return c.CHECK_UP
    if roll <= 40 and day >= PANDEMIC:
        return c.VIRTUAL
    return c.SYMPTOM


# --------------------------------------------------------------------------------------- stays
def _plan_stays(plan: Plan, person: Person, dice: Dice) -> None:
    adult = person.birth + 20 * YEAR
    if person.female and person.end > adult + 2 * YEAR and dice.chance(22):
        day = dice.between(adult, min(adult + 20 * YEAR, person.end - YEAR))
        plan.add(day, partial(hospital.birth, day=day))
    years = (person.end - person.birth) // YEAR
    if years >= 6 and dice.chance(45 if years >= 60 else 15):
        possible = [why for why in care.ADMISSIONS if why.min_age < years]
        if possible:
            why = dice.pick(possible)
            day = dice.between(person.birth + why.min_age * YEAR, person.end - 50)
            plan.add(day, partial(hospital.admit, day=day, why=why))


def cause_of_death(dice: Dice) -> Code:
    """Return what somebody dies of."""
    return dice.pick(care.CAUSES_OF_DEATH)
