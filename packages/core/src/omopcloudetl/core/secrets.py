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
    """The content of the file NAME in the folder `OMOPCLOUDETL_SECRETS_DIR`, without a final newline."""
    folder = os.environ.get(SECRETS_DIRECTORY)
    path = Path(folder) / name if folder else None
    if path is None or not path.is_file():
        return None
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:  # their texts may hold a part of the secret
        raise SecretError(f"the file of the secret '{name}' cannot be read: {type(error).__name__}") from None


BUILT_IN: Sequence[SecretsProvider] = (
    SecretsProvider("environment", 10, from_environment),
    SecretsProvider("file", 20, from_file),
)


def resolve_settings(settings: Settings, providers: Iterable[SecretsProvider]) -> Settings:
    """The settings with every `${secret:NAME}` replaced; raises `SecretError` for a name that nobody has."""
    return resolve_with_values(settings, providers)[0]


def resolve_with_values(settings: Settings, providers: Iterable[SecretsProvider]) -> tuple[Settings, frozenset[str]]:
    """The resolved settings, and the values of the secrets in them, so that they can be kept out of errors."""
    values: set[str] = set()
    ordered = sorted(providers, key=lambda provider: (provider.priority, provider.name))

    def value_of(match: re.Match[str]) -> str:
        for provider in ordered:
            value = _ask(provider, match[1])
            if value is not None:
                values.add(value)
                return value
        asked = ", ".join(provider.name for provider in ordered)
        raise SecretError(f"the secret '{match[1]}' is in none of: {asked or 'no secrets provider'}")

    resolved: dict[str, bool | int | float | str | None] = {}
    for key, value in settings.items():
        if isinstance(value, str):
            if "${secret" in SECRET.sub("", value):
                raise SecretError(f"the setting '{key}' holds a secret that is not written ${{secret:NAME}}")
            value = SECRET.sub(value_of, value)
        resolved[key] = value
    return resolved, frozenset(values)


def _ask(provider: SecretsProvider, name: str) -> str | None:
    try:
        return provider.lookup(name)
    except SecretError:
        raise
    except Exception as error:  # noqa: BLE001  # its text may hold the secret, so it is not shown
        message = f"the secrets provider {provider.name} failed for '{name}': {type(error).__name__}"
        raise SecretError(message) from None
