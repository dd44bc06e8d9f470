"""What the builder `visits` means, in plain Python and slowly, and the project on which it is tried."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

Row = Mapping[str, str]
KNOWN_PERSONS = tuple(f"p{number}" for number in range(1, 13))
CLASSES = {"ip": 9201, "snf": 8863, "er": 9203, "urgent": 9203, "op": 9202, "well": 9202, "home": 581476}


@dataclass(frozen=True)
class Policy:
    """The policy of a mapping; see the reference."""

    stays: tuple[str, ...] = ("ip",)
    emergency: tuple[str, ...] = ("er", "urgent")
    by_day: tuple[str, ...] = ("er", "urgent", "op", "well")
    multi_day_stays: bool = True
    gap_days: int = 1

    def mapping(self) -> str:
        """The mapping file of encounters with this policy."""
        lists = {name: f"[{', '.join(getattr(self, name))}]" for name in ("stays", "emergency", "by_day")}
        classes = ", ".join(f"{name}: {concept}" for name, concept in CLASSES.items())
        return f"""
name: visits
kind: derived
builder: visits
from: {{e: source.encounters}}
where: e.note is distinct from 'out'
key: e.id
person: e.patient
class: e.class
start: e.start
end: e.stop
type_concept_id: 32827
discharged_to_source_value: e.note
policy:
  classes: {{{classes}}}
  stays: {lists["stays"]}
  emergency: {lists["emergency"]}
  by_day: {lists["by_day"]}
  multi_day_stays: {str(self.multi_day_stays).lower()}
  gap_days: {self.gap_days}
"""


@dataclass(frozen=True, order=True)
class Encounter:
    """An encounter as it is understood; the order is that of time and then of the key."""

    start: datetime
    end: datetime
    key: str
    person: str = field(compare=False)
    class_: str | None = field(compare=False)
    note: str | None = field(compare=False)

    @property
    def concept(self) -> int:
        """The concept of its class."""
        return CLASSES.get(self.class_ or "", 0)


@dataclass(frozen=True)
class Visit:
    """What is expected of a visit."""

    person: str
    encounters: tuple[str, ...]
    """The keys of its encounters, in their order."""
    concept: int
    value: str | None
    start: datetime
    end: datetime
    note: str | None
    """That of the encounter which ends last."""


def encounter(row: Row) -> Encounter | None:
    """A row of the source as an encounter; None where it is set aside or left out."""
    start, end = _time(row["start"]), _time(row["stop"])
    if row["patient"] not in KNOWN_PERSONS or start is None or not row["id"] or row["note"] == "out":
        return None
    end = end if end is not None and end > start else start
    return Encounter(start, end, row["id"], row["patient"], row["class"] or None, row["note"] or None)


def visits_of(encounters: Iterable[Encounter], policy: Policy) -> list[Visit]:
    """The visits of all persons, those of a person in the order of their first encounters."""
    found: list[list[Encounter]] = []
    by_person: dict[str, list[Encounter]] = {}
    for each in encounters:
        by_person.setdefault(each.person, []).append(each)
    visits = []
    for person in sorted(by_person):
        found = _groups(sorted(by_person[person]), policy)
        visits += [_visit(group, policy) for group in sorted(found, key=min)]
    return visits


def _groups(encounters: Sequence[Encounter], policy: Policy) -> list[list[Encounter]]:
    """Encounters of one person that are one visit; every pair of stays is looked at, again and again."""
    stays = [[each] for each in encounters if is_stay(each, policy)]
    while True:
        pair = next(((a, b) for a in stays for b in stays if a is not b and _belong_together(a, b, policy)), None)
        if pair is None:
            break
        stays.remove(pair[1])
        pair[0].extend(pair[1])
    within: list[tuple[list[Encounter], Encounter]] = []
    groups: dict[tuple[object, ...], list[Encounter]] = {}
    for each in (each for each in encounters if not is_stay(each, policy)):
        first, last = each.start.date(), each.end.date()
        stay = next((stay for stay in stays if _days(stay)[0] <= first and last <= _days(stay)[1]), None)
        if stay is not None:
            within.append((stay, each))
        elif each.class_ in policy.by_day:
            groups.setdefault((first, each.concept), []).append(each)
        else:
            groups[(each.key,)] = [each]
    for stay, each in within:
        stay.append(each)
    return [*stays, *groups.values()]


def is_stay(each: Encounter, policy: Policy) -> bool:
    """Whether an encounter is a stay by itself."""
    return each.class_ in policy.stays or (policy.multi_day_stays and each.end.date() > each.start.date())


def _days(stay: Sequence[Encounter]) -> tuple[object, object]:
    return min(each.start.date() for each in stay), max(each.end.date() for each in stay)


def _belong_together(one: Sequence[Encounter], other: Sequence[Encounter], policy: Policy) -> bool:
    gap = timedelta(days=policy.gap_days)
    return any(
        a.start.date() <= b.end.date() + gap and b.start.date() <= a.end.date() + gap for a in one for b in other
    )


def _visit(group: Sequence[Encounter], policy: Policy) -> Visit:
    ordered = sorted(group)
    first, last = ordered[0], max(ordered, key=lambda each: (each.end, ordered.index(each)))
    concept, value = first.concept, first.class_
    if any(is_stay(each, policy) for each in group):
        highest = min((policy.stays.index(e.class_) for e in group if e.class_ in policy.stays), default=None)
        value = first.class_ if highest is None else policy.stays[highest]
        concept = 9201 if highest is None else CLASSES[policy.stays[highest]]
        began = any(e.class_ in policy.emergency and e.start.date() == first.start.date() for e in group)
        concept = 262 if concept == 9201 and began else concept
    return Visit(
        first.person, tuple(e.key for e in ordered), concept, value, first.start, max(e.end for e in group), last.note
    )


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return None
