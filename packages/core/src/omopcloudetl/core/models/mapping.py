"""Mappings (`DMLDefinition`): how source rows become CDM rows, one YAML file each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from omopcloudetl.core.models.base import LogicalTable, Name, Sql, StrictModel, with_kind
from omopcloudetl.core.models.values import ColumnValue, Key, Vocabulary


class Join(StrictModel):
    """A table joined to the mapping's rows; a row without a match is kept, its columns are NULL."""

    table: LogicalTable
    on: Sql
    cardinality: Literal["one", "many"]
    """How many rows may match one row: `one` is checked when the mapping runs."""


def _one_table(value: dict[str, str]) -> dict[str, str]:
    if len(value) > 1:
        raise ValueError("names one table; the others go under `joins:`")
    return value


class MappingBase(StrictModel):
    """What every kind of mapping has."""

    name: Name
    description: str | None = None
    from_: Annotated[dict[Name, LogicalTable], Field(alias="from"), AfterValidator(_one_table)] = {}
    """One alias and the table whose rows this mapping accounts for; without it the mapping makes one row."""
    joins: dict[Name, Join] = {}
    where: Sql | None = None
    """Rows for which this is not true are left out on purpose, and counted in the ledger."""


class TableMapping(MappingBase):
    """`kind: table`: one SELECT into one CDM table."""

    kind: Literal["table"]
    target: LogicalTable
    key: Key | None = None
    """The natural key of a row; not needed where the table's id says it: `{id: [p.id]}`."""
    columns: Annotated[dict[str, ColumnValue], Field(min_length=1)]
    on_duplicate_key: Literal["quarantine", "merge"] = "quarantine"
    """Rows that share the key beyond the first: set aside with a reason, or taken as the same entity."""


class CodeLookup(StrictModel):
    """A code of the source and the vocabulary it belongs to."""

    code: Sql
    vocabulary: Vocabulary
    domain: str | None = None
    """Only standard concepts of this domain."""


class EventValue(StrictModel):
    """The value of an event: a number, or a text that is looked up among the 'Meas Value' concepts."""

    number: Sql | None = None
    text: Sql | None = None
    source: Sql | None = None
    """The value as the source has it, where number or text are computed: `{number: …, source: l.result}`."""

    @model_validator(mode="after")
    def _something(self) -> EventValue:
        if self.number is None and self.text is None:
            raise ValueError("needs a number, a text, or both")
        return self


def _bare_value(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


class EventMapping(MappingBase):
    """`kind: event`: a coded source record, routed to the CDM table of its standard concept's domain."""

    kind: Literal["event"]
    key: Key
    """The natural key of a source row; identical rows are all kept."""
    person: Key
    visit: Key | None = None
    visit_detail: Key | None = None
    provider: Key | None = None
    concept: CodeLookup
    start: Sql
    end: Sql | None = None
    """Where the CDM requires an end date and this is missing, the start date stands for it."""
    value: Annotated[EventValue | None, BeforeValidator(_bare_value)] = None
    unit: CodeLookup | None = None
    type_concept_id: ColumnValue
    default_table: Name
    """The CDM table of a row whose code has neither a standard nor a source concept."""
    routes: dict[str, Name] = {}
    """Domain → CDM table, where this source departs from the CDM's own routing."""
    columns: dict[Name, dict[str, ColumnValue]] = {}
    """CDM table → further columns of the rows that are routed to it."""


DMLDefinition = Annotated[TableMapping | EventMapping, Field(discriminator="kind"), BeforeValidator(with_kind)]
