"""The ledger: what became of every source row, as the database counts it and as people read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from omopcloudetl.core.text import plural

Entry = Literal[
    "source",
    "excluded",
    "written",
    "unmapped",
    "fan_out",
    "merged",
    "quarantined",
    "present",
    "kept",
    "deleted",
    "truncated",
]


class LedgerEntry(BaseModel):
    """One line of the ledger: how many rows of a mapping had which fate."""

    model_config = ConfigDict(extra="forbid")

    mapping: str
    entry: Entry
    target_table: str | None = None
    reason: str | None = None
    row_count: int


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
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Quarantined rows by reason."""
    truncated: Mapping[str, int] = field(default_factory=dict)
    """Texts that were cut, by `table.field`."""
    kept: Mapping[str, int] = field(default_factory=dict)
    """Rows of earlier runs that stay, by table."""
    deleted: Mapping[str, int] = field(default_factory=dict)
    """Rows of earlier runs that left, by table."""

    @property
    def balance(self) -> int:
        """Rows that came in and that the ledger does not find again; 0 unless something is wrong."""
        found = (self.excluded, self.merged, self.quarantined, self.present, *self.written.values())
        return self.source + self.fan_out - sum(found)


def pivot_ledger(entries: Iterable[LedgerEntry]) -> list[LedgerRow]:
    """One row a mapping, in the order in which the mappings first appear."""
    by_mapping: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        by_mapping.setdefault(entry.mapping, []).append(entry)
    return [_row(mapping, found) for mapping, found in by_mapping.items()]


def _row(mapping: str, entries: Sequence[LedgerEntry]) -> LedgerRow:
    total: Counter[str] = Counter()
    tables: dict[str, Counter[str]] = {}
    reasons: dict[str, Counter[str]] = {}
    for entry in entries:
        total[entry.entry] += entry.row_count
        tables.setdefault(entry.entry, Counter())[entry.target_table or ""] += entry.row_count
        reasons.setdefault(entry.entry, Counter())[_reason_of(entry)] += entry.row_count
    return LedgerRow(
        mapping=mapping,
        source=total["source"],
        excluded=total["excluded"],
        fan_out=total["fan_out"],
        merged=total["merged"],
        quarantined=total["quarantined"],
        written=dict(tables.get("written", {})),
        unmapped=dict(tables.get("unmapped", {})),
        present=total["present"],
        reasons=_some(reasons, "quarantined"),
        truncated=_some(reasons, "truncated"),
        kept=_some(tables, "kept"),
        deleted=_some(tables, "deleted"),
    )


def _some(counts: Mapping[str, Counter[str]], entry: str) -> dict[str, int]:
    return {name: count for name, count in counts.get(entry, {}).items() if count}


def _reason_of(entry: LedgerEntry) -> str:
    """Why rows were set aside, or which field was cut."""
    if entry.entry == "truncated":
        return f"{entry.target_table}.{(entry.reason or '').partition(':')[0]}"
    return entry.reason or ""


def quarantine_reasons(entries: Iterable[LedgerEntry]) -> list[tuple[str, str, int]]:
    """Mapping, reason and rows of everything that was set aside, in the ledger's order."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        if entry.entry == "quarantined":
            found[entry.mapping, entry.reason or ""] += entry.row_count
    return [(mapping, reason, count) for (mapping, reason), count in found.items() if count]


def earlier_rows(entries: Iterable[LedgerEntry]) -> list[tuple[str, int, int]]:
    """Table, rows kept and rows deleted, of those that this run did not write; in the ledger's order."""
    found: dict[str, Counter[str]] = {}
    for entry in entries:
        if entry.entry in {"kept", "deleted"}:
            found.setdefault(entry.target_table or "", Counter())[entry.entry] += entry.row_count
    return [(table, count["kept"], count["deleted"]) for table, count in found.items() if count.total()]


def ledger_warnings(entries: Sequence[LedgerEntry]) -> list[str]:
    """What in a ledger is most likely a mistake although every step went well."""
    reasons: dict[str, list[str]] = {}
    for mapping, reason, _ in quarantine_reasons(entries):
        reasons.setdefault(mapping, []).append(reason)
    found = []
    for row in pivot_ledger(entries):
        if _all_quarantined(row):
            found.append(_about_quarantine(row, reasons.get(row.mapping, [])))
        elif _none_mapped(row):
            codes = f"work.codes_{row.mapping}"
            hint = "is the vocabulary loaded, and its name right?"
            found.append(f"no code of {row.mapping} has a standard concept; see {codes}: {hint}")
    return [*found, *_about_cut_texts(entries)]


def _all_quarantined(row: LedgerRow) -> bool:
    """Whether `where` kept rows of the source, and not one of them came through."""
    return row.source > 0 and row.quarantined > 0 and not (row.merged or row.present or any(row.written.values()))


def _none_mapped(row: LedgerRow) -> bool:
    """Whether all that was written has concept 0; only mappings of events count such rows."""
    written = sum(row.written.values())
    return written > 0 and sum(row.unmapped.values()) == written


def _about_cut_texts(entries: Iterable[LedgerEntry]) -> list[str]:
    """One line for each mapping whose texts were cut."""
    cut: dict[str, list[str]] = {}
    for entry in entries:
        if entry.entry == "truncated" and entry.row_count:
            field, _, limit = (entry.reason or "").partition(": longer than ")
            values = plural(entry.row_count, "value")
            cut.setdefault(entry.mapping, []).append(f"{values} of {entry.target_table}.{field} to {limit}")
    return [f"{mapping} cut {', '.join(parts)}; `too_long` says what else to do" for mapping, parts in cut.items()]


def _about_quarantine(row: LedgerRow, reasons: Iterable[str]) -> str:
    rows = "the only row" if row.quarantined == 1 else f"every one of the {plural(row.quarantined, 'row')}"
    kept = " that `where` kept" if row.excluded else ""
    return f"{rows} of {row.mapping}{kept} was quarantined: {', '.join(reasons)}; see work.quarantine"
