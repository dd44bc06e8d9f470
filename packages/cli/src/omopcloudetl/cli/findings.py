"""A run's record as the one document for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omopcloudetl.cli.output import plural

if TYPE_CHECKING:
    from omopcloudetl.core.runs import RunRecord


def run_document(record: RunRecord) -> dict[str, object]:
    """A run for programs: its record, why steps were skipped, its warnings; `error` only if it failed, as anywhere."""
    document = record.model_dump(mode="json", exclude={"error"})
    document["skipped"] = record.skipped()
    document["warnings"] = record.warnings()
    return document | run_error(record)


def run_error(record: RunRecord) -> dict[str, object]:
    """`error` of a run that did not do what it should, nothing of another."""
    if record.state not in {"failed", "interrupted", "died"}:
        return {}
    names = [step.name for step in record.failed]
    message = record.error or f"{plural(len(names), 'step')} failed: {', '.join(names)}"
    return {"error": {"kind": "RunFailed", "message": message}}
