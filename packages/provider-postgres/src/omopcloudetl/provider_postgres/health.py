"""Looks at a target's settings before a session is opened: is it encrypted, are the files of certificates there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from omopcloudetl.core.findings import Diagnosis, Finding
from omopcloudetl.provider_postgres.config import PostgresConfig

ENCRYPTION, CERTIFICATES = "encryption", "certificates"
OTHERS = 0o077


def diagnose_settings(config: PostgresConfig, base: Path) -> Diagnosis:
    """What can be said before anybody is asked."""
    return Diagnosis((_encryption(config), *_certificates(config, base)), reads_files=not config.client_streaming)


def _encryption(config: PostgresConfig) -> Finding:
    if config.sslmode == "verify-full" or _is_here(config.host):
        return Finding(ENCRYPTION, "ok", f"sslmode {config.sslmode} to {config.host}")
    found = f"sslmode {config.sslmode} does not make sure that {config.host} is the server that was meant"
    return Finding(ENCRYPTION, "warning", found, "set `sslmode: verify-full`, and `sslrootcert:` to who signed for it")


def _is_here(host: str) -> bool:
    """Whether nothing leaves this machine."""
    if host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _certificates(config: PostgresConfig, base: Path) -> Iterator[Finding]:
    for key in ("sslrootcert", "sslcert", "sslkey"):
        value: str | None = getattr(config, key)
        if value is None or value == "system":
            continue
        path = base / value
        if not os.access(path, os.R_OK):
            yield Finding(CERTIFICATES, "problem", f"{key}: {value} cannot be read", f"name another file in `{key}`")
        elif key == "sslkey" and os.name == "posix" and path.stat().st_mode & OTHERS:
            yield Finding(CERTIFICATES, "problem", f"other people may reach {value}", f"chmod go= {value}")
        else:
            yield Finding(CERTIFICATES, "ok", f"{key}: {value}")
