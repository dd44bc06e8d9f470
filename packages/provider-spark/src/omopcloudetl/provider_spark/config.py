"""The settings of a target's `connection:`, and what can be wrong with them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from omopcloudetl.core import provider_settings
from omopcloudetl.core.registrations import Settings

# Shown in place of pydantic's words.
PROBLEMS = {
    "remote": "write the address of a Spark Connect server, such as sc://spark.example.org:15002",
    "token": "write a text; better, the name of a secret",
    "format": "write delta or iceberg",
    "catalog": "write the name of a catalog of the server",
    "multiline": "write true or false",
    "not_null": "write true or false",
    "ansi": "write true or false",
    "location": "write the folder or URI in which schemas keep their tables",
}
Text = Annotated[str, Field(min_length=1)]


class SparkConfig(BaseModel):
    """How to open a session with a Spark Connect server."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    remote: Annotated[str, Field(pattern=r"^sc://[^/;]+(/(;[^;=]+=[^;]*)*)?$")]
    """The server's address, `sc://host:port/;option=value`, with the options of Spark Connect."""
    token: Annotated[str | None, Field(repr=False)] = None
    """The token that the server asks for; the connection is encrypted then."""
    format: Literal["delta", "iceberg"] = "delta"
    """The format of tables."""
    catalog: Text | None = None
    """The catalog that schemas are in; the session's own by default."""
    multiline: bool = True
    """Whether quoted values of text files may have line breaks; without, workers share large files."""
    location: Text | None = None
    """Folder or URI below which schemas that are made keep their tables; the catalog's own by default."""
    not_null: bool = True
    """Whether tables are made with NOT NULL, as the CDM says; the compiler checks it, too."""
    ansi: bool = True
    """Whether Spark's ANSI mode is on; results are the same, but for what is an error in it, such as an overflow."""


def read_settings(settings: Settings) -> SparkConfig:
    """The settings as a model; raises `DatabaseConnectionError` that lists every problem."""
    return provider_settings.read_settings(SparkConfig, settings, PROBLEMS)


def check(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with the settings, as (key, problem); a secret's value is not known yet."""
    return provider_settings.check_settings(SparkConfig, settings, PROBLEMS)


def address(config: SparkConfig) -> str:
    """What the client is told; a token stands in it."""
    if config.token is None:
        return config.remote
    return f"{config.remote if '/;' in config.remote else config.remote.rstrip('/') + '/'};token={config.token}"


def session_settings(config: SparkConfig) -> dict[str, str]:
    """What every session is set to, so that a statement means the same on every server."""
    return {
        "spark.sql.ansi.enabled": str(config.ansi).lower(),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.caseSensitive": "false",
        # INSERT OVERWRITE replaces the whole table, partitioned or not.
        "spark.sql.sources.partitionOverwriteMode": "static",
        "spark.sql.storeAssignmentPolicy": "ANSI",
    }
