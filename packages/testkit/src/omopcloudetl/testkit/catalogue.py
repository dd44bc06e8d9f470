"""All cases of the kit: those that are data, and the promises that are functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from omopcloudetl.testkit.bench import Bench, run_data_case
from omopcloudetl.testkit.cases import DataCase, data_cases
from omopcloudetl.testkit.profile import Need
from omopcloudetl.testkit.promises import PROMISES
from omopcloudetl.testkit.promises.promise import Promise


@dataclass(frozen=True)
class Case:
    """One test of the suite."""

    name: str
    """`subject/name`."""
    promise: str
    """One sentence: what an engine must do."""
    needs: frozenset[Need]
    run: Callable[[Bench], None] = field(repr=False)
    kind: Literal["rows", "refusal", "promise"]
    """`rows`: an engine that lacks what it needs must refuse it; `refusal`: refused it is in any case."""
    place: str
    """Where it stands: a folder with what it is given and must make, or a module."""

    @property
    def about(self) -> str:
        """What somebody needs to know whose engine fails it."""
        needs = ", ".join(sorted(f"{type(need).__name__}.{need.name}" for need in self.needs))
        return (
            f"{self.name}: {self.promise}\nin {self.place}\nit needs {needs}: what the engine lacks is declared in the"
            f" profile or the generator, this case alone as cases={{{self.name!r}: not_yet('why')}}"
        )

    def __str__(self) -> str:
        return self.name


@cache
def all_cases() -> tuple[Case, ...]:
    """Every case, by name."""
    return tuple(sorted(_all(), key=str))


def _all() -> Iterator[Case]:
    for data in data_cases():
        yield Case(
            str(data), data.promise, data.needs, _runner(data), "refusal" if data.refuses else "rows", str(data.folder)
        )
    for promise in PROMISES:
        yield _of_promise(promise)


def _runner(case: DataCase) -> Callable[[Bench], None]:
    return lambda bench: run_data_case(case, bench)


def _of_promise(promise: Promise) -> Case:
    return Case(promise.name, promise.sentence, promise.needs, promise.run, "promise", promise.run.__module__)
