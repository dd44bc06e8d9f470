"""Turns the ledger's long format, one row a count, into one row a mapping for people to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omopcloudetl.core.runs import LedgerEntry


@dataclass(frozen=True)
class LedgerRow:
    """What became of the source rows of one mapping: source + fan_out = all the others."""

    mapping: str
    source: int
    excluded: int
    fan_out: int
    merged: int
    quarantined: int
    written: Mapping[str, int]
    """Rows by target table."""
    unmapped: Mapping[str, int]
    """Those of `written` whose concept is 0, by target table."""
    present: int = 0
    """Rows whose key the table had already, where rows are only added."""


def pivot_ledger(entries: Iterable[LedgerEntry]) -> list[LedgerRow]:
    """One row a mapping, in the order in which the mappings first appear."""
    totals: dict[str, Counter[str]] = {}
    tables: dict[tuple[str, str], Counter[str]] = {}
    for entry in entries:
        totals.setdefault(entry.mapping, Counter())[entry.entry] += entry.row_count
        by_table = tables.setdefault((entry.mapping, entry.entry), Counter())
        by_table[entry.target_table or ""] += entry.row_count
    return [
        LedgerRow(
            mapping=mapping,
            source=total["source"],
            excluded=total["excluded"],
            fan_out=total["fan_out"],
            merged=total["merged"],
            quarantined=total["quarantined"],
            written=dict(tables.get((mapping, "written"), {})),
            unmapped=dict(tables.get((mapping, "unmapped"), {})),
            present=total["present"],
        )
        for mapping, total in totals.items()
    ]


def quarantine_reasons(entries: Iterable[LedgerEntry]) -> list[tuple[str, str, int]]:
    """Mapping, reason and rows of everything that was set aside, in the ledger's order."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        if entry.entry == "quarantined":
            found[entry.mapping, entry.reason or ""] += entry.row_count
    return [(mapping, reason, count) for (mapping, reason), count in found.items() if count]
