"""The days of CDM records, by the CDM's own naming: on which field a record starts and ends, in SQL."""

from __future__ import annotations

from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.derived.source_rows import table_of
from omopcloudetl.core.compiler.event_mapping import event_fields
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.eras import ExposurePolicy
from omopcloudetl.core.specification.models import CdmTable

LONGEST_SUPPLY = 36_525
"""More days of supply than these are a mistake: an end so far away is beyond the dates of some engines."""


def has_tables(compilation: Compilation, loaded: LoadedMapping, target: str, *read: str) -> bool:
    """Whether this version of the CDM has the table that a builder fills and those it reads; a diagnostic if not."""
    found = table_of(compilation, loaded, target) is not None
    for name in read:
        compilation.read_at.setdefault(f"cdm.{name}", loaded.document.at("builder"))
        if name not in compilation.specification.by_name:
            message = f"the CDM {compilation.specification.version} has no table {name}, which {target} is made of"
            compilation.problem("unknown-table", message, loaded.document.at("builder"), help="leave the mapping out")
            found = False
    return found


def day_of(table: CdmTable, role: str, alias: str) -> str:
    """The day that a record starts or ends on; empty if the table has none.

    CDM 6.0 requires the time where others require the day.
    """
    fields = event_fields(table)
    day, time = fields.get(f"{role}_date"), fields.get(f"{role}_datetime")
    if time and (day is None or (table.by_name[time].required and not table.by_name[day].required)):
        as_day = f"CAST({alias}.{time} AS DATE)"
        return f"COALESCE({alias}.{day}, {as_day})" if day else as_day
    return f"{alias}.{day}" if day else ""


def as_field(table: CdmTable, role: str, day: str) -> str:
    """A day as the field of a derived table that holds it, as a projection."""
    fields = event_fields(table)
    if f"{role}_date" in fields:
        return f"{day} AS {fields[f'{role}_date']}"
    return f"CAST({day} AS TIMESTAMP) AS {fields[f'{role}_datetime']}"


def end_of_exposure(exposures: CdmTable, policy: ExposurePolicy, alias: str) -> str:
    """The last day of a drug exposure, as the policy says; never before its start."""
    start, end = day_of(exposures, "start", alias), day_of(exposures, "end", alias)
    days = f"{alias}.days_supply - 1" if policy.first_day_counts else f"{alias}.days_supply"
    branches = {
        "end_date": f"WHEN {end} >= {start} THEN {end}",
        "days_supply": f"WHEN {alias}.days_supply BETWEEN 1 AND {LONGEST_SUPPLY} THEN ADD_DAYS({start}, {days})",
    }
    found = " ".join(branches[name] for name in policy.end if name in branches)
    return f"CASE {found} ELSE {start} END" if found else start
