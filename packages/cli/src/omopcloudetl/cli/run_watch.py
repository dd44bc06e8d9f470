"""Keeps what is known of a run while it goes on: what runs, what waits and for what, what has ended."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from omopcloudetl.cli.output import one_line, plural
from omopcloudetl.core.hookspecs import hookimpl

if TYPE_CHECKING:
    from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep
    from omopcloudetl.core.runs import RunRecord, StepRecord

RECENT = 6
LOOKED_AT = 200
"""A plan may have thousands of steps; the first that wait are enough to say what for."""


class RunWatch:
    """Keeps hold of a run's record, to tell how far it came when it is interrupted."""

    def __init__(self, on_start: Callable[[str], object] = lambda _: None) -> None:
        self.run: RunRecord | None = None
        self._on_start = on_start

    @hookimpl
    def omopcloudetl_run_started(self, run: RunRecord) -> None:
        """Keep the record, which the orchestrator goes on filling in."""
        self.run = run
        self._on_start(run.run_id)

    def completed(self) -> str:
        """`3 of 14 steps were done`; those that `--resume` passed over were done before."""
        steps = self.run.steps if self.run is not None else []
        done = sum(step.outcome in {"done", "unchanged"} for step in steps)
        return f"{done} of {plural(len(steps), 'step')} were done"


@dataclass(frozen=True)
class Running:
    """A step that runs, or waits to be tried again."""

    name: str
    seconds: float
    attempt: int
    """Its number, from 1."""
    waits: float | None = None
    """Seconds until the next attempt; None while one runs."""
    reason: str = ""
    """Why the last attempt failed."""


@dataclass(frozen=True)
class Glance:
    """A run at one moment."""

    total: int
    ended: int
    rows: int
    counts: dict[str, int]
    """Steps by outcome."""
    running: tuple[Running, ...]
    recent: tuple[StepRecord, ...]
    """The last that ended, the newest last."""
    waiting: str
    """What waits, and for what; or what is done where no step runs."""


@dataclass
class _Begun:
    record: StepRecord
    at: float
    attempt: int = 1
    again_at: float | None = None
    reason: str = ""


class RunState:
    """Listens to the events of a run, from any thread, and can be asked at any moment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: dict[str, _Begun] = {}
        self._waits_for: dict[str, tuple[str, ...]] = {}
        self._ended: set[str] = set()
        self._recent: deque[StepRecord] = deque(maxlen=RECENT)
        self._counts: Counter[str] = Counter()
        self._total = self._rows = 0
        self._started = False

    def run_started(self, plan: CompiledWorkflowPlan) -> None:
        """Learn what there is to do."""
        with self._lock:
            self._started = True
            self._total = len(plan.steps)
            self._waits_for = {step.name: step.depends_on for step in plan.steps}

    def step_started(self, step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
        """A step runs now."""
        with self._lock:
            self._waits_for.pop(step.name, None)
            self._begun[step.name] = _Begun(record, self._clock())

    def step_retried(self, record: StepRecord, wait: float) -> None:
        """An attempt failed; the next one begins after a while."""
        with self._lock:
            begun = self._begun.get(record.name)
            if begun is not None:
                begun.attempt += 1
                begun.again_at = self._clock() + wait
                begun.reason = one_line((record.attempts[-1].error or "") if record.attempts else "")

    def step_finished(self, record: StepRecord) -> None:
        """A step has ended, or will not run."""
        with self._lock:
            self._begun.pop(record.name, None)
            self._waits_for.pop(record.name, None)
            self._ended.add(record.name)
            self._counts[record.outcome] += 1
            self._rows += record.rows or 0
            if record.outcome not in {"skipped", "unchanged"}:
                self._recent.append(record)

    def look(self) -> Glance:
        """How things are at this moment."""
        with self._lock:
            now = self._clock()
            return Glance(
                self._total,
                len(self._ended),
                self._rows,
                dict(self._counts),
                tuple(_running(begun, now) for begun in self._begun.values()),
                tuple(self._recent),
                self._waiting(),
            )

    def _waiting(self) -> str:
        if not self._started:
            return "connecting to the database, and looking at what earlier runs left"
        if not self._waits_for:
            return "" if self._begun else "reading the ledger, and counting the rows of the tables"
        step, on = self._next()
        more = len(self._waits_for) - 1
        others = f", and {plural(more, 'other step')}" if more else ""
        return f"waiting: {step}{f' for {on}' if on else ''}{others}"

    def _next(self) -> tuple[str, str]:
        """The step that waits for the fewest, and for which."""
        found: tuple[int, str, str] | None = None
        for name, needs in islice(self._waits_for.items(), LOOKED_AT):
            open_ = [need for need in needs if need not in self._ended]
            if found is None or len(open_) < found[0]:
                rest = f" and {len(open_) - 2} more" if len(open_) > 2 else ""
                found = len(open_), name, ", ".join(open_[:2]) + rest
            if found[0] <= 1:
                break
        assert found is not None
        return found[1], found[2]


def _running(begun: _Begun, now: float) -> Running:
    waits = None if begun.again_at is None or begun.again_at <= now else begun.again_at - now
    return Running(begun.record.name, now - begun.at, begun.attempt, waits, begun.reason)
