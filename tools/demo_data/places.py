"""Towns of Massachusetts, made-up streets and made-up names."""

from __future__ import annotations

from typing import NamedTuple

from tools.demo_data.dice import Dice


class Town(NamedTuple):
    """A town with its county, a postal code and its rough position."""

    name: str
    county: str
    zip: str
    lat: float
    lon: float


class Address(NamedTuple):
    """Where somebody lives; a postal code may be missing."""

    street: str
    town: Town
    zip: str
    lat: str
    lon: str


TOWNS: tuple[Town, ...] = (
    Town("Boston", "Suffolk County", "02108", 42.3588, -71.0707),
    Town("Worcester", "Worcester County", "01608", 42.2626, -71.8023),
    Town("Springfield", "Hampden County", "01103", 42.1015, -72.5898),
    Town("Cambridge", "Middlesex County", "02138", 42.3736, -71.1097),
    Town("Lowell", "Middlesex County", "01852", 42.6334, -71.3162),
    Town("New Bedford", "Bristol County", "02740", 41.6362, -70.9342),
    Town("Quincy", "Norfolk County", "02169", 42.2529, -71.0023),
    Town("Lynn", "Essex County", "01902", 42.4668, -70.9495),
    Town("Fall River", "Bristol County", "02720", 41.7015, -71.1550),
    Town("Newton", "Middlesex County", "02458", 42.3370, -71.2092),
    Town("Somerville", "Middlesex County", "02143", 42.3876, -71.0995),
    Town("Framingham", "Middlesex County", "01702", 42.2793, -71.4162),
    Town("Haverhill", "Essex County", "01830", 42.7762, -71.0773),
    Town("Plymouth", "Plymouth County", "02360", 41.9584, -70.6673),
    Town("Pittsfield", "Berkshire County", "01201", 42.4501, -73.2454),
    Town("Barnstable", "Barnstable County", "02630", 41.7003, -70.3002),
    Town("Northampton", "Hampshire County", "01060", 42.3251, -72.6412),
    Town("Greenfield", "Franklin County", "01301", 42.5876, -72.5995),
)
STREETS: tuple[str, ...] = (
    "Amberwick",
    "Brindlecote",
    "Cloverhatch",
    "Dunmarrow",
    "Eldergate",
    "Fennimoor",
    "Gullhaven",
    "Hollowbrae",
    "Ivorsedge",
    "Jackdaw Hollow",
    "Kestrelford",
    "Lanternfield",
    "Mosslight",
    "Nettlecombe",
    "Otterfall",
    "Pebbleby",
)
STREET_KINDS: tuple[str, ...] = ("Lane", "Street", "Way", "Mews", "Path", "Row", "Crossing")
FEMALE: tuple[str, ...] = (
    "Aldith",
    "Brisela",
    "Calanthe",
    "Dorinel",
    "Elowyn",
    "Fenella",
    "Grisella",
    "Hesperine",
    "Isaura",
    "Jovela",
    "Kerensa",
    "Liora",
    "Maëlys",
    "Nerys",
    "Orlena",
    "Peregrina",
    "Quilla",
    "Rosalba",
    "Sabeth",
    "Tamsel",
)
MALE: tuple[str, ...] = (
    "Alaric",
    "Bertil",
    "Corvin",
    "Davor",
    "Emrys",
    "Florentin",
    "Gareth",
    "Hadrian",
    "Ivo",
    "Joren",
    "Kelwin",
    "Leoric",
    "Merrick",
    "Néstor",
    "Osric",
    "Piran",
    "Quillon",
    "Rurik",
    "Silvan",
    "Tavish",
)
FAMILY: tuple[str, ...] = (
    "Ashgrove",
    "Birchall",
    "Cranmoor",
    "Dellwood",
    "Elverton",
    "Farrowby",
    "Gannetson",
    "Harrowgate",
    "Inglecott",
    "Juniperman",
    "Kittredgely",
    "Larkmeade",
    "Marrowick",
    "Núñovar",
    "Oakhurstle",
    "Pemberley",
    "Quimbrook",
    "Ravenscar",
    "Sedgefold",
    "Thistledown",
    "Underbrook",
    "Vanterpole",
    "Wexcombe",
    "Yarrowby",
)


def first_name(dice: Dice, *, female: bool) -> str:
    """Return a made-up first name, numbered as Synthea numbers names."""
    return f"{dice.pick(FEMALE if female else MALE)}{dice.between(1, 999)}"


def family_name(dice: Dice) -> str:
    """Return a made-up family name, numbered as Synthea numbers names."""
    return f"{dice.pick(FAMILY)}{dice.between(1, 999)}"


def address(dice: Dice) -> Address:
    """Return a made-up address in a town of Massachusetts."""
    town = dice.pick(TOWNS)
    street = f"{dice.between(1, 1200)} {dice.pick(STREETS)} {dice.pick(STREET_KINDS)}"
    if dice.chance(30):
        street += f" Unit {dice.between(1, 99)}"
    lat = town.lat + (dice.random() - 0.5) / 10
    lon = town.lon + (dice.random() - 0.5) / 10
    return Address(street, town, "" if dice.chance(8) else town.zip, f"{lat:.6f}", f"{lon:.6f}")
