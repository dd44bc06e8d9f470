from collections.abc import Callable
from typing import Any

from omopcloudetl.core.plan import SqlStep
from omopcloudetl.core.runs import RunRecord

Make = Callable[..., SqlStep]
# The helpers live in conftest.py, which can't be imported.
Lab = Any
Listener = Any


def _states(run: RunRecord) -> dict[str, str]:
    return {step.name: step.state for step in run.steps}


def _plan(step: Make, **fingerprints: str) -> list[SqlStep]:
    """A chain a → b → c and a separate step x; each makes a table of its name."""
    after = {"a": [], "b": ["a"], "c": ["b"], "x": []}
    return [
        step(
            name,
            f"DROP TABLE IF EXISTS {name}",
            f"CREATE TABLE {name} AS SELECT 1 AS i",
            after=waits_for,
            writes=[f"cdm.{name}"],
            fingerprint=fingerprints.get(name, name),
        )
        for name, waits_for in after.items()
    ]


def test_resume_of_a_complete_run_runs_nothing(lab: Lab, step: Make, listener: Listener) -> None:
    """Steps that are done and unchanged are passed over, which is told without an error."""
    lab.run(_plan(step))
    listener.heard.clear()

    run = lab.run(_plan(step), resume=True)

    assert run.state == "done"
    assert {(record.state, record.error) for record in run.steps} == {("skipped", None)}
    assert [event for event, _ in listener.heard[1:-1]] == ["skipped"] * 4
    assert lab.run(_plan(step), resume=True).steps == run.steps


def test_resume_goes_on_where_a_run_failed(lab: Lab, step: Make) -> None:
    """What failed and what waited for it runs; what was done does not."""
    broken = _plan(step)
    broken[1] = step("b", "SELECT nothing", after=["a"], fingerprint="b")
    assert _states(lab.run(broken)) == {"a": "done", "b": "failed", "c": "skipped", "x": "done"}

    run = lab.run(_plan(step), resume=True)
    assert _states(run) == {"a": "skipped", "b": "done", "c": "done", "x": "skipped"}


def test_changed_step_and_all_behind_it_run_again(lab: Lab, step: Make) -> None:
    """A new fingerprint makes the step and its dependants run, and nothing else."""
    lab.run(_plan(step))

    run = lab.run(_plan(step, b="new"), resume=True)
    assert _states(run) == {"a": "skipped", "b": "done", "c": "done", "x": "skipped"}


def test_step_whose_table_is_gone_runs_again(lab: Lab, step: Make) -> None:
    """A table that somebody dropped is made again, and what was made from it."""
    lab.run(_plan(step))
    lab.query("DROP TABLE a")

    run = lab.run(_plan(step), resume=True)
    assert _states(run) == {"a": "done", "b": "done", "c": "done", "x": "skipped"}


def test_other_target_does_not_count(lab: Lab, step: Make) -> None:
    """What was done on one target is not done on another."""
    lab.run(_plan(step), target="production")

    assert set(_states(lab.run(_plan(step), resume=True)).values()) == {"done"}


def test_only_the_newest_run_counts(lab: Lab, step: Make) -> None:
    """A later run that failed at a step makes it run again, whatever older runs did."""
    lab.run(_plan(step))
    broken = _plan(step)
    broken[0] = step("a", "SELECT nothing", fingerprint="a")
    lab.run(broken)

    run = lab.run(_plan(step), resume=True)
    assert _states(run) == {"a": "done", "b": "done", "c": "done", "x": "skipped"}


def test_step_without_a_fingerprint_always_runs(lab: Lab, step: Make) -> None:
    """What cannot be recognised is not passed over."""
    lab.run(_plan(step, x=""))

    assert _states(lab.run(_plan(step, x=""), resume=True))["x"] == "done"


def test_without_resume_everything_runs(lab: Lab, step: Make) -> None:
    """A plain run repeats what is done."""
    lab.run(_plan(step))

    assert set(_states(lab.run(_plan(step))).values()) == {"done"}


def _after_schemas(step: Make) -> list[SqlStep]:
    """A step that makes no table, and the chain of `_plan` behind it."""
    schemas = step("schemas", "INSERT INTO log VALUES ('schemas')")
    steps = _plan(step)
    return [schemas, steps[0].model_copy(update={"depends_on": ("schemas",)}), *steps[1:]]


def test_step_that_makes_no_table_always_runs(lab: Lab, step: Make) -> None:
    """Nothing shows that its work is still there, so it runs, and what depends on it does not."""
    lab.query("CREATE TABLE log (name)")
    lab.run(_after_schemas(step))

    run = lab.run(_after_schemas(step), resume=True)
    assert _states(run) == {"schemas": "done", "a": "skipped", "b": "skipped", "c": "skipped", "x": "skipped"}
    assert len(lab.query("SELECT * FROM log")) == 2


def test_resume_without_its_database_makes_everything_again(lab: Lab, step: Make) -> None:
    """When the database was deleted, every step runs, those that make no table too."""
    lab.query("CREATE TABLE log (name)")
    lab.run(_after_schemas(step))
    for path in lab.base.glob("test.db*"):
        path.unlink()
    lab.query("CREATE TABLE log (name)")

    run = lab.run(_after_schemas(step), resume=True)
    assert set(_states(run).values()) == {"done"}
