"""`tools.bench.synthea_scale` tells growth from size, and `step_meter` the cost of each step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.bench.step_meter import StepCost
from tools.bench.synthea import make_project, shipped_source
from tools.bench.synthea_scale import LEAST_CPU, Size, growth, read_costs, table, worst_growth

ROOT = Path(__file__).resolve().parents[2]


def _size(patients: int, **cpu: float) -> Size:
    return Size(patients, {step: StepCost(step, seconds, seconds, 1 << 20, 7) for step, seconds in cpu.items()})


def test_growth_is_told_in_units_of_n_log_n() -> None:
    """A step that grows by n·log n has 1, a linear one less, a quadratic one far more."""
    smaller = _size(10_000, linear=1.0, sort=1.0, quadratic=1.0)
    larger = _size(100_000, linear=10.0, sort=12.5, quadratic=100.0)
    grown = {step: growth(smaller, larger, step) for step in larger.costs}
    assert grown == {"linear": pytest.approx(0.8), "sort": pytest.approx(1), "quadratic": pytest.approx(8)}


def test_the_step_that_grows_most_is_named() -> None:
    """The worst of those that cost enough to tell, and none where all are short."""
    smaller = _size(10_000, fine=1.0, bad=1.0, short=0.001)
    worst = worst_growth(smaller, _size(100_000, fine=10.0, bad=80.0, short=LEAST_CPU / 2))
    assert worst is not None
    assert (worst[0], round(worst[1], 3)) == ("bad", 6.4)
    assert worst_growth(smaller, _size(100_000, short=LEAST_CPU / 2)) is None


def test_the_table_has_every_step_of_the_largest_size() -> None:
    """Also a step that the smaller size does not have, with an empty place there."""
    lines = list(table([_size(27, old=1.0), _size(270, old=2.0, new=3.0)]))
    assert [line.split()[0] for line in lines[2:]] == ["old", "new", "all"]
    assert lines[-1].split()[-3:] == ["5.00", "5.00", "1"]


def test_the_meter_tells_the_cost_of_each_step(tmp_path: Path) -> None:
    """Every step of the plan once, with its rows and memory that is not nothing."""
    project, told = make_project(tmp_path / "project", shipped_source()), tmp_path / "told.json"
    subprocess.run([sys.executable, "-m", "tools.bench.step_meter", str(project), str(told)], check=True, cwd=ROOT)
    costs = read_costs(told)
    assert costs["write_person"].rows
    assert all(cost.peak > 1 << 20 and cost.seconds >= 0 for cost in costs.values())
