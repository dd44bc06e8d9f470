"""Chance, and the text of dates: everything that a number generator or a calendar decides."""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")
DAY = 86_400
LAST_DAY = datetime.date(2024, 12, 31).toordinal()


class Dice:
    """A seeded generator; it uses only what Python promises to keep the same between versions."""

    __slots__ = ("bits", "random")

    def __init__(self, seed: str) -> None:
        source = random.Random(seed)
        self.random = source.random
        self.bits = source.getrandbits

    def chance(self, percent: float) -> bool:
        """Say yes in so many of a hundred cases."""
        return self.random() * 100 < percent

    def between(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return low + int(self.random() * (high - low + 1))

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices."""
        return choices[int(self.random() * len(choices))]

    def uuid(self) -> str:
        """Return a fresh id in the shape of a UUID."""
        text = f"{self.bits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@lru_cache(maxsize=65_536)
def iso(day: int) -> str:
    """Write a day, counted as Python's ordinals are, as YYYY-MM-DD."""
    return datetime.date.fromordinal(day).isoformat()


def stamp(moment: int) -> str:
    """Write a moment, in seconds since ordinal day 0, as Synthea writes UTC timestamps."""
    day, second = divmod(moment, DAY)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{iso(day)}T{hour:02d}:{minute:02d}:{second:02d}Z"


def money(cents: int) -> str:
    """Write an amount of cents as dollars with two decimals."""
    return f"{cents // 100}.{cents % 100:02d}"


def tenths(value: int) -> str:
    """Write a number of tenths with one decimal."""
    return f"{value // 10}.{value % 10}"
