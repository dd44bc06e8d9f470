"""The settings of a target's `connection:`, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core import provider_settings
from omopcloudetl.core.registrations import Settings

MEMORY = ":memory:"

# Shown in place of pydantic's words for patterns and missing keys.
PROBLEMS = {
    "path": "write the database file, relative to the project folder, or ':memory:'",
    "storage_version": "write a version of DuckDB such as 'v1.3.0', or 'latest'",
    "s3_endpoint": "write host and port, without https://",
    "threads": "write a whole number of at least 1",
    "memory_limit": "write a number and a unit, such as '4GB'",
    "postgres_port": "write a whole number from 1 to 65535",
    "postgres_sslmode": "write disable, prefer, require, verify-ca or verify-full",
}

PAIRS = (
    ("s3_key_id", "s3_secret"),
    ("s3_secret", "s3_key_id"),
    ("s3_session_token", "s3_secret"),
    ("postgres_dbname", "postgres_host"),
    ("postgres_dbname", "postgres_user"),
    ("postgres_host", "postgres_dbname"),
    ("postgres_user", "postgres_dbname"),
    ("postgres_password", "postgres_user"),
)
"""A setting, and another without which it means nothing."""
Text = Annotated[str, Field(min_length=1)]


class DuckDBConfig(BaseModel):
    """How to open a DuckDB database."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: Annotated[str, Field(min_length=1)]
    """The database file, relative to the project folder; `:memory:` keeps nothing."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Threads that the statements which run at a time have together; as many as there are processors by default."""
    memory_limit: Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*([KMGT]i?B|%)\s*$")] | None = None
    """Memory before the engine writes to disk, such as `4GB`; 80 % of the machine's by default."""
    temp_directory: Annotated[str, Field(min_length=1)] | None = None
    """Where the engine writes what does not fit; beside the database file by default."""
    preserve_insertion_order: bool = True
    """Whether tables keep the order of their files; `false` needs less memory for big loads."""
    storage_version: Annotated[str, Field(pattern=r"^(v\d+\.\d+\.\d+|latest)$")] = "v1.3.0"
    """The oldest DuckDB that must be able to open a file this project makes; newer ones store text better."""
    s3_region: Text | None = None
    """The region of the S3 buckets, such as `eu-central-1`."""
    s3_endpoint: Annotated[str, Field(pattern=r"^[^/\s]+$")] | None = None
    """Host and port of an S3 service that is not Amazon's, without `https://`."""
    s3_key_id: Annotated[Text | None, Field(repr=False)] = None
    """The access key; without keys only what everybody may read is read. Write it as `${secret:NAME}`."""
    s3_secret: Annotated[Text | None, Field(repr=False)] = None
    """The secret access key. Write it as `${secret:NAME}`."""
    s3_session_token: Annotated[Text | None, Field(repr=False)] = None
    """The session token of keys that expire. Write it as `${secret:NAME}`."""
    s3_url_style: Literal["vhost", "path"] | None = None
    """Where the bucket stands: in the host's name (`vhost`, the default) or in the `path`."""
    s3_use_ssl: bool | None = None
    """`false` for an S3 service without encryption; `true` by default."""
    ca_cert_file: Text | None = None
    """Certificates in PEM that servers may be signed by, relative to the project; the system's by default."""
    allow_http: bool = False
    """Whether files may be loaded over `http://`, without encryption."""
    extension_directory: Text | None = None
    """A folder with DuckDB's extensions, relative to the project; those of the installed extras by default."""
    postgres_host: Text | None = None
    """The server of a PostgreSQL database whose tables are read where they are, as `postgres.SCHEMA.TABLE`."""
    postgres_port: Annotated[int, Field(ge=1, le=65535)] = 5432
    """The server's port."""
    postgres_dbname: Text | None = None
    """The database."""
    postgres_user: Text | None = None
    """The role that reads; it needs to write nothing."""
    postgres_password: Annotated[Text | None, Field(repr=False)] = None
    """The role's password. Write it as `${secret:NAME}`."""
    postgres_sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    """How the connection is encrypted; only `verify-full` makes sure that the server is the one that was meant."""
    postgres_sslrootcert: Text | None = None
    """Certificates in PEM that the server's may be signed by, relative to the project; `system` for the system's."""

    @model_validator(mode="after")
    def _pairs(self) -> DuckDBConfig:
        for key, other in PAIRS:
            if getattr(self, key) is not None and getattr(self, other) is None:
                raise PydanticCustomError(provider_settings.PAIR, f"needs {other}", {"key": key})
        return self


EngineSettings = dict[str, str | bool | int | float | list[str]]
"""Settings by the engine's names."""


def engine_settings(config: DuckDBConfig, base: Path) -> EngineSettings:
    """What the engine is told when it opens."""
    settings: EngineSettings = {
        # Nothing is downloaded behind the user's back, and no table name means a Python object.
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        # Credentials are those of the target, not those that somebody once stored for the engine.
        "allow_persistent_secrets": "false",
        "python_enable_replacements": "false",
        "preserve_insertion_order": str(config.preserve_insertion_order).lower(),
        "storage_compatibility_version": config.storage_version,
    }
    if config.threads is not None:
        settings["threads"] = str(config.threads)
    if config.memory_limit is not None:
        settings["memory_limit"] = config.memory_limit
    if config.temp_directory is not None:
        settings["temp_directory"] = str(base / config.temp_directory)
    return settings


def read_settings(settings: Settings) -> DuckDBConfig:
    """The settings as a model; raises `DatabaseConnectionError` that lists every problem."""
    return provider_settings.read_settings(DuckDBConfig, settings, PROBLEMS)


def check(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with the settings, as (key, problem); a secret's value is not known yet."""
    return provider_settings.check_settings(DuckDBConfig, settings, PROBLEMS)
