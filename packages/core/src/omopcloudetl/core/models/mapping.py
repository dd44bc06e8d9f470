"""Mappings (`DMLDefinition`): how source rows become CDM rows, one YAML file each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import AT, HELP, LogicalTable, Name, Sql, StrictModel, with_kind
from omopcloudetl.core.models.derived import DerivedDefinition, DerivedMapping
from omopcloudetl.core.models.source_rows import SourceRows
from omopcloudetl.core.models.values import CodeLookup, ColumnValue, Key, Vocabulary


class TableMapping(SourceRows):
    """`kind: table`: one SELECT into one CDM table."""

    kind: Literal["table"]
    target: LogicalTable
    """The CDM table that is filled."""
    key: Key | None = None
    """The natural key of a row; not needed where the table's id says it: `{id: [p.id]}`."""
    columns: Annotated[dict[str, ColumnValue], Field(min_length=1)]
    """Field of the CDM table → its value; every required field must be there."""
    on_duplicate_key: Literal["quarantine", "merge"] = "quarantine"
    """Rows that share the key beyond the first: set aside with a reason, or taken as the same entity."""


class EventValue(StrictModel):
    """The value of an event: a number, a text, or whichever a row has."""

    number: Sql | None = None
    """Goes to `value_as_number`; what is no number is NULL."""
    text: Sql | None = None
    """Goes to `value_as_concept_id` if it is the code or name of a standard 'Meas Value' concept, else to
    `value_as_string` in tables that have it."""
    vocabulary: Vocabulary = ()
    """Where the text is looked up first, also among your own in `source_to_concept_map`."""
    source: Sql | None = None
    """The value as the source has it, where number or text are computed: `{number: …, source: l.result}`."""

    @model_validator(mode="after")
    def _something(self) -> EventValue:
        if self.number is None and self.text is None:
            help_ = "write {number: …}, {text: …} or both"
            raise PydanticCustomError("event_value", "needs a number, a text, or both", {HELP: help_})
        return self


def _bare_value(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


class ProviderOf(StrictModel):
    """The provider of the event's visit detail: `{of: visit_detail}`."""

    of: Literal["visit_detail"]
    """It is the one that the builder `visits` gave to the detail; NULL where that has none, or is unknown."""


class EventMapping(SourceRows):
    """`kind: event`: a coded source record, routed to the CDM table of its standard concept's domain."""

    kind: Literal["event"]
    key: Key
    """The natural key of a source row; identical rows are all kept."""
    person: Key
    """The natural key of the person; a row of an unknown one is quarantined."""
    visit: Key | None = None
    """The natural key of the visit; NULL for an unknown one, and the row stays."""
    visit_detail: Key | None = None
    """The natural key of the visit detail; NULL for an unknown one, and the row stays."""
    provider: (
        Annotated[
            Annotated[Key, Tag("key()")] | Annotated[ProviderOf, Tag("of()")],
            Discriminator(lambda value: "of()" if isinstance(value, dict | StrictModel) else "key()"),
        ]
        | None
    ) = None
    """The natural key of the provider; NULL for an unknown one, and the row stays. `{of: visit_detail}` is the one of
    the visit detail, which costs no look-up of its own."""
    concept: CodeLookup
    """The code that says what was recorded."""
    start: Sql
    """A date or timestamp; both the date and the datetime field are filled."""
    end: Sql | None = None
    """A date or timestamp. Where the CDM requires an end date and this is missing, the start date stands for it."""
    value: Annotated[EventValue | None, BeforeValidator(_bare_value)] = None
    """The value: an expression, or a number and a text."""
    unit: CodeLookup | None = None
    """The unit of the value; concept 0 for one that has none."""
    type_concept_id: ColumnValue
    """Where the record comes from, as a concept of the domain 'Type Concept'."""
    default_table: Name
    """The CDM table of a row whose code has neither a standard nor a source concept."""
    routes: dict[str, Name] = {}
    """Domain → CDM table, where this source departs from the CDM's own routing."""
    columns: dict[Name, dict[str, ColumnValue]] = {}
    """CDM table → further columns of the rows that are routed to it."""

    @model_validator(mode="after")
    def _provider_of_something(self) -> EventMapping:
        if isinstance(self.provider, ProviderOf) and self.visit_detail is None:
            help_ = "give its natural key as `visit_detail:`, or that of the provider"
            raise PydanticCustomError("provider_of", "needs a visit detail", {AT: ("provider", "of"), HELP: help_})
        return self


Mapping = TableMapping | EventMapping | DerivedMapping
"""A mapping of any kind."""

DMLDefinition = Annotated[
    TableMapping | EventMapping | DerivedDefinition, Field(discriminator="kind"), BeforeValidator(with_kind)
]
