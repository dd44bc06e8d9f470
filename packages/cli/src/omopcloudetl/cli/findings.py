"""What a run's record says beyond its numbers: warnings, and the one document for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omopcloudetl.cli.ledger import LedgerRow, pivot_ledger, quarantine_reasons
from omopcloudetl.cli.output import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from omopcloudetl.core.runs import LedgerEntry, RunRecord


def run_warnings(record: RunRecord) -> list[str]:
    """What deserves a look although every step went well."""
    return [*_reject_warnings(record), *ledger_warnings(record.ledger)]


def _reject_warnings(record: RunRecord) -> Iterator[str]:
    """Records that a load could not read and set aside."""
    for step in record.steps:
        if step.rows_rejected:
            records = plural(step.rows_rejected, "malformed record")
            yield f"{step.name} rejected {records}; see work.rejected_rows"


def ledger_warnings(entries: Sequence[LedgerEntry]) -> list[str]:
    """What in a ledger is most likely a mistake."""
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
    return found


def _all_quarantined(row: LedgerRow) -> bool:
    """Whether `where` kept rows of the source, and not one of them came through."""
    return row.source > 0 and row.quarantined > 0 and not (row.merged or row.present or any(row.written.values()))


def _none_mapped(row: LedgerRow) -> bool:
    """Whether all that was written has concept 0; only mappings of events count such rows."""
    written = sum(row.written.values())
    return written > 0 and sum(row.unmapped.values()) == written


def _about_quarantine(row: LedgerRow, reasons: Iterable[str]) -> str:
    rows = "the only row" if row.quarantined == 1 else f"every one of the {plural(row.quarantined, 'row')}"
    kept = " that `where` kept" if row.excluded else ""
    return f"{rows} of {row.mapping}{kept} was quarantined: {', '.join(reasons)}; see work.quarantine"


def run_document(record: RunRecord) -> dict[str, object]:
    """A run for programs: its record and its warnings; `error` is there only if it failed, as in any document."""
    document = record.model_dump(mode="json", exclude={"error"})
    document["warnings"] = run_warnings(record)
    return document | run_error(record)


def run_error(record: RunRecord) -> dict[str, object]:
    """`error` of a run that failed, nothing of another."""
    if record.state != "failed":
        return {}
    names = [step.name for step in record.failed]
    message = record.error or f"{plural(len(names), 'step')} failed: {', '.join(names)}"
    return {"error": {"kind": "RunFailed", "message": message}}
