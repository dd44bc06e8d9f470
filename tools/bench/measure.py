"""What all benchmarks share: options, results, and how a process or a function is timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(Path(sys.executable).with_name("omopcloudetl"))
MIB = 1 << 20

SourceFormat = Literal["parquet", "csv"]


@dataclass(frozen=True)
class Options:
    """What the command line asks of every benchmark."""

    scratch: Path
    """A folder for projects; it is removed at the end."""
    data: Path
    """The folder that holds, or gets, the copies of the source data."""
    source: SourceFormat = "parquet"
    copies: int = 100
    quick: bool = False
    profile: bool = False


@dataclass(frozen=True)
class Result:
    """One number against one budget; smaller is better."""

    name: str
    measured: float
    budget: float
    unit: str
    detail: str = ""
    broken: str = ""
    """A promise that is no number and was not kept; it makes the result `over`."""

    @property
    def ratio(self) -> float:
        """The measured number in budgets."""
        return self.measured / self.budget

    @property
    def ok(self) -> bool:
        """Whether the budget is kept."""
        return self.ratio <= 1 and not self.broken

    def __str__(self) -> str:
        measured, budget = f"{_short(self.measured)} {self.unit}", f"{_short(self.budget)} {self.unit}"
        words = "  ".join(filter(None, (self.broken, self.detail)))
        state = "ok" if self.ok else "over"
        return f"{self.name:34} {measured:>10}  budget {budget:>9}  ratio {self.ratio:5.2f}  {state:4}  {words}"

    def as_json(self) -> dict[str, object]:
        """The result with what follows from it."""
        return {**asdict(self), "ratio": self.ratio, "ok": self.ok}


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


@dataclass(frozen=True)
class Ran:
    """A process that came to its end."""

    seconds: float
    cpu: float
    """Seconds of all processors together, which other work on the machine changes less."""
    peak: int
    """The most memory it had in RAM at one time, in bytes; of the process itself, not of its children."""


def run_process(command: Sequence[str]) -> Ran:
    """Run a command that must succeed, as a user would: with bytecode, without a terminal.

    Raises:
        RuntimeError: The command failed; the text has the end of its stderr.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launcher.py"))]
    done = subprocess.run([*launcher, *command], capture_output=True, text=True, check=True, env=environment, cwd=ROOT)
    report = json.loads(done.stdout)
    if report["code"] != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {report['code']}:\n{done.stderr[-2000:]}")
    return Ran(report["seconds"], report["cpu"], report["peak"])


def repeat(measure: Callable[[], Ran], times: int, *, enough: float = 60) -> list[Ran]:
    """Measure up to `times` times; stop when `enough` seconds were spent."""
    start = time.perf_counter()
    ran = [measure()]
    while len(ran) < times and time.perf_counter() - start < enough:
        ran.append(measure())
    return ran


def least(ran: Sequence[Ran]) -> float:
    """The shortest time: other work on the machine only ever adds."""
    return min(one.seconds for one in ran)


def spread(ran: Sequence[Ran]) -> str:
    """How much the repeats differ, in words: `least of 5, most 1.2 s, CPU 0.9 s`."""
    times = f"least of {len(ran)}, most {_short(max(one.seconds for one in ran))} s" if ran[1:] else "1 run"
    return f"{times}, CPU {_short(min(one.cpu for one in ran))} s"
