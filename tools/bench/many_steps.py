"""Budget: the orchestrator adds at most 5 ms to a step, 10,000 trivial steps take at most 60 s, and memory stays flat.

A trivial step is one transaction with one query of no table, so that nearly all of its time is the orchestrator's: the
scheduling, the record, the run store, and the row that proves in the database that the step is completed.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.bench.measure import MIB, Options, Result, run_process

STEPS = 10_000
WORKERS = 2
PER_STEP = 5.0
"""Milliseconds."""
WHOLE = 60.0
"""Seconds for `STEPS` steps."""
GROWTH = 64.0
"""MiB by which the process may grow while it runs, whatever the number of steps: most of it is the engine's."""
SQL = "SELECT 1"

PROJECT = """
name: many
targets:
  local: {provider: duckdb, connection: {path: many.duckdb, threads: 2}}
"""
WORKFLOW = """
name: many
steps:
  - {name: one, kind: sql, file: one.sql, creates: work.one}
"""


@dataclass(frozen=True)
class Cost:
    """What a run of so many steps took."""

    steps: int
    seconds: float
    by_hand: float
    """Seconds of the same transactions and queries through one plain connection."""
    growth: float
    """MiB that the process grew by while it ran."""


def measure(options: Options) -> Iterator[Result]:
    """Run so many steps in a process of their own, and the same queries by hand."""
    steps = STEPS // 10 if options.quick else STEPS
    told = options.scratch / "many_steps.json"
    root = options.scratch / "many_steps"
    run_process([sys.executable, "-m", "tools.bench.many_steps", str(steps), str(root), str(told)])
    cost = Cost(**json.loads(told.read_text("utf-8")))
    name = f"many_steps {steps:,}"
    added = (cost.seconds - cost.by_hand) / steps * 1000
    detail = f"{cost.seconds:.1f} s, by hand {cost.by_hand:.1f} s; {WORKERS} workers"
    yield Result(f"{name} added", added, PER_STEP, "ms a step", detail)
    yield Result(f"{name} time", cost.seconds, WHOLE * steps / STEPS, "s")
    yield Result(f"{name} memory", cost.growth, GROWTH, "MiB more")


def run_many(steps: int, root: Path) -> Cost:
    """Run a plan of so many trivial steps in a new project; raises `RuntimeError` if it fails."""
    from omopcloudetl.core.session import Session

    root.mkdir(parents=True)
    (root / "project.yaml").write_text(PROJECT, encoding="utf-8")
    (root / "workflow.yaml").write_text(WORKFLOW, encoding="utf-8")
    (root / "one.sql").write_text(SQL, encoding="utf-8")
    session = Session.open(root)
    plan = session.compile()
    model = next(step for step in plan.steps if step.name == "one")
    assert model.kind == "sql"
    statement = model.statements[0].model_copy(update={"sql": SQL})
    trivial = model.model_copy(update={"statements": (statement,), "writes": (), "reads": (), "depends_on": ()})
    many = [trivial.model_copy(update={"name": f"step_{i}", "fingerprint": f"{i:064x}"}) for i in range(steps)]
    plan = plan.model_copy(update={"steps": tuple(many), "concurrency": WORKERS}).sealed()
    before, start = _peak(), time.perf_counter()
    record = session.run(plan)
    seconds, growth = time.perf_counter() - start, _peak() - before
    if record.state != "done":
        raise RuntimeError("; ".join(f"{step.name}: {step.error}" for step in record.failed))
    return Cost(steps, seconds, _by_hand(steps, root), growth)


def _by_hand(steps: int, root: Path) -> float:
    import duckdb

    start = time.perf_counter()
    with duckdb.connect(str(root / "by_hand.duckdb")) as connection:
        for _ in range(steps):
            connection.execute("BEGIN TRANSACTION")
            connection.execute(SQL).fetchall()
            connection.execute("COMMIT")
    return time.perf_counter() - start


def _peak() -> float:
    """The most memory that this process had so far, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / MIB if sys.platform == "darwin" else most / 1024


if __name__ == "__main__":
    cost = run_many(int(sys.argv[1]), Path(sys.argv[2]))
    Path(sys.argv[3]).write_text(json.dumps(asdict(cost)), encoding="utf-8")
