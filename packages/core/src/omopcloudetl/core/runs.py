"""The record of a run: what happened, step by step, with its metrics and its ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

StepState = Literal["pending", "running", "done", "failed", "skipped"]
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
]
RunState = Literal["running", "done", "failed", "dry_run"]


class RecordModel(BaseModel):
    """A record that is written and read as JSON."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class StepRecord(RecordModel):
    """What happened to one step."""

    name: str
    kind: Literal["sql", "bulk_load"]
    fingerprint: str
    origin: str | None = None
    """The user's line the step comes from, as `file:line`."""
    state: StepState = "pending"
    started_at: datetime | None = None
    seconds: float | None = None
    rows_affected: int | None = None
    """Rows of the step's result, as the engine counts them: inserted, merged, updated, or loaded."""
    rows_loaded: int | None = None
    rows_rejected: int | None = None
    bytes_read: int | None = None
    files: int | None = None
    error: str | None = None
    """Why it failed, or which failed step it was waiting for; a step that `resume` passed over has none."""


class LedgerEntry(RecordModel):
    """One line of the ledger: how many rows of a mapping had which fate."""

    mapping: str
    entry: Entry
    target_table: str | None = None
    reason: str | None = None
    row_count: int


class RunRecord(RecordModel):
    """A whole run."""

    run_id: str
    name: str
    plan_hash: str
    target: str
    provider: str
    cdm_version: str
    state: RunState = "running"
    started_at: datetime
    seconds: float | None = None
    steps: list[StepRecord]
    ledger: list[LedgerEntry] = []
    table_rows: dict[str, int] = {}
    """CDM table → rows after the run."""
    error: str | None = None

    @property
    def failed(self) -> list[StepRecord]:
        """The steps that failed themselves."""
        return [step for step in self.steps if step.state == "failed"]
