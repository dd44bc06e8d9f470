"""Budget: no step of the Synthea ETL grows faster than n·log n; with time and memory of each step at three sizes.

The processors' time is compared, which other work on the machine changes less than the time on the clock. What
a step costs without any rows is no growth, so that only steps that cost something at the larger size are compared.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tools.bench.measure import MIB, Options, Result, run_process
from tools.bench.step_meter import StepCost
from tools.bench.synthea import PATIENTS, copied_source, make_project

COPIES = (100, 1000, 4000)
LEAST_CPU = 0.25
"""Seconds at the larger size, below which a step's growth is not told from chance."""
ALLOWANCE = 1.25
"""For what is no work of the step: caches that are too small for more data, other programs."""


@dataclass(frozen=True)
class Size:
    """The costs of a run's steps with so many patients."""

    patients: int
    costs: Mapping[str, StepCost]


def measure(options: Options) -> Iterator[Result]:
    """Run the project at each size, print what each step cost, and compare each size with the one before."""
    sizes = [_run(options, copies) for copies in (COPIES[:2] if options.quick else COPIES)]
    print("\n".join(table(sizes)), flush=True)
    for smaller, larger in pairwise(sizes):
        worst = worst_growth(smaller, larger)
        if worst is None:
            print(f"synthea_scale {larger.patients:,}: no step takes {LEAST_CPU} s; nothing to compare")
            continue
        step, growth = worst
        before, after = smaller.costs[step].cpu, larger.costs[step].cpu
        detail = f"{step}: {before:.2f} s to {after:.2f} s of processor time"
        yield Result(f"synthea_scale {larger.patients:,} growth", growth, ALLOWANCE, "n·log n", detail)


def _run(options: Options, copies: int) -> Size:
    source = copied_source(options, copies)
    project = make_project(options.scratch / f"scale-{copies}", source)
    told = options.scratch / f"scale-{copies}.json"
    run_process([sys.executable, "-m", "tools.bench.step_meter", str(project), str(told)])
    (project / "omop.duckdb").unlink()
    return Size(copies * PATIENTS, read_costs(told))


def read_costs(file: Path) -> dict[str, StepCost]:
    """Step → what it cost, as `step_meter` wrote it."""
    return {one["step"]: StepCost(**one) for one in json.loads(file.read_text("utf-8"))}


def growth(smaller: Size, larger: Size, step: str) -> float:
    """How much more a step costs, over how much more it would with n·log n: 1 is as that, less is better."""
    expected = _n_log_n(larger.patients) / _n_log_n(smaller.patients)
    return larger.costs[step].cpu / max(smaller.costs[step].cpu, 1e-3) / expected


def _n_log_n(patients: int) -> float:
    return patients * math.log(patients)


def worst_growth(smaller: Size, larger: Size) -> tuple[str, float] | None:
    """The step that grows most, of those that cost something; None if none does."""
    found = [
        (step, growth(smaller, larger, step))
        for step, cost in larger.costs.items()
        if cost.cpu >= LEAST_CPU and step in smaller.costs
    ]
    return max(found, key=lambda one: one[1], default=None)


def table(sizes: Sequence[Size]) -> Iterator[str]:
    """A line for each step: seconds, processor seconds and the process's peak memory at each size."""
    yield f"{'step':36}" + "".join(f"{f'{size.patients:,} patients':>28}" for size in sizes)
    yield f"{'':36}" + f"{'s':>9}{'CPU s':>9}{'MiB':>10}" * len(sizes)
    for step in sizes[-1].costs:
        costs = [size.costs.get(step) for size in sizes]
        yield f"{step:36}" + "".join(map(_cell, costs))
    yield f"{'all steps':36}" + "".join(map(_cell, map(_sum, sizes)))


def _cell(cost: StepCost | None) -> str:
    if cost is None:
        return " " * 28
    return f"{cost.seconds:9.2f}{cost.cpu:9.2f}{cost.peak / MIB:10,.0f}"


def _sum(size: Size) -> StepCost:
    costs = size.costs.values()
    seconds, cpu = sum(one.seconds for one in costs), sum(one.cpu for one in costs)
    return StepCost("all steps", seconds, cpu, max(one.peak for one in costs), None)
