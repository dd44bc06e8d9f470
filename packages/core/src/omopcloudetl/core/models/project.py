"""The project file: names, schemas, variables and the targets a project can run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.errors import Position
from omopcloudetl.core.models.base import (
    ALLOWED,
    AT,
    HELP,
    LOGICAL_SCHEMAS,
    LogicalSchema,
    Name,
    NonEmpty,
    StrictModel,
    TooLong,
    as_list,
)
from omopcloudetl.core.models.layout import Layout
from omopcloudetl.core.models.values import Scalar

SCHEMA_PATTERN = r"^[^.\s\"'`;]+(\.[^.\s\"'`;]+)?$"
PhysicalSchema = Annotated[str, Field(pattern=SCHEMA_PATTERN)]
"""`schema` or `catalog.schema` as the database names it."""


class Target(StrictModel):
    """A database to run on, as it is written: what it does not say it has from the target it extends."""

    extends: Name | None = None
    """Another target whose keys hold here too, unless this one says otherwise."""
    abstract: bool = False
    """`true` for a target that is only there to be extended; it may lack a provider and cannot be run."""
    provider: str | None = None
    """The database: a provider that `omopcloudetl plugins` lists."""
    connection: Annotated[dict[str, Scalar], Field(repr=False)] = {}
    """The provider's own settings; `${secret:NAME}` is resolved when the connection opens, `null` removes a key."""
    orchestrator: str | None = None
    """Who executes the plan; `local` where nothing says otherwise."""
    schemas: dict[LogicalSchema, PhysicalSchema | None] = {}
    """Physical schemas that differ from the project's on this target."""
    variables: dict[Name, Scalar] = {}
    """Values of the workflow's variables on this target; they win over the project's."""
    layout: Layout = Layout()
    """How the tables of the CDM lie in their files, on databases that have a say in it."""


@dataclass(frozen=True)
class ResolvedTarget:
    """A target with all that it has from those it extends, and where each setting stands."""

    name: str
    provider: str = ""
    orchestrator: str = "local"
    connection: Mapping[str, bool | int | float | str | None] = field(default_factory=dict, repr=False)
    schemas: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, bool | int | float | str | None] = field(default_factory=dict)
    layout: Layout = field(default_factory=Layout)
    abstract: bool = False
    lineage: tuple[str, ...] = ()
    """The targets it extends, the nearest first."""
    places: Mapping[tuple[str, ...], Position] = field(default_factory=dict, repr=False, compare=False)
    """Path of a setting (`("connection", "path")`) → where its value stands, also if that is in another target."""

    def at(self, *path: str) -> Position:
        """Where a setting's value stands, or where its nearest parent does."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return Position("project.yaml")


class SpecificationSource(StrictModel):
    """Where the CDM specification comes from: bundled, OHDSI's as fetched before, or a folder."""

    source: Literal["bundled", "ohdsi"] | None = None
    """`bundled`, or `ohdsi`: what `omopcloudetl spec fetch` brought."""
    path: NonEmpty | None = None
    """A folder in the project, or an absolute one, with OHDSI's CSV files or `VERSION.json`."""

    @model_validator(mode="after")
    def _one_of_both(self) -> SpecificationSource:
        if (self.source is None) == (self.path is None):
            message, context = "needs `source` or `path`, and not both", {HELP: "leave one of them out, or give one"}
            raise PydanticCustomError("specification_source", message, context)
        return self


def _bare_source(value: object) -> object:
    return {"source": value} if isinstance(value, str) else value


class ProjectConfig(StrictModel):
    """`project.yaml`: where a project can run, with which values."""

    name: Name
    """The project's name in plans and run records."""
    cdm_version: str = "5.4"
    """In quotes; `omopcloudetl spec list` shows those there are."""
    specification: Annotated[SpecificationSource, BeforeValidator(_bare_source)] = SpecificationSource(source="bundled")
    """`bundled`, `ohdsi` (what `omopcloudetl spec fetch` brought) or `{path: FOLDER}`."""
    overlays: Annotated[tuple[NonEmpty, ...], BeforeValidator(as_list)] = ()
    """Files that add to the specification, applied in this order."""
    workflow: str = "workflow.yaml"
    """The workflow's file, relative to the project."""
    schemas: dict[LogicalSchema, PhysicalSchema] = {}
    """Logical schema → physical schema; a schema that is not named keeps its logical name."""
    variables: dict[Name, Scalar] = {}
    """Values of the workflow's variables; those of the target and `--var` win over them."""
    too_long: TooLong = "truncate"
    """What becomes of a text that is longer than its field: it is cut, its row quarantined, or the run stops."""
    plugins: tuple[str, ...] = ()
    """Modules of plugins that live outside the `omopcloudetl` namespace."""
    targets: Annotated[dict[Name, Target], Field(min_length=1)]
    """Name → a database to run on."""
    default_target: Name | None = None
    """The target without `--target`; not needed where there is one target."""

    @model_validator(mode="after")
    def _has_default(self) -> ProjectConfig:
        """The default can be run; a target that is only extended cannot."""
        if self.default_target is None:
            return self
        context = {AT: ("default_target",), ALLOWED: self.runnable}
        if self.default_target not in self.targets:
            raise PydanticCustomError("default_target", "is none of the targets", context)
        if self.targets[self.default_target].abstract:
            raise PydanticCustomError("default_target", "is abstract: a target to extend, not to run", context)
        return self

    @property
    def runnable(self) -> tuple[str, ...]:
        """The names of the targets that are not abstract."""
        return tuple(name for name, target in self.targets.items() if not target.abstract)

    def physical_schemas(self, target: ResolvedTarget) -> dict[str, str]:
        """The physical name of every logical schema on `target`."""
        return {name: name for name in LOGICAL_SCHEMAS} | self.schemas | dict(target.schemas)
