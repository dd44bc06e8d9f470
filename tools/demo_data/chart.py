"""One patient's chart: writes rows of each file in Synthea's order of columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tools.demo_data.catalog import Answer, Code, Drug, Kind, Measure
from tools.demo_data.catalog_care import REACTIONS, Allergen
from tools.demo_data.dice import DAY, Dice, iso, money, stamp, tenths
from tools.demo_data.facilities import Facilities, Payer, Place

Rows = dict[str, list[str]]


class Coverage(NamedTuple):
    """A payer and the last day it covers."""

    until: int
    payer: Payer


@dataclass(slots=True)
class Person:
    """Who the patient is: what every event of theirs depends on."""

    index: int
    id: str
    birth: int
    end: int
    dead: bool
    female: bool
    second: int
    height: int
    weight: int
    place: Place
    coverage: tuple[Coverage, ...]


class Encounter(NamedTuple):
    """An encounter that events can point to; moments are seconds, the payer is an id."""

    id: str
    start: int
    stop: int
    payer: Payer

    @property
    def day(self) -> int:
        """The day on which it starts."""
        return self.start // DAY


NO_ENCOUNTER = Encounter("", 0, 0, Payer("", "", 0, ""))
NO_REASON = Code("", "")


@dataclass(slots=True)
class Chart:
    """Collects one patient's rows; a moment is seconds, a day is an ordinal."""

    person: Person
    dice: Dice
    facilities: Facilities
    rows: Rows
    expenses: int = 0
    covered: int = 0
    onset: dict[str, int] = field(default_factory=dict)

    def at(self, day: int, hour: int) -> int:
        """Return a moment in that hour; seconds are the patient's own, as in Synthea."""
        return day * DAY + hour * 3600 + self.dice.between(0, 59) * 60 + self.person.second

    def age(self, day: int) -> int:
        """Return the age in whole years, near enough."""
        return (day - self.person.birth) * 4 // 1461

    def payer(self, day: int) -> Payer:
        """Return who pays on a day."""
        for span in self.person.coverage:
            if day <= span.until:
                return span.payer
        return self.facilities.payers[-1]

    def visit(self, kind: Kind, day: int, minutes: int = 15, reason: Code = NO_REASON) -> Encounter:
        """Record an encounter in office hours."""
        start = self.at(day, self.dice.between(8, 16))
        return self.encounter(kind, start, start + minutes * 60, reason)

    def encounter(self, kind: Kind, start: int, stop: int, reason: Code = NO_REASON, *, started: str = "") -> Encounter:
        """Record an encounter; `started` overrides what is written as its start."""
        place, dice = self.person.place, self.dice
        if kind.klass in ("emergency", "inpatient", "snf", "hospice", "urgentcare"):
            place = dice.pick(self.facilities.places)
        provider = dice.pick(place.providers)
        payer = self.payer(start // DAY)
        total = kind.cents + dice.between(0, 90_000)
        paid = total * payer.percent // 100
        self._count(place.id, provider, payer.id, total, paid)
        id_ = dice.uuid()
        self.rows["encounters"].append(
            f"{id_},{started or stamp(start)},{stamp(stop)},{self.person.id},{place.id},{provider},"
            f"{payer.id},{kind.klass},{kind.code},{kind.text},{money(kind.cents)},{money(total)},"
            f"{money(paid)},{reason.code},{reason.text}"
        )
        return Encounter(id_, start, stop, payer)

    def _count(self, place: str, provider: str, payer: str, total: int, paid: int) -> None:
        self.expenses += total
        self.covered += paid
        use = self.facilities.use
        use[place].encounters += 1
        use[provider].encounters += 1
        pays = use[payer]
        pays.encounters += 1
        pays.uncovered += paid == 0
        pays.paid += paid
        pays.unpaid += total - paid

    def condition(self, what: Code, seen: Encounter, start: int, stop: int = 0) -> None:
        """Record a condition; without a stop it goes on."""
        end = iso(stop) if start <= stop <= self.person.end else ""
        self.rows["conditions"].append(f"{iso(start)},{end},{self.person.id},{seen.id},{what.code},{what.text}")

    def procedure(self, what: Code, seen: Encounter, reason: Code = NO_REASON, *, cents: int | None = None) -> None:
        """Record a procedure during an encounter, with its price or one by chance."""
        start = seen.start + self.dice.between(0, 8) * 60
        price = self.dice.between(20_000, 240_000)
        cents = price if cents is None else cents
        self.expenses += cents
        self.rows["procedures"].append(
            f"{stamp(start)},{stamp(start + 900)},{self.person.id},{seen.id},{what.code},"
            f"{what.text},{money(cents)},{reason.code},{reason.text}"
        )

    def medication(self, drug: Drug, seen: Encounter, start: int, days: int, reason: Code = NO_REASON) -> None:
        """Record a prescription of so many days; with none, or beyond the end, it is open."""
        until = start + days * DAY
        stop = stamp(until) if days and until // DAY <= self.person.end else ""
        dispenses = max(1, days // 30)
        total = drug.cents * dispenses
        paid = drug.cents * seen.payer.percent // 100
        self.expenses += total
        self.covered += paid * dispenses
        self.rows["medications"].append(
            f"{stamp(start)},{stop},{self.person.id},{seen.payer.id},{seen.id},{drug.code},"
            f"{drug.text},{money(drug.cents)},{money(paid)},{dispenses},{money(total)},"
            f"{reason.code},{reason.text}"
        )

    def measure(self, what: Measure, seen: Encounter, value: int | None = None) -> None:
        """Record a numeric observation, with a value in tenths or one by chance."""
        number = tenths(self.dice.between(what.low, what.high) if value is None else value)
        self.rows["observations"].append(
            f"{stamp(seen.start)},{self.person.id},{seen.id},{what.category},{what.code},"
            f"{what.text},{number},{what.unit},numeric"
        )

    def answer(self, what: Answer, seen: Encounter) -> None:
        """Record a text observation."""
        self.rows["observations"].append(
            f"{stamp(seen.start)},{self.person.id},{seen.id},{what.category},{what.code},"
            f"{what.text},{self.dice.pick(what.values)},,text"
        )

    def quality_of_life(self, moment: int) -> None:
        """Record Synthea's own scores, which have neither an encounter nor a concept."""
        years = (moment // DAY - self.person.birth) // 365
        self.rows["observations"].extend(
            f"{stamp(moment)},{self.person.id},,,{code},{code},{value},{unit},numeric"
            for code, value, unit in (
                ("QALY", tenths(years * 9), "a"),
                ("DALY", tenths(years // 3), "a"),
                ("QOLS", tenths(self.dice.between(5, 10)), "{score}"),
            )
        )

    def immunization(self, what: Code, seen: Encounter) -> None:
        """Record a vaccine."""
        self.rows["immunizations"].append(
            f"{stamp(seen.start)},{self.person.id},{seen.id},{what.code},{what.text},140.52"
        )

    def device(self, what: Code, seen: Encounter, *, days: int = 0, known: bool = True) -> None:
        """Record an implanted device with a made-up UDI, if it is known; without days it stays."""
        dice = self.dice
        number, lot, serial = dice.bits(46), dice.bits(32), dice.bits(32)
        udi = f"(01){number:014d}(11){iso(seen.day)[2:].replace('-', '')}(10){lot}(21){serial}" if known else ""
        stop = stamp(seen.start + days * DAY) if days else ""
        self.rows["devices"].append(
            f"{stamp(seen.start)},{stop},{self.person.id},{seen.id},{what.code},{what.text},{udi}"
        )

    def supply(self, what: Code, seen: Encounter, quantity: int) -> None:
        """Record supplies that were used."""
        self.rows["supplies"].append(f"{iso(seen.day)},{self.person.id},{seen.id},{what.code},{what.text},{quantity}")

    def allergy(self, what: Allergen, seen: Encounter) -> None:
        """Record an allergy, often with a reaction."""
        reaction = ",,"
        if self.dice.chance(60):
            shown = self.dice.pick(REACTIONS)
            reaction = f"{shown.code},{shown.text},{self.dice.pick(('MILD', 'MODERATE'))}"
        self.rows["allergies"].append(
            f"{iso(seen.day)},,{self.person.id},{seen.id},{what.code},{what.system},{what.text},"
            f"allergy,{what.category},{reaction},,,"
        )

    def plan(self, what: Code, seen: Encounter, days: int = 0, reason: Code = NO_REASON) -> None:
        """Record a care plan; without a length it goes on."""
        until = seen.day + days
        stop = iso(until) if days and until <= self.person.end else ""
        self.rows["careplans"].append(
            f"{self.dice.uuid()},{iso(seen.day)},{stop},{self.person.id},{seen.id},{what.code},"
            f"{what.text},{reason.code},{reason.text}"
        )

    def chest_image(self, seen: Encounter, procedure: Code, images: tuple[int, ...] = (1,)) -> None:
        """Record the imaging study of a chest X-ray: a row for each image of each series."""
        series, instance = self.dice.bits(40), self.dice.bits(40)
        id_ = self.dice.uuid()
        for number, count in enumerate(images):
            for image in range(count):
                self.rows["imaging_studies"].append(
                    f"{id_},{stamp(seen.start)},{self.person.id},{seen.id},"
                    f"1.2.840.99999999.1.{series + number},51185008,Chest,DX,Digital Radiography,"
                    f"1.2.840.99999999.1.{number + 1}.{instance + image},1.2.840.10008.5.1.4.1.1.1.1,"
                    f"Digital X-Ray Image Storage,{procedure.code}"
                )
