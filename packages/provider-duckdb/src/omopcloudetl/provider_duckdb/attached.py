"""Attaches a PostgreSQL database to the engine, whose tables are then read where they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from omopcloudetl.core.errors import DatabaseConnectionError
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.extensions import Extension, ExtensionError
from omopcloudetl.provider_duckdb.sql import identifier, literal

EXTENSION = Extension("postgres_scanner", "postgres", "tables in PostgreSQL need")
CATALOG = "postgres"
"""What the attached database is called in names: `postgres.public.patients`."""
SECRET_NAME = "omopcloudetl_postgres"  # a name, no password
LOST = re.compile(
    r"Unable to connect to Postgres.*"
    r"(?:refused|timed out|timeout|starting up|shutting down|accepting connections|too many clients|reserved)"
    r"|server closed the connection|Lost connection|terminating connection",
    re.DOTALL,
)
REASON = re.compile(r"(?:FATAL|ERROR): +(.+)|(?:failed|could not [^:]*): ([^\n]+)")


def attachment(config: DuckDBConfig, base: Path, version: str) -> Iterator[str]:
    """The statements that attach the target's database, for reading only; none where it names none.

    Credentials are in a secret of the engine, which writes them nowhere and shows them to nobody.
    """
    if config.postgres_dbname is None:
        return
    try:
        yield f"LOAD {literal(str(EXTENSION.file(config, base, version)))}"
    except ExtensionError as error:
        raise DatabaseConnectionError(str(error)) from None
    yield f"CREATE OR REPLACE TEMPORARY SECRET {SECRET_NAME} (\n{', '.join(_credentials(config))}\n)"
    options = _options(config, base)
    yield (
        f"ATTACH IF NOT EXISTS {literal(options)} AS {identifier(CATALOG)}"
        f" (TYPE postgres, SECRET {SECRET_NAME}, READ_ONLY)"
    )


def _credentials(config: DuckDBConfig) -> Iterator[str]:
    yield "TYPE postgres"
    for key, value in (
        ("HOST", config.postgres_host),
        ("DATABASE", config.postgres_dbname),
        ("USER", config.postgres_user),
        ("PASSWORD", config.postgres_password),
    ):
        if value is not None:
            yield f"{key} {literal(value)}"
    yield f"PORT {config.postgres_port}"


def _options(config: DuckDBConfig, base: Path) -> str:
    """What libpq is told beside the credentials; a value is quoted as libpq wants it."""
    options = {"sslmode": config.postgres_sslmode, "application_name": "omopcloudetl"}
    if config.postgres_sslrootcert is not None:
        named = config.postgres_sslrootcert
        options["sslrootcert"] = named if named == "system" else str(base / named)
    return " ".join(f"{key}='{_escaped(value)}'" for key, value in options.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def is_lost(words: str) -> bool:
    """Whether the server may be there again in a moment."""
    return LOST.search(words) is not None


def refused(config: DuckDBConfig, words: str) -> str:
    """Why the database cannot be attached, without the engine's words, which hold the password."""
    for spelled in {config.postgres_password or "", _escaped(config.postgres_password or "")} - {""}:
        words = words.replace(spelled, "***")
    found = REASON.search(words)
    reason = f": {(found[1] or found[2]).strip()}" if found else ""
    return (
        f"cannot attach the database {config.postgres_dbname} on {config.postgres_host}, port {config.postgres_port}"
        f"{reason}; check the target's postgres_ settings"
    )
