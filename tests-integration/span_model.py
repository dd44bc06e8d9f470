"""Eras and observation periods in plain Python, day by day and pair by pair: slow, and plain to see through."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

ONE_DAY = dt.timedelta(days=1)


class Record(NamedTuple):
    """What lasts from a first to a last day."""

    person: int
    concept: int
    start: dt.date
    end: dt.date


class Dose(NamedTuple):
    """An exposure to an ingredient whose daily dose is known."""

    person: int
    ingredient: int
    start: dt.date
    end: dt.date
    dose: float
    unit: int


class Bounds(NamedTuple):
    """The first and the last day that a person's periods may have; None for any."""

    first: dt.date | None
    last: dt.date | None


def every_day(start: dt.date, end: dt.date) -> set[dt.date]:
    """Every day from one to another, both included."""
    return {start + ONE_DAY * n for n in range((end - start).days + 1)}


def spans(records: Iterable[tuple[dt.date, dt.date]], gap: int) -> list[tuple[dt.date, dt.date]]:
    """The spans of the days of records; one ends where the next day is more than a gap away and no record goes on."""
    given = list(records)
    ordered = sorted(set[dt.date]().union(*(every_day(*one) for one in given)))
    lasting = nights(given)
    parted = [(day, later) for day, later in pairwise(ordered) if (later - day).days > gap and day not in lasting]
    starts = ordered[:1] + [later for _, later in parted]
    return list(zip(starts, [day for day, _ in parted] + ordered[-1:], strict=True))


def nights(records: Iterable[tuple[dt.date, dt.date]]) -> set[dt.date]:
    """The days after which a record goes on to the next."""
    return set[dt.date]().union(*(every_day(start, end - ONE_DAY) for start, end in records))


def by_concept(records: Iterable[Record]) -> dict[tuple[int, int], list[Record]]:
    """The records of each person and concept."""
    found: dict[tuple[int, int], list[Record]] = {}
    for record in records:
        found.setdefault((record.person, record.concept), []).append(record)
    return found


def condition_eras(records: Iterable[Record], gap: int) -> list[tuple[int, int, dt.date, dt.date, int]]:
    """Person, concept, first and last day, records: one for each era."""
    found: list[tuple[int, int, dt.date, dt.date, int]] = []
    for (person, concept), group in by_concept(r for r in records if r.concept != 0).items():
        for start, end in spans(((r.start, r.end) for r in group), gap):
            found.append((person, concept, start, end, sum(start <= r.start <= end for r in group)))
    return sorted(found)


def drug_eras(
    exposures: Iterable[Record], ingredients: Mapping[int, Sequence[int]], gap: int
) -> list[tuple[object, ...]]:
    """Person, ingredient, first and last day, exposures, days of the gaps: one for each era."""
    by_ingredient = [r._replace(concept=i) for r in exposures for i in ingredients.get(r.concept, ())]
    groups = by_concept(by_ingredient)
    exposed = {key: nights((r.start, r.end) for r in group) for key, group in groups.items()}
    found: list[tuple[object, ...]] = []
    for person, ingredient, start, end, count in condition_eras(by_ingredient, gap):
        days = sum(start <= night < end for night in exposed[person, ingredient])
        found.append((person, ingredient, start, end, count, (end - start).days - days))
    return sorted(found)


def dose_eras(doses: Iterable[Dose], gap: int) -> tuple[list[tuple[object, ...]], int]:
    """Person, ingredient, unit, dose, first and last day: one for each era; and how many exposures have none."""
    groups: dict[tuple[int, int], list[Dose]] = {}
    for dose in doses:
        groups.setdefault((dose.person, dose.ingredient), []).append(dose)
    found: list[tuple[object, ...]] = []
    left_out = 0
    for (person, ingredient), group in groups.items():
        era: list[Dose] = []
        for merged in [*_overlapping(group), []]:
            constant = len({(dose.dose, dose.unit) for dose in merged}) == 1
            left_out += 0 if constant else len(merged)
            goes_on = era and constant and (merged[0].dose, merged[0].unit) == (era[0].dose, era[0].unit)
            if goes_on and (min(d.start for d in merged) - max(d.end for d in era)).days <= gap:
                era += merged
                continue
            if era:
                first, last = min(d.start for d in era), max(d.end for d in era)
                found.append((person, ingredient, era[0].unit, era[0].dose, first, last))
            era = list(merged) if constant else []
    return sorted(found), left_out


def _overlapping(doses: Sequence[Dose]) -> list[list[Dose]]:
    """The exposures that are tied by days they share, each group in turn; the day after the last is not shared."""
    days = [every_day(d.start, max(d.start, d.end - ONE_DAY)) for d in doses]
    group = list(range(len(doses)))
    for i in range(len(doses)):
        for j in range(i):
            if days[i] & days[j]:
                group = [group[j] if g == group[i] else g for g in group]
    tied = [[dose for dose, g in zip(doses, group, strict=True) if g == one] for one in set(group)]
    return sorted(tied, key=lambda some: min(dose.start for dose in some))


def observation_periods(
    records: Iterable[Record], bounds: Mapping[int, Bounds], gap: int | None, after_last: int
) -> list[tuple[object, ...]]:
    """Person, first and last day: one for each period. `gap` None makes one period a person."""
    within: dict[int, list[tuple[dt.date, dt.date]]] = {person: [] for person in bounds}
    for record in records:
        first, last = bounds.get(record.person, Bounds(None, None))
        days = [
            day
            for day in sorted(every_day(record.start, record.end))
            if (first is None or day >= first) and (last is None or day <= last)
        ]
        if days and record.person in within:
            within[record.person].append((days[0], days[-1]))
    found: list[tuple[object, ...]] = []
    for person, some in within.items():
        for start, end in spans(some, gap if gap is not None else 1_000_000):
            last = bounds[person].last
            later = end + ONE_DAY * after_last
            found.append((person, start, later if last is None else min(later, last)))
    return sorted(found)
