"""Who the patients are: birth, death, names, addresses and insurance."""

from __future__ import annotations

from tools.demo_data import places
from tools.demo_data.chart import Chart, Coverage, Person
from tools.demo_data.dice import DAY, LAST_DAY, Dice, iso, money, stamp
from tools.demo_data.facilities import Facilities, Payer
from tools.demo_data.oddities import DEAD, HOUSEHOLD, LAPSE, SECOND_PAYER, TRAITS, is_adult, without_payer

RACES = ("white",) * 13 + ("black",) * 3 + ("asian",) * 2 + ("native", "other")
YEAR = 365
LAPSE_DAYS = 90


def make_person(index: int, dice: Dice, facilities: Facilities) -> Person:
    """Make patient number `index`; nothing here depends on how many there are."""
    adult = is_adult(index)
    birth = LAST_DAY - dice.between(30 * YEAR if adult else 30, 92 * YEAR)
    age = (LAST_DAY - birth) // YEAR
    dead = dice.chance(18 if age >= 65 else 1.5)
    lived = dice.between(age * YEAR * 3 // 4, age * YEAR - 30) if age > 1 else 0
    dead = index % 100 in DEAD or (dead and not adult and lived > 0)
    end = birth + lived if dead else LAST_DAY
    dice_id = dice.uuid()
    return Person(
        index=index,
        id=dice_id,
        birth=birth,
        end=end,
        dead=dead,
        female=dice.chance(51),
        second=dice.between(0, 59),
        height=dice.between(1520, 1930),
        weight=dice.between(520, 1150),
        place=dice.pick(facilities.places),
        coverage=_coverage(dice, birth, end, facilities.payers),
    )


def _coverage(dice: Dice, birth: int, end: int, payers: tuple[Payer, ...]) -> tuple[Coverage, ...]:
    spans: list[Coverage] = []
    day = birth
    while day < end:
        old = day - birth >= 65 * YEAR
        payer = payers[0] if old else dice.pick(payers[1:])
        until = day + dice.between(4 * YEAR, 22 * YEAR)
        if not old:
            until = min(until, birth + 65 * YEAR)
        until = min(until, end)
        spans.append(Coverage(until, payer))
        day = until
    return tuple(spans)


def write_transitions(chart: Chart) -> None:
    """Write the insurance history; a period starts at the moment at which the last one ended, but for a lapse."""
    person, dice = chart.person, chart.dice
    if without_payer(person.index):
        return
    noon = 12 * 3600 + person.second
    start = person.birth
    lapse = LAPSE_DAYS if person.index % 100 == LAPSE else 0
    second = chart.facilities.payers[1].id if person.index % 100 == SECOND_PAYER else ""
    for until, payer in person.coverage:
        if start >= until:
            continue
        age = (start - person.birth) // YEAR
        owner = "Guardian" if age < 18 else dice.pick(("Self", "Self", "Spouse"))
        name = f"{places.first_name(dice, female=dice.chance(50))} {places.family_name(dice)}"
        chart.rows["payer_transitions"].append(
            f"{person.id},{dice.uuid()},{stamp(start * DAY + noon)},{stamp(until * DAY + noon)},"
            f"{payer.id},{second},{owner},{name}"
        )
        start = until + lapse
    for id_ in {payer.id for _, payer in person.coverage}:
        chart.facilities.use[id_].customers += 1


def write_patient(chart: Chart, seed: int) -> None:
    """Write the row of patients.csv; expenses are those of the chart so far."""
    person, dice = chart.person, chart.dice
    home_of = person.index - 1 if person.index % 100 == HOUSEHOLD else person.index
    home = places.address(Dice(f"{seed}:home:{home_of}"))
    age = (LAST_DAY - person.birth) // YEAR
    married = age >= 22 and dice.chance(60)
    gender = "F" if person.female else "M"
    prefix = "" if age < 18 else "Mr." if gender == "M" else "Mrs." if married else "Ms."
    row = {
        "DRIVERS": f"S999{dice.between(10000, 99999)}" if age >= 16 else "",
        "PASSPORT": f"X{dice.between(10000000, 99999999)}X" if age >= 20 else "",
        "PREFIX": prefix,
        "MAIDEN": places.family_name(dice) if married and person.female else "",
        "MARITAL": ("M" if married else dice.pick(("S", "D", "W"))) if age >= 18 else "",
        "RACE": dice.pick(RACES),
        "ETHNICITY": "hispanic" if dice.chance(12) else "nonhispanic",
        "GENDER": gender,
        "COUNTY": home.town.county,
        "ZIP": home.zip,
        **TRAITS.get(person.index % 100, {}),
    }
    ssn = f"999-{dice.between(10, 99)}-{dice.between(1000, 9999)}"
    first = places.first_name(dice, female=person.female)
    death = iso(person.end) if person.dead else ""
    chart.rows["patients"].append(
        f"{person.id},{iso(person.birth)},{death},{ssn},{row['DRIVERS']},{row['PASSPORT']},"
        f"{row['PREFIX']},{first},{places.family_name(dice)},,{row['MAIDEN']},{row['MARITAL']},"
        f"{row['RACE']},{row['ETHNICITY']},{row['GENDER']},"
        f"{dice.pick(places.TOWNS).name}  Massachusetts  US,{home.street},{home.town.name},"
        f"Massachusetts,{row['COUNTY']},{row['ZIP']},{home.lat},{home.lon},"
        f"{money(chart.expenses)},{money(chart.covered)}"
    )
