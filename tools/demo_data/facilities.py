"""Organizations, providers and payers: made up once per seed, with counters of their use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tools.demo_data import places
from tools.demo_data.dice import Dice, money

ORGANIZATION_NAMES: tuple[str, ...] = (
    "GULLHAVEN GENERAL HOSPITAL",
    "MOSSLIGHT MEDICAL CENTER",
    "OTTERFALL COMMUNITY HOSPITAL",
    "LANTERNFIELD FAMILY PRACTICE",
    "KESTRELFORD PRIMARY CARE",
    "PEBBLEBY URGENT CARE",
    "NETTLECOMBE HEALTH GROUP",
    "ELDERGATE NURSING HOME",
    "HOLLOWBRAE HOSPICE",
    "FENNIMOOR CHILDREN'S CLINIC",
)
SPECIALTIES: tuple[str, ...] = (
    "GENERAL PRACTICE",
    "INTERNAL MEDICINE",
    "FAMILY PRACTICE",
    "EMERGENCY MEDICINE",
    "NURSE PRACTITIONER",
)
PROVIDERS_PER_ORGANIZATION = 3


class Place(NamedTuple):
    """An organization and its providers' ids."""

    id: str
    row: str
    providers: tuple[str, ...]


class Payer(NamedTuple):
    """A payer and the percentage of a claim that it pays."""

    id: str
    name: str
    percent: int
    head: str


@dataclass(slots=True)
class Use:
    """What the patients used of one organization, provider or payer."""

    encounters: int = 0
    uncovered: int = 0
    paid: int = 0
    unpaid: int = 0
    customers: int = 0


@dataclass(slots=True)
class Facilities:
    """Everything that patients share, with counters that are filled as patients are made."""

    places: tuple[Place, ...]
    provider_rows: tuple[tuple[str, str], ...]
    payers: tuple[Payer, ...]
    use: dict[str, Use] = field(default_factory=dict)

    def rows(self) -> dict[str, list[str]]:
        """Return the rows of the three files, with the use that was counted."""
        used = self.use
        return {
            "organizations": [f"{p.row},0.0,{used[p.id].encounters}" for p in self.places],
            "providers": [f"{row},{used[id_].encounters}" for id_, row in self.provider_rows],
            "payers": [_payer_row(p, used[p.id]) for p in self.payers],
        }


def _payer_row(payer: Payer, use: Use) -> str:
    covered = use.encounters - use.uncovered
    return (
        f"{payer.head},{money(use.paid)},{money(use.unpaid)},{money(use.paid)},{covered},"
        f"{use.uncovered},0,0,0,0,0,0,{use.customers},NaN,0"
    )


def make_facilities(seed: int) -> Facilities:
    """Make the organizations, providers and payers of a seed."""
    dice = Dice(f"{seed}:facilities")
    made: list[Place] = []
    providers: list[tuple[str, str]] = []
    for name in ORGANIZATION_NAMES:
        home = places.address(dice)
        where = f"{home.street.upper()},{home.town.name.upper()},MA,{home.town.zip}"
        where += f",{home.lat},{home.lon}"
        id_ = dice.uuid()
        staff: list[str] = []
        for _ in range(PROVIDERS_PER_ORGANIZATION):
            provider = dice.uuid()
            female = dice.chance(50)
            person = f"{places.first_name(dice, female=female)} {places.family_name(dice)}"
            head = f"{provider},{id_},{person},{'F' if female else 'M'},{dice.pick(SPECIALTIES)}"
            providers.append((provider, f"{head},{where}"))
            staff.append(provider)
        row = f"{id_},{name},{where},555{dice.between(1000000, 1999999)}"
        made.append(Place(id_, row, tuple(staff)))
    payers = _make_payers(dice)
    ids = [p.id for p in made] + [id_ for id_, _ in providers] + [p.id for p in payers]
    return Facilities(tuple(made), tuple(providers), payers, {id_: Use() for id_ in ids})


def _make_payers(dice: Dice) -> tuple[Payer, ...]:
    kinds = (
        ("Medicare", 80, "1 Harbor Walk,Baltimore,MD,21244,555-0100"),
        ("Medicaid", 90, "1 Harbor Walk,Baltimore,MD,21244,555-0101"),
        ("Gullhaven Mutual", 70, "20 Amberwick Row,Boston,MA,02108,555-0102"),
        ("Pebbleby Health Plan", 75, "7 Eldergate Way,Hartford,CT,06103,555-0103"),
        ("Thistledown Assurance", 60, "3 Dunmarrow Street,Providence,RI,02903,555-0104"),
        ("NO_INSURANCE", 0, ",,,,"),
    )
    made = []
    for name, percent, where in kinds:
        id_ = dice.uuid()
        made.append(Payer(id_, name, percent, f"{id_},{name},{where}"))
    return tuple(made)
