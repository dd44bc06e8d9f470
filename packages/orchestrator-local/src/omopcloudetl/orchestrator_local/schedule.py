"""Decides which step of a plan is next: those that wait for nothing, in the plan's order."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from omopcloudetl.core.errors import RunError
from omopcloudetl.core.plan import BulkLoadStep, SqlStep

Step = SqlStep | BulkLoadStep


class Schedule:
    """The steps that are still to be run, and what they wait for."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._place = {step.name: place for place, step in enumerate(steps)}
        self._dependants: dict[str, list[str]] = {step.name: [] for step in steps}
        self._waits_for: dict[str, set[str]] = {}
        for step in steps:
            self._add(step)
        self._ready = [self._place[name] for name, open_ in self._waits_for.items() if not open_]
        heapq.heapify(self._ready)
        if len(self._place) != len(steps):
            raise RunError("the plan has two steps of one name; compile it again")

    def _add(self, step: Step) -> None:
        unknown = sorted(set(step.depends_on) - self._place.keys())
        if unknown:
            names = ", ".join(unknown)
            raise RunError(f"step {step.name} depends on {names}, which the plan does not have")
        self._waits_for[step.name] = set(step.depends_on)
        for name in self._waits_for[step.name]:
            self._dependants[name].append(step.name)

    def take(self) -> Step | None:
        """The first step in the plan's order that waits for nothing; None if there is none now."""
        if not self._ready:
            return None
        step = self._steps[heapq.heappop(self._ready)]
        del self._waits_for[step.name]
        return step

    def done(self, name: str) -> None:
        """What waited for this step waits no longer."""
        for dependant in self._dependants[name]:
            open_ = self._waits_for.get(dependant)
            if open_ is None:
                continue
            open_.discard(name)
            if not open_:
                heapq.heappush(self._ready, self._place[dependant])

    def drop_dependants(self, name: str) -> list[Step]:
        """Take out all that depends on this step, near or far; in the plan's order."""
        found: set[str] = set()
        frontier = [name]
        while frontier:
            new = {
                dependant
                for name_ in frontier
                for dependant in self._dependants[name_]
                if dependant in self._waits_for and dependant not in found
            }
            found |= new
            frontier = list(new)
        return self._drop(found)

    def drop_all(self) -> list[Step]:
        """Take out every step that has not been taken; in the plan's order."""
        return self._drop(set(self._waits_for))

    def _drop(self, names: Iterable[str]) -> list[Step]:
        places = sorted(self._place[name] for name in names)
        for place in places:
            del self._waits_for[self._steps[place].name]
        dropped = set(places)
        self._ready = [place for place in self._ready if place not in dropped]
        heapq.heapify(self._ready)
        return [self._steps[place] for place in places]
