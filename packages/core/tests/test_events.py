"""Promises of the run events: every listener hears, and none can break a run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from omopcloudetl.core.events import RunEvents
from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.plan import CompiledWorkflowPlan, Origin, SqlStep
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.runs import RunRecord, StepRecord

STEP = SqlStep(name="s", summary="s", statements=(), origin=Origin(file="f", line=1))
PLAN = CompiledWorkflowPlan(name="p", cdm_version="5.4", provider="x", dialect="duckdb", schemas={}, steps=(STEP,))
RECORD = StepRecord(name="s", kind="sql", fingerprint="")
RUN = RunRecord(
    run_id="1",
    name="p",
    plan_hash="",
    target="t",
    provider="x",
    cdm_version="5.4",
    started_at=datetime(2020, 1, 1, tzinfo=UTC),
    steps=[RECORD],
)
TELL: dict[str, tuple[Callable[[RunEvents], None], dict[str, object]]] = {
    "run_started": (lambda events: events.run_started(PLAN, RUN), {"plan": PLAN, "run": RUN}),
    "step_started": (lambda events: events.step_started(STEP, RECORD), {"step": STEP, "record": RECORD}),
    "step_retried": (
        lambda events: events.step_retried(STEP, RECORD, 0.5),
        {"step": STEP, "record": RECORD, "wait": 0.5},
    ),
    "step_finished": (lambda events: events.step_finished(STEP, RECORD), {"step": STEP, "record": RECORD}),
    "run_finished": (lambda events: events.run_finished(PLAN, RUN), {"plan": PLAN, "run": RUN}),
}
every_event = pytest.mark.parametrize("event", TELL)


class Listener:
    """Writes down what it hears, and fails if it is told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.heard: list[tuple[str, dict[str, object]]] = []
        self.fails = fails

    def _note(self, event: str, **arguments: object) -> None:
        self.heard.append((event, arguments))
        if self.fails:
            raise ValueError("no more")

    @hookimpl
    def omopcloudetl_run_started(self, plan: object, run: object) -> None:
        """Note it."""
        self._note("run_started", plan=plan, run=run)

    @hookimpl
    def omopcloudetl_step_started(self, record: object, step: object) -> None:
        """Note it; the order of the arguments is the listener's own."""
        self._note("step_started", step=step, record=record)

    @hookimpl
    def omopcloudetl_step_retried(self, wait: float, step: object, record: object) -> None:
        """Note it."""
        self._note("step_retried", step=step, record=record, wait=wait)

    @hookimpl
    def omopcloudetl_step_finished(self, step: object, record: object) -> None:
        """Note it."""
        self._note("step_finished", step=step, record=record)

    @hookimpl
    def omopcloudetl_run_finished(self, plan: object, run: object) -> None:
        """Note it."""
        self._note("run_finished", plan=plan, run=run)


class Terse:
    """Wants to know only that something happened."""

    count = 0

    @hookimpl
    def omopcloudetl_run_started(self) -> None:
        """Count it."""
        self.count += 1


@every_event
def test_a_listener_hears_every_event_with_its_arguments(event: str) -> None:
    """What happens is told by name, with the very objects."""
    plugins, listener = load_plugins(), Listener()
    plugins.manager.register(listener)
    tell, arguments = TELL[event]
    tell(RunEvents(plugins.manager))
    assert listener.heard == [(event, arguments)]


@every_event
def test_a_listener_that_fails_is_a_warning_and_the_others_still_hear(event: str) -> None:
    """A progress bar that breaks must not stop a run, nor hide it from the log."""
    plugins = load_plugins()
    first, broken, last = Listener(), Listener(fails=True), Listener()
    for name, listener in {"first": first, "broken": broken, "last": last}.items():
        plugins.manager.register(listener, name)
    tell, arguments = TELL[event]
    with pytest.warns(RuntimeWarning, match=rf"broken, a listener to omopcloudetl_{event}, failed: .*no more"):
        tell(RunEvents(plugins.manager))
    assert first.heard == broken.heard == last.heard == [(event, arguments)]


def test_a_listener_takes_only_the_arguments_it_wants() -> None:
    """A listener may leave out arguments."""
    plugins, listener = load_plugins(), Terse()
    plugins.manager.register(listener)
    RunEvents(plugins.manager).run_started(PLAN, RUN)
    assert listener.count == 1


def test_a_user_can_still_interrupt() -> None:
    """Only errors are kept from the run; Ctrl-C goes through."""

    class Interrupting:
        @hookimpl
        def omopcloudetl_run_started(self) -> None:
            raise KeyboardInterrupt

    plugins = load_plugins()
    plugins.manager.register(Interrupting())
    with pytest.raises(KeyboardInterrupt):
        RunEvents(plugins.manager).run_started(PLAN, RUN)
