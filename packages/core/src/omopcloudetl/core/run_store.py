"""The contract of a run store: what an orchestrator kept of its runs, for everybody who reads it."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from omopcloudetl.core.errors import RunError
from omopcloudetl.core.known_secrets import Told
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.runs import RecordModel, RunRecord

Level = Literal["info", "warning", "error"]


class LogEntry(RecordModel):
    """One line of a run's log."""

    at: datetime
    level: Level = "info"
    event: str
    """What happened, as a name: `run_started`, `step_finished`, …"""
    step: str | None = None
    """Which step it happened to; None if to the run."""
    details: dict[str, Told | int | float | bool | None] = {}


class BaseRunStore(ABC):
    """The runs of one state folder, for reading; who runs plans writes them by means of its own.

    Reading makes nothing: a folder that has no runs, or is not there, is a store without runs. Every method
    raises `RunError` for what cannot be read.
    """

    def __init__(self, state: Path) -> None:
        self.state = state

    @abstractmethod
    def run_ids(self) -> list[str]:
        """Ids of all runs, the newest first, in the order in which they began, whatever the clock said."""

    @abstractmethod
    def read_run(self, run_id: str) -> RunRecord:
        """The record of this run, as far as it has come; one whose process is gone is `died`."""

    @abstractmethod
    def plan_of(self, run_id: str) -> CompiledWorkflowPlan | None:
        """The plan that was run; None if it was not kept."""

    @abstractmethod
    def log_of(self, run_id: str) -> Sequence[LogEntry]:
        """What happened in this run, in order."""

    def list_runs(self, limit: int | None = None) -> list[RunRecord]:
        """The newest records, or all; one that cannot be read is left out with a warning."""
        runs: list[RunRecord] = []
        for run_id in self.run_ids():
            if len(runs) == limit:
                break
            try:
                runs.append(self.read_run(run_id))
            except RunError as error:
                warnings.warn(str(error), RuntimeWarning, stacklevel=2)
        return runs

    def close(self) -> None:  # noqa: B027  # a store that holds nothing open has nothing to close
        """Let go of what is open; nothing is read after it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
