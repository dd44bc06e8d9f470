"""The settings of a target's `connection:`, and what can be wrong with them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core import provider_settings
from omopcloudetl.core.registrations import Settings

# Shown in place of pydantic's words.
PROBLEMS = {
    "remote": "write either the address of a Spark Connect server, such as sc://spark.example.org:15002, or master",
    "master": "write where the session runs, such as local[4]",
    "properties": "write the path of a file such as spark-defaults.conf, from the project's folder",
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
    """How to open a session: with a server through Spark Connect, or one of this process."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    remote: Annotated[str | None, Field(pattern=r"^sc://[^/;]+(/(;[^;=]+=[^;]*)*)?$")] = None
    """The server's address, `sc://host:port/;option=value`, with the options of Spark Connect."""
    master: Text | None = None
    """In place of `remote`: where a session of this process runs, such as `local[4]`, `yarn` or `spark://host:7077`."""
    properties: Text | None = None
    """With `master`: a file of Spark's properties in the form of `spark-defaults.conf`."""
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

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        """A server or this process, and for each what belongs to it."""
        if (self.remote is None) == (self.master is None):
            raise PydanticCustomError(provider_settings.PAIR, "write either remote or master", {"key": "remote"})
        if self.properties is not None and self.master is None:
            raise PydanticCustomError(provider_settings.PAIR, "goes with master", {"key": "properties"})
        if self.token is not None and self.remote is None:
            raise PydanticCustomError(provider_settings.PAIR, "goes with remote", {"key": "token"})
        return self


def read_settings(settings: Settings) -> SparkConfig:
    """The settings as a model; raises `DatabaseConnectionError` that lists every problem."""
    return provider_settings.read_settings(SparkConfig, settings, PROBLEMS)


def check(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with the settings, as (key, problem); a secret's value is not known yet."""
    return provider_settings.check_settings(SparkConfig, settings, PROBLEMS)


def address(config: SparkConfig, session: str | None = None) -> str:
    """What the client is told, with the id of a session if it shall have one; a token stands in it."""
    remote = str(config.remote)
    added = {"token": config.token, "session_id": session}
    options = "".join(f";{name}={value}" for name, value in added.items() if value is not None)
    if not options:
        return remote
    return f"{remote if '/;' in remote else remote.rstrip('/') + '/'}{options}"


def session_settings(config: SparkConfig) -> dict[str, str]:
    """What every session is set to, so that a statement means the same on every server."""
    return {
        "spark.sql.ansi.enabled": str(config.ansi).lower(),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.caseSensitive": "false",
        # INSERT OVERWRITE replaces the whole table, partitioned or not.
        "spark.sql.sources.partitionOverwriteMode": "static",
        "spark.sql.storeAssignmentPolicy": "ANSI",
        # A record is held against all columns of its file, also where a query asks for some.
        "spark.sql.csv.parser.columnPruning.enabled": "false",
    }
