"""`builder: cost`: what an event or a visit cost, once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Tag
from pydantic_core import PydanticCustomError

from omopcloudetl.core.models.base import HELP, Name, Sql, StrictModel
from omopcloudetl.core.models.source_rows import SourceRows
from omopcloudetl.core.models.values import ColumnValue, EventReferenceValue, Key, ReferenceValue, kind_of


class CostPolicy(StrictModel):
    """How source rows become costs."""

    several: Literal["sum", "keep"] = "sum"
    """Of source rows that price one and the same row of the CDM, as the encounters of one visit do: `sum`, one cost
    with their amounts added up; `keep`, a cost each."""


def _of_id(value: Any) -> Any:
    if isinstance(value, EventReferenceValue) and value.take != "id":
        raise PydanticCustomError("priced_row", "takes the id of the event", {HELP: "leave `take` out"})
    return value


PricedRow = Annotated[
    Annotated[EventReferenceValue, Tag("event()")] | Annotated[ReferenceValue, Tag("reference()")],
    Discriminator(
        kind_of,
        custom_error_type="column_value_kind",
        custom_error_message="must be the event or the visit that is priced",
        custom_error_context={"allowed": "event, reference"},
    ),
    AfterValidator(_of_id),
]
"""`{event: MAPPING, key: […]}` or `{reference: visit_occurrence, key: […]}`."""


class CostMapping(SourceRows):
    """`builder: cost`: the prices of events and visits."""

    kind: Literal["derived"]
    builder: Literal["cost"]
    """Rows with prices become cdm.cost."""
    key: Key
    """The natural key of a source row; rows that share it are all kept."""
    prices: PricedRow
    """The row that is priced: `{event: MAPPING, key: […], pair: true}` for the one row that stands for an event, also
    where its code has several standard concepts; `{reference: visit_occurrence, key: […]}` for a visit."""
    person: Key | None = None
    """The natural key of the person, by which the payer plan period is found."""
    date: Sql | None = None
    """The day of the price: the payer plan period that covers it is named in `payer_plan_period_id`."""
    columns: dict[Name, ColumnValue] = {}
    """Further fields of the table: type, currency and amounts."""
    policy: CostPolicy = CostPolicy()
    """How rows become costs."""
