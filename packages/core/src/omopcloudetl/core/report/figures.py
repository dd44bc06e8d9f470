"""The few numbers that a reader of a run's report sees first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from omopcloudetl.core.runs import RunRecord
from omopcloudetl.core.text import in_bytes, in_time, plural
from omopcloudetl.core.timeline import Timeline


@dataclass(frozen=True)
class Tile:
    """One number, what it counts, and what helps to judge it."""

    title: str
    value: str
    note: str
    alarm: bool = False
    """Whether it deserves a look."""


def make_tiles(run: RunRecord, timeline: Timeline) -> list[Tile]:
    """Time, steps, rows in and out, and what was lost on the way; only what the record knows."""
    tiles = [_time(run, timeline), _steps(run), _loaded(run), _cdm(run), _quarantined(run), _unmapped(run)]
    return [tile for tile in tiles if tile is not None]


def verdict(run: RunRecord) -> str:
    """What happened, in one sentence."""
    counts = Counter(step.outcome for step in run.steps)
    total = plural(len(run.steps), "step")
    match run.state:
        case "done" if counts["unchanged"]:
            return f"{counts['done']} of {total} ran; {counts['unchanged']} were unchanged and passed over."
        case "done":
            return f"All {total} ran to their end." if len(run.steps) != 1 else "The step ran to its end."
        case "failed":
            waited = f", {counts['skipped']} could not run" if counts["skipped"] else ""
            return f"{plural(counts['failed'], 'step')} of {len(run.steps)} failed{waited}; {counts['done']} were done."
        case "interrupted":
            return f"Somebody stopped it after {counts['done']} of {total}."
        case "died":
            return f"Its process ended without a word after {counts['done']} of {total}."
        case "running":
            return f"It was running when this was written; {counts['done']} of {total} were done."
        case _:
            return "A dry run: nothing was touched."


def _time(run: RunRecord, timeline: Timeline) -> Tile | None:
    if run.seconds is None and not timeline.bars:
        return None
    worked = sum(bar.span.seconds for bar in timeline.bars)
    capacity = timeline.lanes * timeline.seconds
    busy = f", {min(worked / capacity, 1):.0%} busy" if capacity else ""
    return Tile("Time", in_time(timeline.seconds), f"{plural(timeline.lanes, 'worker')}{busy}")


def _steps(run: RunRecord) -> Tile:
    counts = Counter(step.outcome for step in run.steps)
    retries = sum(max(len(step.attempts) - 1, 0) for step in run.steps)
    parts = [f"{counts[state]} {state}" for state in ("failed", "skipped", "unchanged") if counts[state]]
    parts += [plural(retries, "retry").replace("retrys", "retries")] if retries else []
    done = counts["done"] + counts["unchanged"]
    return Tile("Steps done", f"{done} of {len(run.steps)}", ", ".join(parts) or "none failed", bool(counts["failed"]))


def _loaded(run: RunRecord) -> Tile | None:
    loads = [step for step in run.steps if step.rows_loaded is not None]
    if not loads:
        return None
    rejected = sum(step.rows_rejected or 0 for step in loads)
    files, size = sum(step.files or 0 for step in loads), sum(step.bytes_read or 0 for step in loads)
    parts = [plural(files, "file")] if files else []
    parts += [in_bytes(size)] if size else []
    parts += [f"{plural(rejected, 'record')} rejected"] if rejected else []
    rows = sum(step.rows_loaded or 0 for step in loads)
    return Tile("Rows loaded", f"{rows:,}", ", ".join(parts), bool(rejected))


def _cdm(run: RunRecord) -> Tile | None:
    if not run.table_rows:
        return None
    filled = sum(rows > 0 for rows in run.table_rows.values())
    return Tile("Rows in the CDM", f"{sum(run.table_rows.values()):,}", f"in {plural(filled, 'table')}")


def _quarantined(run: RunRecord) -> Tile | None:
    if not run.ledger:
        return None
    lines = run.ledger_rows()
    rows, source = sum(line.quarantined for line in lines), sum(line.source for line in lines)
    return Tile("Rows quarantined", f"{rows:,}", share(rows, source, "of the rows read"), rows > 0)


def _unmapped(run: RunRecord) -> Tile | None:
    lines = [line for line in run.ledger_rows() if line.unmapped] if run.ledger else []
    if not lines:
        return None
    rows = sum(sum(line.unmapped.values()) for line in lines)
    written = sum(sum(line.written.values()) for line in lines)
    return Tile("Concept 0", f"{rows:,}", share(rows, written, "of the coded rows"), rows > 0)


def share(part: int, whole: int, of: str) -> str:
    """`0.3 % of the rows`; a part that is there is never shown as nothing."""
    if not whole:
        return ""
    percent = 100 * part / whole
    if part and percent < 0.1:
        return f"under 0.1 % {of}"
    return f"{percent:.1f} % {of}"
