"""What was seen of a run, and what follows from it for tables of other sizes.

An exchange of a physical plan sends rows that come from the tables below it. The model lets its bytes grow as that of
these tables does which gives most nearly as many rows as are sent, and a table that a step writes as that which it
reads with most nearly as many rows. For joins and windows these are the tables that rows come from; for rows that are
counted or made distinct it is a guess. An exchange that larger tables would need, in place of a broadcast, is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import log1p
from pathlib import Path

from pydantic import BaseModel


class Exchange(BaseModel):
    """Rows that are sent between workers, and how many rows each table gives to it."""

    operator: str
    records: int
    shuffled: float
    """Bytes, as compressed."""
    rows: dict[str, int]

    def of(self) -> str | None:
        """The table that its rows come from, as far as their number tells."""
        return nearest(self.records, self.rows)


class Step(BaseModel):
    """A step of a plan as it ran."""

    name: str
    seconds: float
    shuffled: int
    """Bytes that its stages wrote for others, as the engine counts them."""
    ran: float = 0
    """Seconds in which jobs of it ran; in the others Spark planned and committed."""
    cpu: float = 0
    """Seconds of processors that the driver's process took, with its workers where they are threads of it."""
    results: int = 0
    """Bytes that its tasks sent to the driver: their counts, and tables that are sent to all workers."""
    heap: int = 0
    """Bytes of the driver's heap in use after it, without garbage."""
    writes: list[str]
    read: dict[str, int]
    """Rows that its statements read of each table."""
    exchanges: list[Exchange]


class Profile(BaseModel):
    """A run, with the number of rows of each table behind it."""

    rows: dict[str, int]
    steps: list[Step]
    resident: int = 0
    """Bytes of memory that the driver's process had at most."""

    @classmethod
    def read(cls, file: Path) -> Profile:
        """From a file that `measure` wrote."""
        return cls.model_validate_json(file.read_text(encoding="utf-8"))


def nearest(count: int, rows: Mapping[str, int]) -> str | None:
    """The table that gives most nearly so many rows, counted in times; of equal ones the last by name."""
    return min(sorted(rows, reverse=True), key=lambda table: abs(log1p(rows[table]) - log1p(count)), default=None)


def predicted(profile: Profile, sizes: Mapping[str, int]) -> Iterator[tuple[Step, float]]:
    """Each step with the bytes that it shuffles where tables have other numbers of rows.

    `sizes` are of the tables that nothing in the run makes, such as those of a source; what is not named stays as it
    was. Others grow with what they are made from.
    """
    growth = {table: sizes[table] / profile.rows[table] for table in sizes if profile.rows.get(table)}
    for step in profile.steps:
        read = {table: count for table, count in step.read.items() if table not in step.writes}
        for table in set(step.writes) - sizes.keys():  # before the exchanges, which may read them, too
            growth[table] = growth.get(nearest(profile.rows.get(table, 0), read) or "", 1.0)
        yield step, sum(one.shuffled * growth.get(one.of() or "", 1.0) for one in step.exchanges)
