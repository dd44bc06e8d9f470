"""The database that a provider's tests run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.registrations import Provider, Settings


@dataclass(frozen=True)
class Target:
    """An empty database, and a provider for it."""

    provider: Provider
    """What the plugin registers."""
    settings: Settings
    """What stands under `connection:` of a project's target."""
    base: Path
    """The project's folder, in which the kit writes files; the engine must be able to read them, if it loads any."""
    schemas: Mapping[str, str] = field(default_factory=dict)
    """Physical schemas, where they cannot be `source`, `vocab`, `cdm` and `work`."""

    def connection(self) -> BaseConnection:
        """A session that is not open yet."""
        return self.provider.connection(self.settings, self.base)
