"""What an explanation is: frozen, plain values, so that it can be shown, compared and written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

SQL_KEYS = frozenset({"sql", "written_as"})
"""What `to_json(sql=False)` leaves out."""


@dataclass(frozen=True)
class Rule:
    """A part of a user's file."""

    key: str
    """Its keys from the top of the file: `columns.gender_concept_id`."""
    file: str
    line: int
    text: str
    """As it stands in the file."""

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class ReadColumn:
    """A column that a value is made of."""

    table: str
    """The logical table."""
    column: str
    type: str | None = None
    """As declared or specified; None where nothing says."""
    declared_at: str | None = None
    """Where the workflow declares it, as `file:line`; without it where it says that the table is loaded."""
    made_by: tuple[str, ...] = ()
    """The steps of the plan that fill the table."""


@dataclass(frozen=True)
class Part:
    """A column of a mapping's stage, and the SQL that makes it."""

    name: str
    sql: str


@dataclass(frozen=True)
class Id:
    """How the rows of a table get their ids."""

    strategy: str
    """`registry`, `ordinal` or `hash`."""
    description: str
    registry: str | None = None
    """The table that remembers which key has which id."""


@dataclass(frozen=True)
class Filling:
    """What one mapping or SQL statement puts into a field."""

    by: str
    """The mapping, or the step with the SQL file."""
    place: str
    """Where the mapping or the statement stands, as `file:line`."""
    step: str
    """The step of the plan that writes the table."""
    stage: str | None = None
    """The step of the plan that makes the mapping's rows."""
    rules: tuple[Rule, ...] = ()
    """The parts of the mapping that fill the field; none where it leaves the field out."""
    sql: tuple[Part, ...] = ()
    """The columns of the stage that the field is made of; for a SQL file, the field's own expression."""
    written_as: str | None = None
    """How the write step makes the field of them; None where it takes the one there is as it is."""
    reads: tuple[ReadColumn, ...] = ()
    through: tuple[str, ...] = ()
    """What is looked up on the way: concepts, ids of other tables."""
    rows: tuple[str, ...] = ()
    """Which rows of the mapping reach the table."""
    quarantine: tuple[str, ...] = ()
    """The reasons for which a row is quarantined because of this field."""
    id: Id | None = None
    """Set where the field is the table's own id."""
    note: str | None = None
    """What a field that is left out holds."""

    @property
    def is_filled(self) -> bool:
        """Whether the field gets a value here."""
        return bool(self.rules or self.sql)


@dataclass(frozen=True)
class StepLine:
    """A step of the plan in one line."""

    name: str
    summary: str
    place: str
    write: str | None = None
    """`full`, `merge` or `append_new`, for a step that writes a table from mappings."""


class Explained:
    """What every explanation has."""

    kind: ClassVar[str]

    def to_json(self, *, sql: bool = True) -> dict[str, object]:
        """The explanation as plain JSON values, with or without SQL."""
        content = {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]  # every kind is a dataclass
        return content if sql else _without_sql(content)


@dataclass(frozen=True)
class FieldExplanation(Explained):
    """Where a field comes from."""

    kind = "field"
    table: str
    field: str
    type: str | None
    required: bool
    key: str | None
    """`primary key`, or the table and field it points to."""
    domain: str | None
    """The domain that its concepts must have."""
    filled_by: tuple[Filling, ...]
    """What writes the table, also what leaves this field out."""
    loaded_by: tuple[StepLine, ...] = ()
    needed_by: str | None = None
    """The first rule that reads a column of a source, as `file:line`."""
    note: str | None = None
    also: tuple[str, ...] = ()
    """What else has this name, as it is to be written."""


@dataclass(frozen=True)
class FieldLine:
    """A field of a table in one line."""

    name: str
    type: str | None
    required: bool
    filled_by: tuple[tuple[str, str], ...]
    """Who fills it and where: (mapping, `file:line`)."""
    note: str | None = None


@dataclass(frozen=True)
class TableExplanation(Explained):
    """Who makes, writes and reads a table, and who fills its fields."""

    kind = "table"
    table: str
    made_by: tuple[StepLine, ...]
    """Steps that make it, empty, if it is not there."""
    written_by: tuple[StepLine, ...]
    mappings: tuple[tuple[str, str], ...]
    """The mappings that write it, as (name, `file:line`)."""
    fields: tuple[FieldLine, ...]
    read_by: tuple[StepLine, ...]
    note: str | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class StatementOfStep:
    """A statement as the plan has it."""

    purpose: str
    sql: str
    check: str | None
    """What is wrong if a row comes back, for a check."""


@dataclass(frozen=True)
class Load:
    """What a load reads."""

    uri: str
    format: str
    mode: str
    table: str
    """The physical table."""
    options: Mapping[str, object]
    columns: tuple[FieldLine, ...]
    """The columns that must be there or may be missing, each with the first rule that reads it."""


@dataclass(frozen=True)
class StepExplanation(Explained):
    """What a step of the plan does, and what it waits for."""

    kind = "step"
    name: str
    summary: str
    place: str
    mapping: str | None
    """The mapping whose rows it makes."""
    gives: tuple[tuple[str, tuple[str, ...]], ...]
    """The tables that the mapping writes, each with which rows reach it."""
    reads: tuple[tuple[str, tuple[str, ...]], ...]
    """Logical tables, each with the steps that fill it."""
    writes: tuple[str, ...]
    waits_for: tuple[str, ...]
    waited_for_by: tuple[str, ...]
    transaction: str
    statements: tuple[StatementOfStep, ...] = ()
    load: Load | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class WorkflowStepExplanation(Explained):
    """The steps of the plan that a step of the workflow becomes."""

    kind = "workflow_step"
    name: str
    summary: str
    place: str
    steps: tuple[StepLine, ...]
    also: tuple[str, ...] = ()


Explanation = FieldExplanation | TableExplanation | StepExplanation | WorkflowStepExplanation


def _without_sql(value: dict[str, object]) -> dict[str, object]:
    return {key: _stripped(item) for key, item in value.items() if key not in SQL_KEYS}


def _stripped(value: object) -> object:
    if isinstance(value, dict):
        return _without_sql(value)
    return [_stripped(item) for item in value] if isinstance(value, list | tuple) else value
