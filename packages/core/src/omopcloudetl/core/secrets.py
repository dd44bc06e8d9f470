"""Resolves `${secret:NAME}` when a connection opens; environment, file and keyring are built in."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from omopcloudetl.core.errors import SecretError
from omopcloudetl.core.registrations import SecretsProvider, Settings
from omopcloudetl.core.secret_files import read_secret
from omopcloudetl.core.secret_keyring import from_keyring, keyring_place

NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"
SECRETS_DIRECTORY = "OMOPCLOUDETL_SECRETS_DIR"
# A doubled dollar is the way to write `${` itself; what is left of the three is a mistake.
_TOKEN = re.compile(r"(?P<literal>\$\$\{)|\$\{secret:(?P<secret>" + NAME + r")\}|(?P<wrong>\$\{[^{}]{0,60}\}|\$\{)")
_LAST_NAME = re.compile(rf"({NAME})[^A-Za-z0-9_]*$")


@dataclass(frozen=True)
class Misspelling:
    """What looks like a secret and is none."""

    found: str
    suggestion: str | None


def secret_names(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The secrets that each setting needs, by the setting's key; settings without any are left out."""
    found = {key: tuple(m["secret"] for m in _tokens(value) if m["secret"]) for key, value in settings.items()}
    return {key: names for key, names in found.items() if names}


def misspelling(value: object) -> Misspelling | None:
    """The first `${…}` of a value that is neither `${secret:NAME}` nor the literal `$${`."""
    for match in _tokens(value):
        if found := match["wrong"]:
            name = _LAST_NAME.search(found)
            return Misspelling(found, f"${{secret:{name[1]}}}" if name and name[1] != "secret" else None)
    return None


def unescaped(settings: Settings) -> Settings:
    """The settings with `$${` read as `${` where they hold no secret; the others are as they were written."""
    needed = secret_names(settings)
    return {
        key: value.replace("$${", "${") if isinstance(value, str) and key not in needed else value
        for key, value in settings.items()
    }


def _tokens(value: object) -> Iterable[re.Match[str]]:
    return _TOKEN.finditer(value) if isinstance(value, str) else ()


def from_environment(name: str) -> str | None:
    """The environment variable of the secret's name."""
    return os.environ.get(name)


def from_file(name: str) -> str | None:
    """The content of the file NAME in the folder `OMOPCLOUDETL_SECRETS_DIR`, without a final newline.

    A file that others may read or replace is refused.
    """
    folder = os.environ.get(SECRETS_DIRECTORY)
    return read_secret(Path(folder) / name, name) if folder else None


def _variable(name: str) -> str:
    return f"variable {name}"


def _file(name: str) -> str:
    folder = os.environ.get(SECRETS_DIRECTORY)
    return str(Path(folder) / name) if folder else f"{SECRETS_DIRECTORY} is not set"


BUILT_IN: Sequence[SecretsProvider] = (
    SecretsProvider("environment", 10, from_environment, _variable),
    SecretsProvider("file", 20, from_file, _file),
    SecretsProvider("keyring", 30, from_keyring, keyring_place),
)


def look_up(name: str, providers: Iterable[SecretsProvider]) -> tuple[str, str]:
    """The provider that has a secret, and its value; raises `SecretError` that says where it was looked for."""
    ordered = sorted(providers, key=lambda provider: (provider.priority, provider.name))
    for provider in ordered:
        value = _ask(provider, name)
        if value is not None:
            return provider.name, value
    asked = ", ".join(_described(provider, name) for provider in ordered)
    raise SecretError(f"the secret '{name}' is in none of: {asked or 'no secrets provider'}")


def resolve_settings(settings: Settings, providers: Iterable[SecretsProvider]) -> Settings:
    """The settings with every `${secret:NAME}` replaced; raises `SecretError` for a name that nobody has."""
    return resolve_with_values(settings, providers)[0]


def resolve_with_values(
    settings: Settings,
    providers: Iterable[SecretsProvider],
    owner: Callable[[str], str] = "the setting '{}'".format,
) -> tuple[Settings, frozenset[str]]:
    """The resolved settings, and the values of the secrets in them, so that they can be kept out of errors.

    `owner` says for an error whose setting a key is.
    """
    asked, values = tuple(providers), set()
    resolved: dict[str, bool | int | float | str | None] = {}
    for key, value in settings.items():
        if misspelling(value) is not None:
            raise SecretError(f"{owner(key)} holds a secret that is not written ${{secret:NAME}}")

        def replace(match: re.Match[str], key: str = key) -> str:
            if match["literal"]:
                return "${"
            try:
                _, found = look_up(match["secret"], asked)
            except SecretError as error:
                raise SecretError(f"{error}; {owner(key)} needs it") from None
            values.add(found)
            return found

        resolved[key] = _TOKEN.sub(replace, value) if isinstance(value, str) else value
    return resolved, frozenset(values)


def _ask(provider: SecretsProvider, name: str) -> str | None:
    try:
        return provider.lookup(name)
    except SecretError:
        raise
    except Exception as error:  # noqa: BLE001  # its text may hold the secret, so it is not shown
        message = f"the secrets provider {provider.name} failed for '{name}': {type(error).__name__}"
        raise SecretError(message) from None


def _described(provider: SecretsProvider, name: str) -> str:
    place = provider.place(name)
    return f"{provider.name} ({place})" if place else provider.name
