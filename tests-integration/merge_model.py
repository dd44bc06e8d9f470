"""What `full`, `merge` and `append_new` mean, in plain Python, and the project on which it is tried."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal, TypeVar

from small_project import EVENT, PERSON, Vocabulary

K = TypeVar("K")
V = TypeVar("V")
Write = Literal["full", "merge", "append_new"]
Row = Mapping[str, str]
Codes = Mapping[str, Sequence[int]]
"""Code → its standard concepts."""

DOMAINS = {1: "Condition", 2: "Measurement", 3: "Condition", 4: "Measurement"}
TABLES = {"Condition": "condition_occurrence", "Measurement": "measurement"}
EVENT_TABLES = (*TABLES.values(), "observation")
READABLE = {"2020-01-02", "2020-01-03"}
LEFT_OUT, UNREADABLE = "out", "late"
"""Notes of rows that `where` leaves out, and of events without a date."""

SITES = """
name: sites
kind: table
target: cdm.care_site
from: {s: source.sites}
where: s.note is distinct from 'out'
columns:
  care_site_id: {id: [s.city, s.name]}
  care_site_name: s.note
"""
NOTED = EVENT.replace("from: {e: source.events}", "from: {e: source.events}\nwhere: e.note is distinct from 'out'")
NOTED = NOTED.replace("start: e.start", "start: case when e.note is distinct from 'late' then e.start end")
NOTED += (
    "value: e.note\nroutes: {Drug: observation, Procedure: observation, Device: observation, Specimen: observation}\n"
)
MAPPINGS = (
    PERSON,
    SITES,
    SITES.replace("name: sites", "name: clinics").replace("source.sites", "source.clinics"),
    NOTED,
    NOTED.replace("name: events", "name: others").replace("source.events", "source.others"),
)


def vocabulary(codes: Codes) -> Vocabulary:
    """Each code is a source concept that maps to its standard concepts."""
    made = Vocabulary()
    for id_, domain in DOMAINS.items():
        made.concept(id_, f"S{id_}", domain)
    for number, (code, standard) in enumerate(codes.items(), start=100):
        made.concept(number, code, standard=False)
        for id_ in standard:
            made.maps(number, id_)
    return made


def key_text(parts: Sequence[str | None]) -> str:
    """The text of a natural key."""
    return "|".join("~N" if part is None else part.replace("~", "~~").replace("|", "~|") for part in parts)


@dataclass(frozen=True)
class Version:
    """A source and a vocabulary."""

    patients: Sequence[Row]
    sites: Sequence[Row]
    clinics: Sequence[Row]
    events: Sequence[Row]
    others: Sequence[Row]
    codes: Codes

    def source(self) -> dict[str, Sequence[Row]]:
        """The source tables."""
        names = ("patients", "sites", "clinics", "events", "others")
        return {name: getattr(self, name) for name in names}


Event = tuple[str, str, str | None, int, str, str | None]
"""Mapping, natural key, person, concept, date and note of a row."""


@dataclass
class Model:
    """The CDM that the versions so far should have made, ids left out."""

    write: Write
    deletes: bool = False
    persons: set[str] = field(default_factory=set)
    sites: dict[tuple[str | None, str | None], str | None] = field(default_factory=dict)
    tables: dict[str, Counter[Event]] = field(default_factory=lambda: {name: Counter() for name in EVENT_TABLES})

    def run(self, version: Version) -> None:
        """What a run makes of the CDM."""
        persons = {row["id"]: None for row in version.patients if row["id"]}
        self.persons = set(self._entities(dict.fromkeys(self.persons), persons, set(persons)))
        self.sites = self._entities(self.sites, *self._sites_of(version))
        seen = {(name, _event_key(row)) for name in ("events", "others") for row in version.source()[name]}
        made = self._events_of(version)
        for name, old in self.tables.items():
            self.tables[name] = self._rows(old, made[name], seen)

    def _entities(self, old: dict[K, V], made: dict[K, V], seen: set[K]) -> dict[K, V]:
        if self.write == "append_new":
            return made | old
        kept = {} if self.write == "full" or self.deletes else {k: v for k, v in old.items() if k not in seen}
        return kept | made

    def _rows(self, old: Counter[Event], made: Counter[Event], seen: set[tuple[str, str]]) -> Counter[Event]:
        if self.write == "append_new":
            present = {row[:2] for row in old}
            return old + Counter({row: count for row, count in made.items() if row[:2] not in present})
        if self.write == "full" or self.deletes:
            return made
        return made + Counter({row: count for row, count in old.items() if row[:2] not in seen})

    def _sites_of(
        self, version: Version
    ) -> tuple[dict[tuple[str | None, str | None], str | None], set[tuple[str | None, str | None]]]:
        """The care sites, each as its first mapping has it, and every key there is."""
        made: dict[tuple[str | None, str | None], str | None] = {}
        seen = set()
        for rows in (version.sites, version.clinics):
            own: dict[tuple[str | None, str | None], list[str]] = {}
            for row in rows:
                key = (row["city"] or None, row["name"] or None)
                seen.add(key)
                if key != (None, None) and row["note"] != LEFT_OUT:
                    own.setdefault(key, []).append(row["note"])
            for key, notes in own.items():
                made.setdefault(key, min((note for note in notes if note), default=None))
        return made, seen

    def _events_of(self, version: Version) -> dict[str, Counter[Event]]:
        made: dict[str, Counter[Event]] = {name: Counter() for name in EVENT_TABLES}
        for mapping, rows in (("events", version.events), ("others", version.others)):
            for row in rows:
                if (
                    row["note"] in {LEFT_OUT, UNREADABLE}
                    or row["patient"] not in self.persons
                    or row["start"] not in READABLE
                ):
                    continue
                for concept in version.codes.get(row["code"], ()) or (0,):
                    # A code without standard concepts goes where its source concept belongs.
                    domain = DOMAINS.get(concept, "Condition" if row["code"] in version.codes else "")
                    note = row["note"] or None
                    event = (mapping, _event_key(row), row["patient"], concept, row["start"], note)
                    made[TABLES.get(domain, "observation")][event] += 1
        return made


def _event_key(row: Row) -> str:
    return key_text([row[part] or None for part in ("patient", "code", "start")])


# -- a history in which everything happens that can happen to a key

STATES: tuple[tuple[str, ...], ...] = (
    (), ("x",), ("y",), ("x", "x"), ("x", "y"), (LEFT_OUT,), (UNREADABLE,), ("x", LEFT_OUT), ("", UNREADABLE)
)  # fmt: skip
"""The notes of the rows that a source has for a key."""
CHANGES = tuple(product(STATES, STATES))
"""What it has in one version, and in the next."""
CODES_THEN = {"same": [1], "fewer": [1, 2], "more": [1], "elsewhere": [1], "none": [2], "some": [], "one": [1, 3]}
CODES_NOW = {"same": [1], "fewer": [2], "more": [1, 2], "elsewhere": [2], "none": [], "some": [2], "one": [3]}
ODD = ("", "a|b", "~N", "~")
"""Parts of keys that are easily confused."""


@dataclass(frozen=True, repr=False)
class Known(Version):
    """A version that is told by its name: it is too long to be shown."""

    name: str

    def __repr__(self) -> str:
        """The name."""
        return self.name


def _version(now: int, codes: Codes, name: str) -> Known:
    """The sources at one end of all changes; of two tables of a kind, one changes the other way."""
    patients = [{"id": f"p{number}", "note": notes[now][0]} for number, notes in enumerate(CHANGES) if notes[now]]
    patients += [{"id": f"always|~{number}", "note": "x"} for number in range(len(CHANGES))]
    sites = [*_sites("s", now), *_sites("both", now), *({"city": "", "name": part, "note": "x"} for part in ODD)]
    clinics = [*_sites("c", 1 - now), *_sites("both", 1 - now)]
    return Known(patients, sites, clinics, list(_events(now, codes)), list(_events(1 - now, codes)), codes, name)


def _sites(city: str, end: int) -> Iterator[Row]:
    for number, notes in enumerate(CHANGES):
        for note in notes[end]:
            yield {"city": f"{city}{number // len(ODD)}", "name": ODD[number % len(ODD)], "note": note}


def _events(end: int, codes: Codes) -> Iterator[Row]:
    """Each change with every code, and with a patient who comes and goes."""
    for number, notes in enumerate(CHANGES):
        for note in notes[end]:
            for code in (*codes, ""):
                yield {"patient": f"always|~{number}", "code": code, "start": "2020-01-02", "note": note}
            for start in ("2020-01-03", "soon"):
                yield {"patient": f"p{number}", "code": "same", "start": start, "note": note}


THEN, NOW = _version(0, CODES_THEN, "THEN"), _version(1, CODES_NOW, "NOW")
