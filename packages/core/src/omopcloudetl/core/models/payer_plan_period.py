"""`builder: payer_plan_period`: when a person is enrolled in which plan of which payer."""

from __future__ import annotations

from typing import Literal

from omopcloudetl.core.models.base import Days, Name, Sql, StrictModel
from omopcloudetl.core.models.source_rows import SourceRows
from omopcloudetl.core.models.values import ColumnValue, Key


class PayerPlanPeriodPolicy(StrictModel):
    """How rows of enrollment become periods."""

    overlaps: Literal["cut", "keep"] = "cut"
    """`cut`: no two periods of a person overlap. A row ends at the latest the day before the next one starts, and one
    that lies within another is part of it. `keep`: periods of different plans may overlap, as those of medical and of
    drug coverage do."""
    consecutive: Literal["merge", "keep"] = "merge"
    """`merge`: rows of one payer, plan and sponsor that follow each other are one period, the time of continuous
    enrollment; `keep`: each row is a period."""
    gap_days: Days = 0
    """At most so many days without enrollment lie between rows that follow each other."""


class PayerPlanPeriodMapping(SourceRows):
    """`builder: payer_plan_period`: the periods in which persons are enrolled in a plan of a payer."""

    kind: Literal["derived"]
    builder: Literal["payer_plan_period"]
    """Rows of enrollment become cdm.payer_plan_period."""
    key: Key
    """The natural key of a row of enrollment; a period's id belongs to the key of its first row."""
    person: Key
    """The natural key of the person; a row of an unknown one is quarantined."""
    start: Sql
    """The first day: a date or timestamp, or a year or month (`2014`, `2014-10`), of which it is the first day."""
    end: Sql
    """The last day: a date or timestamp, or a year or month, of which it is the last day."""
    columns: dict[Name, ColumnValue] = {}
    """Further fields of the table: payer, plan, sponsor, family and stop reason. The payer, plan and sponsor of rows
    say which of them can be one period; the stop reason is that of its last row, anything else that of its first."""
    policy: PayerPlanPeriodPolicy = PayerPlanPeriodPolicy()
    """How rows become periods."""
