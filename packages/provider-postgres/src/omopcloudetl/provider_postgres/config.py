"""The settings of a target's `connection:`, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from omopcloudetl.core import provider_settings
from omopcloudetl.core.registrations import Settings

# Shown in place of pydantic's words.
PROBLEMS = {
    "host": "write the server's name or address, or the folder of its socket",
    "port": "write a whole number from 1 to 65535",
    "dbname": "write the name of the database",
    "user": "write the name of the role",
    "sslmode": "write disable, prefer, require, verify-ca or verify-full",
    "connect_timeout": "write a whole number of seconds, at least 1",
    "statement_timeout": "write a whole number of seconds, at least 1",
    "lock_timeout": "write a whole number of seconds, at least 1",
    "work_mem": "write a number and a unit, such as '64MB'",
    "client_streaming": "write true or false",
}
PROGRAM = "omopcloudetl"
"""What sessions are called that work for no run."""
Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[int, Field(ge=1)]


class PostgresConfig(BaseModel):
    """How to open a session with a PostgreSQL server."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    host: Text
    """The server's name or address; a path is the folder of its socket on this machine."""
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    """The server's port."""
    dbname: Text
    """The database."""
    user: Text
    """The role that runs everything; it owns what it makes."""
    password: Annotated[str | None, Field(repr=False)] = None
    """The role's password. Write it as `${secret:NAME}`; without one, libpq looks into its password file."""
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    """How the connection is encrypted; only `verify-full` makes sure that the server is the one that was meant."""
    sslrootcert: Text | None = None
    """Certificates in PEM that the server's may be signed by, relative to the project; `system` for the system's."""
    sslcert: Text | None = None
    """The client's certificate in PEM, relative to the project."""
    sslkey: Annotated[Text | None, Field(repr=False)] = None
    """The file of its key, relative to the project, for its owner alone."""
    connect_timeout: Seconds = 10
    """Seconds to wait for the server to answer; the whole is tried again a few times."""
    statement_timeout: Seconds | None = None
    """Seconds after which the server ends a statement; a step's own `timeout` is better."""
    lock_timeout: Seconds | None = None
    """Seconds to wait for a lock that another session holds; without it, as long as it takes."""
    work_mem: Annotated[str, Field(pattern=r"^\d+(kB|MB|GB|TB)$")] | None = None
    """Memory for each sort and join of a statement, such as `256MB`; the server's setting by default."""
    client_streaming: bool = False
    """Whether files are read on this machine and sent to the server; else the server reads them by their paths."""


def read_settings(settings: Settings) -> PostgresConfig:
    """The settings as a model; raises `DatabaseConnectionError` that lists every problem."""
    return provider_settings.read_settings(PostgresConfig, settings, PROBLEMS)


def check(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with the settings, as (key, problem); a secret's value is not known yet."""
    return provider_settings.check_settings(PostgresConfig, settings, PROBLEMS)


def connection_parameters(config: PostgresConfig, base: Path, name: str = PROGRAM) -> dict[str, str | int]:
    """What the driver is told; files of certificates are relative to the project, `name` is the session's."""
    parameters: dict[str, str | int | None] = {
        "host": config.host,
        "port": config.port,
        "dbname": config.dbname,
        "user": config.user,
        "password": config.password,
        "sslmode": config.sslmode,
        "connect_timeout": config.connect_timeout,
        "application_name": name,
        "client_encoding": "UTF8",
    }
    for key in ("sslrootcert", "sslcert", "sslkey"):
        value: str | None = getattr(config, key)
        parameters[key] = str(base / value) if value is not None and value != "system" else value
    return {key: value for key, value in parameters.items() if value is not None}


def session_settings(config: PostgresConfig) -> dict[str, str]:
    """What every session is set to, so that a statement means the same on every server."""
    settings = {
        "datestyle": "ISO, YMD",
        "intervalstyle": "postgres",
        "timezone": "UTC",
        "standard_conforming_strings": "on",
        "backslash_quote": "off",
        "extra_float_digits": "1",
        "bytea_output": "hex",
        # Every name is qualified: what somebody made in `public` is never meant.
        "search_path": "",
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "off",
        # Statements are long and run once: compiling one takes longer than running it.
        "jit": "off",
        "client_min_messages": "warning",
        "statement_timeout": f"{config.statement_timeout or 0}s",
        "lock_timeout": f"{config.lock_timeout or 0}s",
        "idle_in_transaction_session_timeout": "0",
        # A session whose program is gone ends within two minutes, also if the network never says so.
        "tcp_keepalives_idle": "60s",
        "tcp_keepalives_interval": "10s",
        "tcp_keepalives_count": "6",
    }
    if config.work_mem is not None:
        settings["work_mem"] = config.work_mem
    return settings
