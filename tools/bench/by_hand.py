"""Budget: a run takes at most 1.05 times what its SQL takes when it is sent by hand.

By hand is one script over one plain connection: the statements, checks and loads of the plan, in its
order and in its transactions. A rehearsal records what the provider sends to the engine, so that loads
are the same statements too, without the look into the files that the provider takes first.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import duckdb

from omopcloudetl.cli.logs import configure_logs
from omopcloudetl.cli.options import RunOptions
from omopcloudetl.core.connection import ExecutionMetrics
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan
from omopcloudetl.core.session import Session
from omopcloudetl.provider_duckdb.config import DuckDBConfig
from omopcloudetl.provider_duckdb.engine import DuckDBConnection
from tools.bench.measure import Options, Result
from tools.bench.synthea import copied_source, make_project, shipped_source

BUDGET = 1.05
PAIRS = 8
DATABASE = "omop.duckdb"


class Times(NamedTuple):
    """How long something took."""

    seconds: float
    cpu: float
    """Seconds of all processors together."""


class Recorder(DuckDBConnection):
    """Keeps the text of every statement that the engine accepted."""

    def __init__(self, config: DuckDBConfig, base: Path) -> None:
        super().__init__(config, base)
        self.script: list[str] = []

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run a statement, then keep its text."""
        metrics = super().execute(sql)
        self.script.append(sql)
        return metrics

    def _end(self, sql: str) -> None:
        super()._end(sql)
        self.script.append(sql)


def measure(options: Options) -> Iterator[Result]:
    """Time run and script in pairs, each with a new database file; the ratio is the median pair's.

    The speed of a machine drifts over the minutes this takes; within a pair it hardly does.
    """
    configure_logs(RunOptions())
    source = shipped_source() if options.quick else copied_source(options, options.copies)
    session = Session.open(make_project(options.scratch / "by_hand", source))
    plan = session.compile()
    script = rehearse(plan, session.root)
    _run(session, plan)
    for concurrency in sorted({1, plan.concurrency}):
        wanted = plan.model_copy(update={"concurrency": concurrency}).sealed()
        pairs = [
            _pair(session, wanted, script, ours_first=bool(number % 2))
            for number in range(4 if options.quick else PAIRS)
        ]
        ratios = [ours.seconds / by_hand.seconds for ours, by_hand in pairs]
        cpu = statistics.median(ours.cpu / by_hand.cpu for ours, by_hand in pairs)
        ours, by_hand = (min(times) for times in zip(*pairs, strict=True))
        detail = (
            f"median of {len(pairs)} pairs, {min(ratios):.2f} to {max(ratios):.2f}; CPU {cpu:.2f} x;"
            f" at the least {ours.seconds:.2f} s against {by_hand.seconds:.2f} s"
        )
        detail = "; ".join(filter(None, (detail, source.note)))
        yield Result(f"by_hand concurrency {concurrency}", statistics.median(ratios), BUDGET, "x", detail)


def _pair(session: Session, plan: CompiledWorkflowPlan, script: list[str], *, ours_first: bool) -> tuple[Times, Times]:
    """Times of the run and of the script; who is first changes, as the second may find things warm."""
    if ours_first:
        ours = _run(session, plan)
        return ours, _send(script, session.root)
    by_hand = _send(script, session.root)
    return _run(session, plan), by_hand


def rehearse(plan: CompiledWorkflowPlan, base: Path) -> list[str]:
    """Run the plan in its order on one connection and return every statement that was sent."""
    _fresh(base)
    with Recorder(DuckDBConfig(path=DATABASE), base) as connection:
        for step in plan.steps:
            if isinstance(step, BulkLoadStep):
                connection.bulk_load(step, base=base)
                continue
            with connection.transaction() if step.transaction == "step" else nullcontext():
                for statement in step.statements:
                    connection.execute(statement.sql)
        # A run ends with these, and the last moves the log into the file.
        for query in (plan.ledger, *plan.counted_tables.values(), "CHECKPOINT"):
            if query is not None:
                connection.execute(query)
        return connection.script


def _fresh(root: Path) -> Path:
    path = root / DATABASE
    for file in (path, path.with_name(f"{DATABASE}.wal")):
        file.unlink(missing_ok=True)
    return path


def _send(script: list[str], root: Path) -> Times:
    path = _fresh(root)
    with _clock() as times, duckdb.connect(str(path)) as connection:
        for sql in script:
            connection.execute(sql).fetchall()
    return times[0]


def _run(session: Session, plan: CompiledWorkflowPlan) -> Times:
    _fresh(session.root)
    with _clock() as times:
        record = session.run(plan)
    if record.state != "done":
        raise RuntimeError("; ".join(f"{step.name}: {step.error}" for step in record.failed))
    return times[0]


@contextmanager
def _clock() -> Iterator[list[Times]]:
    """A list that gets the times of the block at its end."""
    times: list[Times] = []
    start, cpu = time.perf_counter(), time.process_time()
    yield times
    times.append(Times(time.perf_counter() - start, time.process_time() - cpu))
