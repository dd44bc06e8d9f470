"""The record of a run: what happened, step by step, with its metrics and its ledger."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches
from typing import Literal

from pydantic import BaseModel, ConfigDict

from omopcloudetl.core.errors import UnknownNameError
from omopcloudetl.core.known_secrets import Told
from omopcloudetl.core.ledger import LedgerEntry as LedgerEntry
from omopcloudetl.core.ledger import LedgerRow, ledger_warnings, pivot_ledger, quarantine_reasons
from omopcloudetl.core.text import one_line, plural

StepState = Literal["pending", "running", "done", "failed", "skipped"]
RunState = Literal["running", "done", "failed", "interrupted", "died", "dry_run"]
"""`interrupted`: somebody stopped it, and it ended in order; `died`: its process ended without a word."""


class RecordModel(BaseModel):
    """A record that is written and read as JSON."""

    model_config = ConfigDict(extra="forbid")


class Attempt(RecordModel):
    """One try at a step."""

    number: int
    """From 1."""
    started_at: datetime
    seconds: float | None = None
    """None while it goes on, or if the run died in it."""
    error: Told | None = None
    """Why it failed; the last one of a step that is done has none."""


class StepRecord(RecordModel):
    """What happened to one step."""

    name: str
    kind: Literal["sql", "bulk_load"]
    fingerprint: str
    origin: str | None = None
    """The user's line the step comes from, as `file:line`."""
    state: StepState = "pending"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: float | None = None
    worker: int | None = None
    """Which of the run's workers ran it, from 0; None if it did not run."""
    attempts: list[Attempt] = []
    """Every try, in order; a step that did not run has none."""
    rows_affected: int | None = None
    """Rows of the step's result, as the engine counts them: inserted, merged, updated, or loaded."""
    rows_loaded: int | None = None
    rows_rejected: int | None = None
    bytes_read: int | None = None
    files: int | None = None
    files_digest: str | None = None
    """Of a load, the same as long as its files' names, sizes and times are."""
    notes: list[Told] = []
    """What the step found that is good to know."""
    warnings: list[Told] = []
    """What it found that deserves a look, although it went well."""
    error: Told | None = None
    """Why it failed, or which failed step it was waiting for; a step that `resume` passed over has none."""

    @property
    def rows(self) -> int | None:
        """The rows the step loaded or wrote, as far as the engine counted them."""
        return self.rows_loaded if self.rows_loaded is not None else self.rows_affected

    @property
    def outcome(self) -> str:
        """The state in a word that tells apart why a step was skipped: `unchanged` if `resume` passed over it."""
        return "unchanged" if self.state == "skipped" and not self.error else self.state

    def __repr__(self) -> str:
        rows = f", {plural(self.rows, 'row')}" if self.rows is not None else ""
        error = f": {one_line(self.error)}" if self.error else ""
        return f"<StepRecord {self.name}: {self.state}{rows}{error}>"

    __str__ = __repr__


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
    error: Told | None = None

    def ledger_rows(self, *mappings: str) -> list[LedgerRow]:
        """What became of the rows of each mapping, or of some: one row a mapping, in the ledger's order.

        Raises:
            UnknownNameError: The ledger has no such mapping.
        """
        return pivot_ledger(self.ledger_entries(*mappings))

    def ledger_entries(self, *mappings: str) -> list[LedgerEntry]:
        """The ledger's lines, as `work.ledger` has them; those of some mappings, or all.

        Raises:
            UnknownNameError: The ledger has no such mapping.
        """
        known = dict.fromkeys(entry.mapping for entry in self.ledger)
        for name in mappings:
            if name not in known:
                near = get_close_matches(name, known)
                raise UnknownNameError(name, f"the ledger of run {self.run_id} has no mapping '{name}'", near)
        return [entry for entry in self.ledger if not mappings or entry.mapping in mappings]

    def quarantined(self) -> list[tuple[str, str, int]]:
        """Mapping, reason and number of the rows that could not be written."""
        return quarantine_reasons(self.ledger)

    def warnings(self) -> list[str]:
        """What deserves a look although every step went well."""
        rejected = [
            f"{step.name} rejected {plural(step.rows_rejected, 'malformed record')}; see work.rejected_rows"
            for step in self.steps
            if step.rows_rejected
        ]
        found = [text for step in self.steps for text in step.warnings]
        return [*rejected, *found, *ledger_warnings(self.ledger)]

    def notes(self) -> list[str]:
        """What the steps found that is good to know."""
        return [text for step in self.steps for text in step.notes]

    def __repr__(self) -> str:
        done = sum(step.state == "done" for step in self.steps)
        steps = f"{done} of {plural(len(self.steps), 'step')}"
        return f"<RunRecord {self.run_id}: {self.name} on {self.target} {self.state}, {steps}>"

    __str__ = __repr__

    @property
    def failed(self) -> list[StepRecord]:
        """The steps that failed themselves."""
        return [step for step in self.steps if step.state == "failed"]

    def skipped(self) -> dict[str, list[str]]:
        """Why steps did not run → which; none of those that `resume` passed over, because their work is there."""
        found: dict[str, list[str]] = {}
        for step in self.steps:
            if step.state == "skipped" and step.error is not None:
                found.setdefault(step.error, []).append(step.name)
        return found
