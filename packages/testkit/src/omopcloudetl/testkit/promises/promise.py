"""A promise of a connection or a generator: a function that tries it, under a name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from omopcloudetl.testkit.bench import Bench
from omopcloudetl.testkit.profile import Need

Try = Callable[[Bench], None]


@dataclass(frozen=True)
class Promise:
    """Something that an engine must do, and what tries it."""

    name: str
    """`subject/name`."""
    needs: frozenset[Need]
    run: Try = field(repr=False)

    @property
    def sentence(self) -> str:
        """The function's docstring."""
        return inspect.getdoc(self.run) or ""


def promises(subject: str, needs: Iterable[Need], *functions: Try) -> tuple[Promise, ...]:
    """The promises of a module, named after its functions."""
    wanted = frozenset(needs)
    return tuple(Promise(f"{subject}/{function.__name__}", wanted, function) for function in functions)
