from collections.abc import Callable

import pytest

from omopcloudetl.core.errors import RunError
from omopcloudetl.core.plan import SqlStep
from omopcloudetl.orchestrator_local.schedule import Schedule

Make = Callable[..., SqlStep]


def _take_all(schedule: Schedule) -> list[str]:
    names = []
    while (step := schedule.take()) is not None:
        names.append(step.name)
    return names


def test_ready_steps_come_in_the_plans_order(step: Make) -> None:
    """What waits for nothing is taken in the order of the plan, also when it becomes ready late."""
    schedule = Schedule([step("a"), step("b", after=["d"]), step("c"), step("d")])

    assert _take_all(schedule) == ["a", "c", "d"]
    schedule.done("d")
    assert _take_all(schedule) == ["b"]
    assert _take_all(schedule) == []


def test_step_waits_for_all_it_depends_on(step: Make) -> None:
    """One of two dependencies is not enough, and a dependency named twice counts once."""
    schedule = Schedule([step("a"), step("b"), step("c", after=["a", "b", "a"])])
    _take_all(schedule)

    schedule.done("a")
    assert schedule.take() is None
    schedule.done("b")
    assert _take_all(schedule) == ["c"]


def test_dependants_are_dropped_near_and_far(step: Make) -> None:
    """Everything behind a failed step goes, once, and nothing else."""
    steps = [
        step("a"),
        step("near", after=["a"]),
        step("far", after=["near", "a"]),
        step("other"),
        step("beside", after=["other"]),
    ]
    schedule = Schedule(steps)

    assert [dropped.name for dropped in schedule.drop_dependants("a")] == ["near", "far"]
    assert _take_all(schedule) == ["a", "other"]
    schedule.done("other")
    assert [dropped.name for dropped in schedule.drop_all()] == ["beside"]
    assert schedule.take() is None


def test_step_that_no_plan_has_is_refused(step: Make) -> None:
    """A plan that was changed by hand does not hang: the missing step is named."""
    with pytest.raises(RunError, match="step a depends on nothing_here, which the plan does not"):
        Schedule([step("a", after=["nothing_here"])])
    with pytest.raises(RunError, match="two steps of one name"):
        Schedule([step("a"), step("a")])
