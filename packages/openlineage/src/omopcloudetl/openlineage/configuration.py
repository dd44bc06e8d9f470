"""Reads OpenLineage's own configuration: whether there is any, and the client that it describes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient

FILE_NAME = "openlineage.yml"
URL_VARIABLE = "OPENLINEAGE_URL"
CONFIG_VARIABLE = "OPENLINEAGE_CONFIG"
DISABLED_VARIABLE = "OPENLINEAGE_DISABLED"
TRANSPORT_VARIABLES = "OPENLINEAGE__TRANSPORT"


class ConfigurationError(Exception):
    """OpenLineage's configuration cannot be used; the message holds no secret."""


def is_configured(environment: Mapping[str, str], folder: Path, home: Path) -> bool:
    """Whether anything says where events go; costs no import of the client."""
    if environment.get(DISABLED_VARIABLE, "").strip().lower() == "true":
        return False
    if environment.get(URL_VARIABLE) or environment.get(CONFIG_VARIABLE):
        return True
    if any(name.startswith(TRANSPORT_VARIABLES) for name in environment):
        return True
    return (folder / FILE_NAME).is_file() or (home / ".openlineage" / FILE_NAME).is_file()


def make_client() -> OpenLineageClient:
    """The client of the environment and of `openlineage.yml`, with `${secret:NAME}` looked up where it stands.

    Raises:
        ConfigurationError: Nothing says where events go, or what says it cannot be used.
    """
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport import get_default_factory
    from openlineage.client.transport.noop import NoopConfig, NoopTransport

    # First without a transport, because secrets must be looked up before one is made.
    client = OpenLineageClient(transport=NoopTransport(NoopConfig()))
    described = client.config.transport or {}
    if not described.get("type") and os.environ.get(URL_VARIABLE):
        described = _from_url(os.environ)
    if not described.get("type"):
        raise ConfigurationError(f"{CONFIG_VARIABLE} or {FILE_NAME} has no `transport:` with a `type:`")
    resolved = _resolved(described)
    _protect_files(resolved)
    client.transport = get_default_factory().create(resolved)
    return client


def _from_url(environment: Mapping[str, str]) -> dict[str, object]:
    """What the variables `OPENLINEAGE_URL`, `_ENDPOINT` and `_API_KEY` mean to the client."""
    described: dict[str, object] = {"type": "http", "url": environment[URL_VARIABLE]}
    if endpoint := environment.get("OPENLINEAGE_ENDPOINT"):
        described["endpoint"] = endpoint
    if key := environment.get("OPENLINEAGE_API_KEY"):
        described["auth"] = {"type": "api_key", "apiKey": key}
    return described


def _resolved(described: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which every `${secret:NAME}` is replaced."""
    return {key: _value(key, value) for key, value in described.items()}


def _value(key: str, value: object) -> object:
    match value:
        case Mapping():
            return {inner: _value(f"{key}.{inner}", item) for inner, item in value.items()}
        case list():
            return [_value(key, item) for item in value]
        case str() if "${" in value:
            return _secret(key, value)
        case _:
            return value


def _secret(key: str, value: str) -> object:
    from omopcloudetl.core.errors import SecretError
    from omopcloudetl.core.plugins import load_plugins
    from omopcloudetl.core.secrets import resolve_with_values

    try:
        providers = load_plugins().secrets_providers()
        return resolve_with_values({key: value}, providers, "`transport.{}` of OpenLineage".format)[0][key]
    except SecretError as error:
        raise ConfigurationError(str(error)) from None


def _protect_files(described: object) -> None:
    """Make the files that events are appended to, so that only their owner may read them."""
    if not isinstance(described, Mapping | list):
        return
    for value in described.values() if isinstance(described, Mapping) else described:
        _protect_files(value)
    if isinstance(described, Mapping) and described.get("type") == "file" and described.get("append"):
        path = str(described.get("log_file_path", "")).removeprefix("file://")
        if path and "://" not in path:
            os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
