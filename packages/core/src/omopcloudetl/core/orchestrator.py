"""The contract of an orchestrator: it runs a plan over connections and knows nothing of providers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.events import RunEvents
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.runs import RunRecord


@dataclass(frozen=True)
class ExecutionContext:
    """What an orchestrator is given beside the plan."""

    target: str
    """Name of the target, for the record."""
    connect: Callable[[], BaseConnection]
    """Makes a connection that is not open yet; called once a worker."""
    base: Path
    """The project's folder: relative paths of a plan are below it."""
    state: Path
    """The folder in which run records are kept."""
    events: RunEvents
    """Where starts and ends of runs and steps are told."""
    lock_folder: Path | None = None
    """Where runs that keep their records elsewhere and have the same target meet; without it `state`."""


class BaseOrchestrator(ABC):
    """Runs plans. A step starts when all it depends on is done; a failed step stops only its dependants."""

    def __init__(self, context: ExecutionContext) -> None:
        self.context = context

    @abstractmethod
    def execute_plan(self, plan: CompiledWorkflowPlan, *, dry_run: bool = False, resume: bool = False) -> RunRecord:
        """Run every step and return the record; a failed step is in the record, not an exception.

        Args:
            plan: What must happen.
            dry_run: Walk the plan in order and touch nothing: no connection is opened, no record is kept.
            resume: Skip the steps that the workflow's newest run completed with the same fingerprint, as the plan's
                `run_tables` in the target say, and whose tables are still there, unless another workflow wrote one
                of them since or something they depend on has to run again. A step that makes no table always runs.

        Raises:
            DatabaseConnectionError: No connection could be opened.
            RunError: Another run of the target goes on, or the run's record could not be kept.
        """
