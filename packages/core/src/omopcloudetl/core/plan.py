"""The plan: what must happen, as data that any orchestrator can run, show, compare or export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Literal, assert_never

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from omopcloudetl.core.errors import PlanError
from omopcloudetl.core.models.faults import OnFailure
from omopcloudetl.core.models.loads import Encoding, FileFormat, LogicalType
from omopcloudetl.core.text import one_line, plural

PLAN_VERSION: Literal[2] = 2

Transaction = Literal["step", "none"]
Reports = Literal["note", "warning"]
"""What a text of a query is: something to know, or something that deserves a look."""


class PlanModel(BaseModel):
    """Frozen and strict, like everything that is compiled."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Origin(PlanModel):
    """The user's line a step comes from; the file is relative to the project."""

    file: str
    line: int


class Retry(PlanModel):
    """How often a step is tried after an error that may pass by itself, and the seconds between two tries."""

    attempts: int = 3
    first_wait: float = 0.2
    max_wait: float = 10.0


class Timeout(PlanModel):
    """How long a step may take, with all its tries."""

    seconds: float
    origin: Origin
    """The user's line that says so."""


class Statement(PlanModel):
    """One statement in the target dialect."""

    sql: str
    purpose: str
    """What it does, in a few words."""
    check: str | None = None
    """Set for a check: the statement is a query, and any row it returns fails the step with this message."""
    counted: bool = True
    """Whether the rows it writes are the step's result; not for keys and intermediate tables."""
    reports: Reports | None = None
    """Set for a query that tells something: the first value of each row is a text for the run's record."""


class LoadColumn(PlanModel):
    """A column that a load must fill."""

    name: str
    optional: bool = True
    """Whether the column may be missing from the file; it is NULL then."""
    needed_by: str | None = None
    """The first rule that reads the column, as `file:line`."""
    type: LogicalType | None = None
    """What rules read the column as, where it is declared."""
    other_names: tuple[str, ...] = ()
    """What a file may call the column where it has none of this name; the first that is there."""

    @model_serializer(mode="wrap")
    def _without_nothing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Plans of before stay what they were, with their hashes and fingerprints."""
        return _said(self, handler(self), "other_names")


class TextOptions(PlanModel):
    """How the text of files is spelled; binary files have none of it."""

    delimiter: str = ","
    quote: str = '"'
    """Empty where nothing is quoted."""
    encoding: Encoding = "utf-8"
    null: tuple[str, ...] = ()
    """Texts that, unquoted, are NULL; an empty value always is."""
    names: tuple[str, ...] = ()
    """The columns of files without a header, in order; empty where the first record names them."""


class RejectOptions(PlanModel):
    """How many malformed records a load may set aside, and where."""

    max_rejected: int
    table: tuple[str, ...]
    """Physical name of the table with load_step, table_name, file, line, reason and text."""
    keep_text: bool = False


class StepBase(PlanModel):
    """What every step has."""

    name: str
    summary: str
    reads: tuple[str, ...] = ()
    """Logical tables (`source.patients`) that must be there."""
    writes: tuple[str, ...] = ()
    """Logical tables whose content this step makes, and those of `creates`."""
    creates: tuple[str, ...] = ()
    """Those of `writes` that it makes where they are not there, empty, and else leaves as they are."""
    amends: bool = False
    """Whether what it leaves may depend on what its tables held: it is run again only after what else fills them."""
    depends_on: tuple[str, ...] = ()
    transaction: Transaction = "step"
    """`step`: all statements or none; `none`: each for itself, safe to repeat."""
    origin: Origin
    fingerprint: str = ""
    """Hash of what the step does and of every step it depends on."""
    timeout: Timeout | None = None

    @model_serializer(mode="wrap")
    def _without_nothing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Plans of before stay what they were."""
        return _said(self, handler(self), "creates", "amends", "timeout")


class SqlStep(StepBase):
    """Statements, in order."""

    kind: Literal["sql"] = "sql"
    statements: tuple[Statement, ...]

    def sql(self) -> str:
        """Its statements as a script with a comment over each, for people to read."""
        return "\n".join(_script(self))

    def __repr__(self) -> str:
        return f"<SqlStep {self.name}: {plural(len(self.statements), 'statement')}, {_from(self)}>"

    __str__ = __repr__


class NeededFile(PlanModel):
    """A file without which a load must not begin."""

    uris: tuple[str, ...]
    """Where it may be: one of these places is enough."""
    needed_by: str | None = None
    """The first rule that reads it, as `file:line`."""


class BulkLoadStep(StepBase):
    """Files into one table, by the database's own means."""

    kind: Literal["bulk_load"] = "bulk_load"
    uri: str
    """Path, glob or URI; a relative path is relative to the project."""
    format: FileFormat
    text: TextOptions = TextOptions()
    table: tuple[str, ...]
    """Physical name: (schema, table) or (catalog, schema, table)."""
    mode: Literal["create", "replace_rows", "view"]
    """`create`: the table is made from the file, text as delivered; `replace_rows`: it exists, with types; `view`: the
    table is a view of the files, which stay where they are."""
    columns: tuple[LoadColumn, ...] = ()
    rejects: RejectOptions | None = None
    """None where a malformed record fails the load."""
    others: tuple[str, ...] = ()
    """Where else the files may be, in this order, if there is none at `uri`."""
    optional: bool = False
    """Whether there may be no file; the table is empty then."""
    beside: tuple[NeededFile, ...] = ()
    """Files of other loads that must be there, too, before this one changes anything."""

    def sql(self) -> str:
        """What it loads, as comments: only the provider knows the statement."""
        return "\n".join(_script(self))

    def __repr__(self) -> str:
        return f"<BulkLoadStep {self.name}: {one_line(self.uri)} into {'.'.join(self.table)}, {_from(self)}>"

    __str__ = __repr__


PlanStep = Annotated[SqlStep | BulkLoadStep, Field(discriminator="kind")]


class RunTables(PlanModel):
    """The tables in the target that say which steps are complete; `core.run_tables` has their columns."""

    workflow: str
    """Of the project; runs of one workflow go on with each other's work."""
    runs: tuple[str, ...]
    """Physical name of the table with a row for each run."""
    steps: tuple[str, ...]
    """Physical name of the table with a row for each step of each run."""
    statements: tuple[Statement, ...]
    """What makes both where they are not there."""
    last_number: str
    """A query for the greatest run_number."""
    newest_run: str
    """A query for run_id and run_number of this workflow's runs, the newest first."""
    steps_since: str
    """A query for run_id, step, fingerprint, state and tables_written of its newest run and of all runs after that."""
    unfinished_runs: str
    """A query for the rows of the project's runs that have not ended, of all its workflows, with all columns."""


class CompiledWorkflowPlan(PlanModel):
    """A compiled workflow: the same project gives the same bytes, on any machine and at any time."""

    plan_version: Literal[2] = PLAN_VERSION
    name: str
    cdm_version: str
    provider: str
    dialect: str
    concurrency: int = 1
    retry: Retry | None = None
    """None where the workflow says nothing: `Retry()` then."""
    on_failure: OnFailure = "continue"
    schemas: dict[str, str]
    """Logical schema → physical schema."""
    steps: tuple[PlanStep, ...]
    """In an order in which they could run one after the other."""
    ledger: str | None = None
    """A query for the run's ledger: mapping, entry, target_table, reason, row_count."""
    counted_tables: dict[str, str] = {}
    """Logical CDM table → a query that counts its rows."""
    run_tables: RunTables | None = None
    """None where nothing is to be written into the target beside the data; such a plan cannot be resumed."""
    content_hash: str = ""

    @model_serializer(mode="wrap")
    def _without_nothing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Plans of before stay what they were, with their hashes."""
        return _said(self, handler(self), "retry", "on_failure")

    def sealed(self) -> CompiledWorkflowPlan:
        """The same plan with its content hash filled in."""
        return self.model_copy(update={"content_hash": self._hash()})

    def _hash(self) -> str:
        return content_hash(self.model_dump(mode="json", exclude={"content_hash"}))

    def step(self, name: str) -> PlanStep:
        """The step of a name; raises `PlanError` with the nearest names."""
        for step in self.steps:
            if step.name == name:
                return step
        near = get_close_matches(name, [step.name for step in self.steps])
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise PlanError(f"the plan has no step '{name}'{hint}")

    def sql(self) -> str:
        """The whole plan as one SQL script with a comment over each step and statement, for people to read.

        Loads are comments, because only the provider knows their statement.
        """
        head = f"-- {self.name}: CDM {self.cdm_version} on {self.provider}, plan {self.content_hash[:12]}"
        return "\n".join([head, *(line for step in self.steps for line in ("", *_script(step)))])

    def __repr__(self) -> str:
        made = f"{plural(len(self.steps), 'step')} for {self.provider}, CDM {self.cdm_version}"
        return f"<CompiledWorkflowPlan {self.name}: {made}, plan {self.content_hash[:12]}>"

    __str__ = __repr__

    def to_json(self) -> str:
        """The plan as JSON text; the bytes depend on the content only."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> CompiledWorkflowPlan:
        """Read a plan back; raises `PlanError` if it was made by another version or changed by hand."""
        try:
            plan = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            if first["loc"] == ("plan_version",):
                found = f"the plan is of version {first['input']}, this program reads version {PLAN_VERSION}"
                raise PlanError(f"{found}; compile it again") from None
            where = ".".join(map(str, first["loc"])) or "the text"
            raise PlanError(f"this is not a plan: {where}: {first['msg']}") from None
        if plan.content_hash != plan._hash():
            raise PlanError(f"the plan's content does not match its hash {plan.content_hash[:12]}; compile it again")
        return plan


def _said(model: PlanModel, content: dict[str, Any], *names: str) -> dict[str, Any]:
    """The content without those of these fields that say nothing."""
    for name in names:
        if getattr(model, name) == type(model).model_fields[name].default:
            content.pop(name, None)
    return content


def _from(step: StepBase) -> str:
    return f"from {step.origin.file}:{step.origin.line}"


def _script(step: SqlStep | BulkLoadStep) -> Iterator[str]:
    yield f"-- step {step.name}: {one_line(step.summary)}"
    yield f"--   {_from(step)}" + (f", after {', '.join(step.depends_on)}" if step.depends_on else "")
    match step:
        case SqlStep():
            if step.transaction == "step" and len(step.statements) > 1:
                yield f"--   {len(step.statements)} statements in one transaction"
            for statement in step.statements:
                yield from _statement(statement)
        case BulkLoadStep():
            table = ".".join(step.table)
            yield f"--   bulk load of {one_line(step.uri)} ({step.format}) into {table}: {step.mode}"
        case _:
            assert_never(step)


def _statement(statement: Statement) -> Iterator[str]:
    yield f"-- {one_line(statement.purpose)}"
    if statement.check is not None:
        yield f"-- a check: the step fails if a row comes back: {one_line(statement.check)}"
    if statement.reports is not None:
        yield f"-- each row is a {statement.reports} in the run's record"
    yield f"{statement.sql.rstrip().removesuffix(';')};"


def content_hash(content: Any) -> str:
    """SHA-256 over the canonical JSON of plain values, as 64 hexadecimal digits."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
