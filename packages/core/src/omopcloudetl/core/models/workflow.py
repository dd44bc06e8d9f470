"""The workflow (`WorkflowConfig`): typed variables and the steps that make the CDM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import (
    ALLOWED,
    AT,
    HELP,
    LogicalTable,
    Name,
    NonEmpty,
    StrictModel,
    as_list,
    with_kind,
)
from omopcloudetl.core.models.faults import OnFailure, Retry, TimeLimit
from omopcloudetl.core.models.loads import Column, FileFormat, LoadOptions, LoadTable, bare_file, bare_type
from omopcloudetl.core.models.values import Scalar

VariableType = Literal["text", "uri", "integer", "number", "boolean", "date"]


class Variable(StrictModel):
    """A value the workflow needs from outside, written `:name` in SQL and in `from:`."""

    type: VariableType = "text"
    """A relative `uri` is relative to the project, after `--var` to the current folder."""
    default: Scalar = None
    """The value where neither `--var` nor `project.yaml` gives one; a variable that is used needs a value."""
    description: str | None = None
    """What the value means, shown by `omopcloudetl init`."""


class StepBase(StrictModel):
    """What every step has."""

    name: Name
    """Unique in the workflow; it names the steps of the plan."""
    description: str | None = None
    """What the step does, shown by `omopcloudetl compile`."""
    depends_on: Annotated[tuple[Name, ...], BeforeValidator(as_list)] = ()
    """Steps to wait for beyond those that what it reads and writes tells."""
    timeout: TimeLimit | None = None
    """Seconds that each step of the plan that comes from it may take, in place of the workflow's `timeout`."""


class DdlStep(StepBase):
    """Creates the tables of the CDM specification that are not there yet."""

    kind: Literal["ddl"]
    schema_: Annotated[Literal["cdm", "vocab"], Field(alias="schema")]
    """Which of the specification's tables: the vocabulary's, or all others."""
    primary_keys: StrictBool = False
    """Whether the database itself enforces primary keys, or with Iceberg notes them; without, a query checks them after
    each write."""


class BulkLoadStep(StepBase, LoadOptions):
    """Loads files into tables by the database's own statement."""

    kind: Literal["bulk_load"]
    schema_: Annotated[Literal["source", "vocab"], Field(alias="schema")]
    from_: Annotated[str, Field(alias="from", min_length=1)]
    """A folder or URI, or `:variable`."""
    format: FileFormat
    """`csv`: RFC 4180; `tsv`: with tabs; `athena`: tabs, no quoting, YYYYMMDD; `parquet`; `json`; `ndjson`."""
    tables: Annotated[dict[Name, Annotated[LoadTable, BeforeValidator(bare_file)]], Field(min_length=1)]


class VocabularyStep(StepBase):
    """Loads OMOP's vocabularies as Athena delivers them, and checks what came."""

    kind: Literal["vocabulary"]
    from_: Annotated[str, Field(alias="from", min_length=1)]
    """A folder or URI with Athena's files, a zip of them, or `:variable`."""
    tables: Annotated[tuple[Name, ...], BeforeValidator(as_list)] = ()
    """Only these tables; without it, every table that there is a file of. Tables that are named must have one."""
    required: Annotated[tuple[Name, ...], BeforeValidator(as_list)] = ()
    """Tables that must have a file, beside those that a rule reads and those without which nothing can be mapped."""
    optional: Annotated[tuple[Name, ...], BeforeValidator(as_list)] = ()
    """Tables that are empty where there is no file of them, even if they are named or a rule reads them."""


VocabularyId = Annotated[str, Field(min_length=1, max_length=20)]
"""The `vocabulary_id` of a vocabulary; the CDM has room for 20 characters."""


class OwnVocabulary(StrictModel):
    """A vocabulary of the project's own."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    """What it is called in full."""
    version: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """Which state of it the concepts are of."""
    reference: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """Where it is described."""


def bare_name(value: object) -> object:
    """Let the name alone stand for a vocabulary."""
    return {"name": value} if isinstance(value, str) else value


class ConceptsStep(StepBase):
    """Adds the project's own concepts to the vocabulary, with ids from 2,000,000,001 on that stay."""

    kind: Literal["concepts"]
    file: NonEmpty
    """A CSV file with a row for each concept, or a pattern of such files, relative to the project."""
    vocabulary: VocabularyId | None = None
    """The vocabulary of the concepts whose row names none."""
    vocabularies: dict[VocabularyId, Annotated[OwnVocabulary, BeforeValidator(bare_name)]] = {}
    """What is known of the vocabularies; one that is not described here has its id as its name."""


class DmlStep(StepBase):
    """Runs mappings: files or globs below the project."""

    kind: Literal["dml"]
    mappings: Annotated[tuple[NonEmpty, ...], Field(min_length=1), BeforeValidator(as_list)]
    """Files or globs of mappings, relative to the project."""
    write: Literal["full", "merge", "append_new"] = "full"
    """`full`: each target table becomes exactly the union of its mappings; `merge`: only for the natural keys that
    the source has now; `append_new`: keys that the table lacks are added, and nothing else is touched."""
    deletes: Literal["keep", "delete"] = "keep"
    """What `merge` does with rows whose natural key the source no longer has."""
    keep_quarantined_rows: StrictBool = False
    """Whether `work.quarantine` keeps the content of the source rows that are set aside; it is patient data."""

    @model_validator(mode="after")
    def _deletes_of_a_merge(self) -> DmlStep:
        if "deletes" in self.model_fields_set and self.write != "merge":
            raise _at(("deletes",), f"has a meaning with `write: merge` only, not with `write: {self.write}`")
        return self

    @property
    def forgets(self) -> bool:
        """Whether a row leaves its table when the source no longer has its key."""
        return self.write == "full" or (self.write == "merge" and self.deletes == "delete")


class SqlStep(StepBase):
    """Runs a SQL file over logical names; with `creates`, its one SELECT becomes that table."""

    kind: Literal["sql"]
    file: NonEmpty
    """The SQL file, relative to the project."""
    creates: LogicalTable | None = None
    """The table that the file's one SELECT becomes."""


class SourceTable(StrictModel):
    """A table of the schema `source` that is in the database already, so that no step loads it."""

    description: str | None = None
    """What it holds and where it comes from."""
    columns: dict[str, Annotated[Column, BeforeValidator(bare_type)]] = {}
    """Its columns with their types; with them, a rule that reads another column is a mistake."""


WorkflowStep = Annotated[
    DdlStep | BulkLoadStep | VocabularyStep | ConceptsStep | DmlStep | SqlStep,
    Field(discriminator="kind"),
    BeforeValidator(with_kind),
]


class WorkflowConfig(StrictModel):
    """A workflow: what must happen, in any order that what each step reads and writes allows."""

    name: Name
    """What the workflow is called."""
    description: str | None = None
    """What the workflow is for."""
    variables: dict[Name, Variable] = {}
    """Name → a value from outside."""
    sources: dict[Name, SourceTable] = {}
    """Tables of the schema `source` that are in the database already."""
    concurrency: Annotated[int, Field(ge=1, le=64, strict=True)] = 2
    """How many steps may run at the same time."""
    retry: Retry | None = None
    """How often a step is tried after an error that may pass by itself; three times without it."""
    timeout: TimeLimit | None = None
    """Seconds that a step may take, with all its tries; without it there is no limit."""
    on_failure: OnFailure = "continue"
    """After a failed step: `continue` with all that does not depend on it, or `stop` and start nothing more."""
    steps: Annotated[tuple[WorkflowStep, ...], Field(min_length=1)]
    """What must happen, of the kinds below; their order is inferred."""

    @property
    def makes_source(self) -> bool:
        """Whether a step may make tables in `source`; else all of them are somewhere already, and stay as they are."""
        made = any(
            (isinstance(step, BulkLoadStep) and step.schema_ == "source")
            or (isinstance(step, SqlStep) and (step.creates or "").startswith("source."))
            for step in self.steps
        )
        return made or not self.sources

    @model_validator(mode="after")
    def _names(self) -> WorkflowConfig:
        names = [step.name for step in self.steps]
        for i, step in enumerate(self.steps):
            if step.name in names[:i]:
                raise _at(("steps", i, "name"), "is the name of an earlier step, too", help_="give one another name")
            for j, other in enumerate(step.depends_on):
                if other == step.name:
                    raise _at(("steps", i, "depends_on", j), "is the step itself", help_="leave it out")
                if other not in names:
                    raise _at(("steps", i, "depends_on", j), "is the name of no step", names)
        return self


def _at(
    path: tuple[str | int, ...], message: str, allowed: Sequence[str] = (), help_: str | None = None
) -> PydanticCustomError:
    return PydanticCustomError("step_name", message, {AT: path, ALLOWED: allowed, HELP: help_})
