"""Runs a project one step at a time and writes down what each step took; a program of its own.

One step at a time, because two at once would share processors and memory, and nothing could tell whose they are.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from omopcloudetl.cli.logs import configure_logs
from omopcloudetl.cli.options import RunOptions
from omopcloudetl.core.run_events import RunEvent, StepFinished, StepStarted
from omopcloudetl.core.session import Session

SECONDS_BETWEEN_LOOKS = 0.005
RESIDENT = Path("/proc/self/statm")


@dataclass(frozen=True)
class StepCost:
    """What one step took."""

    step: str
    seconds: float
    cpu: float
    """Seconds of all processors together."""
    peak: int
    """The most memory the process had in RAM during the step, in bytes; before it began, it held some already."""
    rows: int | None


class Meter:
    """Listens to a run whose steps do not overlap."""

    def __init__(self) -> None:
        self.costs: list[StepCost] = []
        self._peak = 0
        self._start = self._cpu = 0.0
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Meter:
        self._watch.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._watch.join()

    def __call__(self, event: RunEvent) -> None:
        """Take the time when a step begins and when it ends."""
        match event:
            case StepStarted():
                self._peak = resident()
                self._start, self._cpu = time.perf_counter(), time.process_time()
            case StepFinished(step, record):
                seconds, cpu = time.perf_counter() - self._start, time.process_time() - self._cpu
                self.costs.append(StepCost(step.name, seconds, cpu, max(self._peak, resident()), record.rows))
            case _:
                pass

    def _look(self) -> None:
        while not self._done.wait(SECONDS_BETWEEN_LOOKS):
            self._peak = max(self._peak, resident())


def resident() -> int:
    """Bytes of this process in RAM now; where the system does not tell, the most so far."""
    if RESIDENT.exists():
        return int(RESIDENT.read_text("ascii").split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Run the project that the first argument names; the costs of its steps go into the file of the second."""
    configure_logs(RunOptions())
    session = Session.open(Path(sys.argv[1]))
    plan = session.compile().model_copy(update={"concurrency": 1}).sealed()
    with Meter() as meter:
        record = session.run(plan, on_event=meter)
    if record.state != "done":
        raise RuntimeError("; ".join(f"{step.name}: {step.error}" for step in record.failed))
    Path(sys.argv[2]).write_text(json.dumps([asdict(cost) for cost in meter.costs]), encoding="utf-8")


if __name__ == "__main__":
    main()
