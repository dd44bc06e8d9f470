"""What plugins hand over when they register: small descriptions whose functions are called on need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omopcloudetl.core.connection import BaseConnection
    from omopcloudetl.core.generator import BaseSQLGenerator
    from omopcloudetl.core.orchestrator import BaseOrchestrator, ExecutionContext
    from omopcloudetl.core.run_store import BaseRunStore

Settings = Mapping[str, bool | int | float | str | None]


@dataclass(frozen=True)
class Provider:
    """A database that projects can name as `provider`."""

    name: str
    summary: str
    generator: Callable[[], BaseSQLGenerator]
    """Makes the SQL generator; imports no driver."""
    connection: Callable[[Settings, Path], BaseConnection]
    """Makes a connection, not open yet, from the target's settings and the project's folder."""
    check: Callable[[Settings], list[tuple[str, str]]] = lambda settings: []
    """Checks a target's settings: (key, what is wrong) for each mistake; imports no driver."""
    target_generator: Callable[[Settings], BaseSQLGenerator] | None = None
    """Makes the generator for a target where its settings change the SQL; values of secrets are not known yet."""

    def generator_for(self, settings: Settings) -> BaseSQLGenerator:
        """The SQL generator for a target of these settings."""
        return self.generator() if self.target_generator is None else self.target_generator(settings)


@dataclass(frozen=True)
class Orchestrator:
    """Something that runs plans and that targets can name as `orchestrator`."""

    name: str
    summary: str
    make: Callable[[ExecutionContext], BaseOrchestrator]
    store: Callable[[Path], BaseRunStore] | None = None
    """Opens what it kept of its runs in a state folder, for reading; None if it keeps nothing there."""


@dataclass(frozen=True)
class SecretsProvider:
    """A place where secrets are looked up by name; `lookup` returns None for a name it does not have."""

    name: str
    priority: int
    lookup: Callable[[str], str | None]
    place: Callable[[str], str] = lambda name: ""
    """Says where it looks for a name, such as a path, so that an error can tell; never a value."""
