"""Resolves `${secret:NAME}` when a connection opens; environment and file are built in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from omopcloudetl.core.errors import SecretError
from omopcloudetl.core.registrations import SecretsProvider, Settings

SECRET = re.compile(r"\$\{secret:([A-Za-z_][A-Za-z0-9_.-]*)\}")
SECRETS_DIRECTORY = "OMOPCLOUDETL_SECRETS_DIR"


def from_environment(name: str) -> str | None:
    """The environment variable of the secret's name."""
    return os.environ.get(name)


def from_file(name: str) -> str | None:
    """The content of the file NAME in the folder that `OMOPCLOUDETL_SECRETS_DIR` names, without a final newline."""
    folder = os.environ.get(SECRETS_DIRECTORY)
    path = Path(folder) / name if folder else None
    if path is None or not path.is_file():
        return None
    return path.read_text(encoding="utf-8").removesuffix("\n")


BUILT_IN: Sequence[SecretsProvider] = (
    SecretsProvider("environment", 10, from_environment),
    SecretsProvider("file", 20, from_file),
)


def resolve_settings(settings: Settings, providers: Iterable[SecretsProvider]) -> Settings:
    """The settings with every `${secret:NAME}` replaced; raises `SecretError` for a name that nobody has."""
    ordered = sorted(providers, key=lambda provider: (provider.priority, provider.name))

    def value_of(match: re.Match[str]) -> str:
        for provider in ordered:
            value = provider.lookup(match[1])
            if value is not None:
                return value
        asked = ", ".join(provider.name for provider in ordered)
        raise SecretError(f"the secret '{match[1]}' is in none of: {asked}")

    return {key: SECRET.sub(value_of, value) if isinstance(value, str) else value for key, value in settings.items()}
