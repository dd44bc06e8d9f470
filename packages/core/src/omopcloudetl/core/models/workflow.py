"""The workflow (`WorkflowConfig`): typed variables and the steps that make the CDM."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import (
    ALLOWED,
    AT,
    LogicalTable,
    Name,
    NonEmpty,
    StrictModel,
    as_list,
    with_kind,
)
from omopcloudetl.core.models.values import Scalar

VariableType = Literal["text", "uri", "integer", "number", "boolean", "date"]
LogicalType = Literal["text", "integer", "number", "boolean", "date", "timestamp"]


DIRECTIVES = "aAbBdfHIjmMpSyY%"


def _time_format(value: str) -> str:
    """A format without `%`, or with a directive that engines read differently, is a mistake."""
    directives = re.findall(r"%-?(.?)", value)
    if not directives or not set(directives) <= set(DIRECTIVES):
        allowed = tuple(f"%{letter}" for letter in DIRECTIVES)
        raise PydanticCustomError("time_format", "is no format of a date or timestamp", {ALLOWED: allowed})
    return value


TimeFormat = Annotated[str, AfterValidator(_time_format)]
"""A format of a date or timestamp in the directives of C's `strptime`: `%d.%m.%Y`."""


class Variable(StrictModel):
    """A value the workflow needs from outside, written `:name` in SQL and in `from:`."""

    type: VariableType = "text"
    """A relative `uri` is relative to the project, after `--var` to the current folder."""
    default: Scalar = None
    """The value where neither `--var` nor `project.yaml` gives one; a variable that is used needs a value."""
    description: str | None = None
    """What the value means, shown by `omopcloudetl init`."""


class Column(StrictModel):
    """A column of a source file; the text is kept as delivered and read as `type` where it is used."""

    type: LogicalType = "text"
    format: Annotated[tuple[TimeFormat, ...], BeforeValidator(as_list)] = ()
    """How a date or timestamp is written, as in `%d.%m.%Y %H:%M`, or several ways; ISO 8601 without it."""
    optional: StrictBool = False
    """An optional column may be missing from the file; it is NULL then."""

    @model_validator(mode="after")
    def _format_of_a_time(self) -> Column:
        if self.format and self.type not in {"date", "timestamp"}:
            message = "is for columns of type date or timestamp"
            raise PydanticCustomError("column_format", message, {AT: ("format",)})
        return self


def _bare_type(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


class LoadTable(StrictModel):
    """One table of a bulk load: its file or glob below the step's `from`, and its declared columns."""

    file: NonEmpty
    columns: dict[str, Annotated[Column, BeforeValidator(_bare_type)]] = {}


def _bare_file(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


class StepBase(StrictModel):
    """What every step has."""

    name: Name
    """Unique in the workflow; it names the steps of the plan."""
    description: str | None = None
    """What the step does, shown by `omopcloudetl compile`."""
    depends_on: Annotated[tuple[Name, ...], BeforeValidator(as_list)] = ()
    """Steps to wait for beyond those that what it reads and writes tells."""


class DdlStep(StepBase):
    """Creates the tables of the CDM specification that are not there yet."""

    kind: Literal["ddl"]
    schema_: Annotated[Literal["cdm", "vocab"], Field(alias="schema")]
    """Which of the specification's tables: the vocabulary's, or all others."""
    primary_keys: bool = False
    """Whether the database itself enforces primary keys; without, a query checks them after each write."""


class BulkLoadStep(StepBase):
    """Loads files into tables by the database's own statement."""

    kind: Literal["bulk_load"]
    schema_: Annotated[Literal["source", "vocab"], Field(alias="schema")]
    from_: Annotated[str, Field(alias="from", min_length=1)]
    """A folder or URI, or `:variable`."""
    format: Literal["csv", "tsv", "athena", "parquet"]
    """`csv`: RFC 4180 with a header; `tsv`: with tabs; `athena`: tabs, no quoting, YYYYMMDD; `parquet`."""
    tables: Annotated[dict[Name, Annotated[LoadTable, BeforeValidator(_bare_file)]], Field(min_length=1)]


class DmlStep(StepBase):
    """Runs mappings: files or globs below the project."""

    kind: Literal["dml"]
    mappings: Annotated[tuple[NonEmpty, ...], BeforeValidator(as_list), Field(min_length=1)]
    """Files or globs of mappings, relative to the project."""
    write: Literal["full"] = "full"
    """`full`: each target table becomes exactly the union of its mappings."""


class SqlStep(StepBase):
    """Runs a SQL file over logical names; with `creates`, its one SELECT becomes that table."""

    kind: Literal["sql"]
    file: NonEmpty
    """The SQL file, relative to the project."""
    creates: LogicalTable | None = None
    """The table that the file's one SELECT becomes."""


WorkflowStep = Annotated[
    DdlStep | BulkLoadStep | DmlStep | SqlStep, Field(discriminator="kind"), BeforeValidator(with_kind)
]


class WorkflowConfig(StrictModel):
    """A workflow: what must happen, in any order that what each step reads and writes allows."""

    name: Name
    """What the workflow is called."""
    description: str | None = None
    """What the workflow is for."""
    variables: dict[Name, Variable] = {}
    """Name → a value from outside."""
    concurrency: Annotated[int, Field(ge=1, le=64, strict=True)] = 2
    """How many steps may run at the same time."""
    steps: Annotated[tuple[WorkflowStep, ...], Field(min_length=1)]
    """What must happen, of the kinds below; their order is inferred."""

    @model_validator(mode="after")
    def _names(self) -> WorkflowConfig:
        names = [step.name for step in self.steps]
        for i, step in enumerate(self.steps):
            if step.name in names[:i]:
                raise _at(("steps", i, "name"), "is the name of an earlier step, too")
            for j, other in enumerate(step.depends_on):
                if other == step.name:
                    raise _at(("steps", i, "depends_on", j), "is the step itself")
                if other not in names:
                    raise _at(("steps", i, "depends_on", j), "is the name of no step", names)
        return self


def _at(path: tuple[str | int, ...], message: str, allowed: Sequence[str] = ()) -> PydanticCustomError:
    return PydanticCustomError("step_name", message, {AT: path, ALLOWED: allowed})
