import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from omopcloudetl.core.errors import RunError
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


def test_an_older_copy_of_the_database_is_what_it_is(lab: Lab, step: Make) -> None:
    """Whatever the records of runs say, only what this very database proves is passed over."""
    lab.run(_plan(step, b="old"))
    with closing(sqlite3.connect(lab.base / "copy.db")) as copy, closing(sqlite3.connect(lab.base / "test.db")) as now:
        now.backup(copy)
    lab.run(_plan(step))
    for path in lab.base.glob("test.db*"):
        path.unlink()
    (lab.base / "copy.db").rename(lab.base / "test.db")

    run = lab.run(_plan(step), resume=True)
    assert _states(run) == {"a": "skipped", "b": "done", "c": "done", "x": "skipped"}


def test_records_of_runs_are_not_asked(lab: Lab, step: Make) -> None:
    """The folder of the records may be lost: the database knows."""
    lab.run(_plan(step))
    shutil.rmtree(lab.state)

    assert set(_states(lab.run(_plan(step), resume=True)).values()) == {"skipped"}


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


def test_what_another_workflow_wrote_runs_again(lab: Lab, step: Make) -> None:
    """Who reads or writes a table that a newer run of another workflow wrote runs again, and nothing else."""
    reader = step("r", "CREATE TABLE IF NOT EXISTS r AS SELECT 1 AS i", writes=["cdm.r"], reads=["work.Other"])
    lab.run([*_plan(step), reader])
    other = [step("b", "DELETE FROM b", writes=["cdm.b"]), step("o", "SELECT 1", writes=["work.other"])]
    lab.run([other[0]], workflow="weekly")

    run = lab.run([*_plan(step), reader], resume=True)
    assert _states(run) == {"a": "skipped", "b": "done", "c": "done", "x": "skipped", "r": "skipped"}
    lab.run([other[1]], workflow="weekly")
    run = lab.run([*_plan(step), reader], resume=True)
    assert _states(run) == {"a": "skipped", "b": "skipped", "c": "skipped", "x": "skipped", "r": "done"}
    assert set(_states(lab.run([*_plan(step), reader], resume=True)).values()) == {"skipped"}


def test_another_workflow_that_wrote_nothing_of_it_changes_nothing(lab: Lab, step: Make) -> None:
    """Tables that it only made where they were missing, passed over or never reached are what they were."""
    lab.run(_plan(step))
    made = step("m", "CREATE TABLE IF NOT EXISTS a (i)", writes=["cdm.a"], creates=["cdm.a"])
    bad = step("bad", "SELECT nothing", after=["m"])
    behind = step("behind", "DELETE FROM b", writes=["cdm.b"], after=["bad"])
    lab.run([made, bad, behind], workflow="weekly")

    assert set(_states(lab.run(_plan(step), resume=True)).values()) == {"skipped"}


@pytest.mark.parametrize("day", ["1999-01-01", "2999-01-01"])
def test_clocks_do_not_decide_which_run_is_the_newest(lab: Lab, step: Make, day: str) -> None:
    """The number of a run does, whenever its clock says that it was."""
    lab.run(_plan(step))
    lab.run(_plan(step, b="new"))
    lab.query(f"UPDATE etl_run SET started_at = '{day} 00:00:00', run_id = '{day}' WHERE run_number = 2")
    lab.query(f"UPDATE etl_step SET started_at = '{day} 00:00:00', run_id = '{day}' WHERE run_number = 2")

    assert set(_states(lab.run(_plan(step, b="new"), resume=True)).values()) == {"skipped"}


def _amended(step: Make, doubled: str = "v * 2", made: str = "made") -> list[SqlStep]:
    """A table that is made anew, a step that changes it in place, and one that reads it."""
    make = ("DROP TABLE IF EXISTS t", "CREATE TABLE t AS SELECT 1 AS v")
    return [
        step("made", *make, writes=["cdm.t"], fingerprint=made),
        step("doubled", f"UPDATE t SET v = {doubled}", after=["made"], writes=["cdm.t"], amends=True,
             fingerprint=doubled),
    ]  # fmt: skip


def test_a_step_that_amends_a_table_never_amends_its_own_result(lab: Lab, step: Make) -> None:
    """When it changed, what fills the table before it runs again, too; as a run of everything gives it."""
    lab.run(_amended(step))
    assert lab.query("SELECT v FROM t") == [(2,)]

    run = lab.run(_amended(step, "v * 3"), resume=True)
    assert (_states(run), lab.query("SELECT v FROM t")) == ({"made": "done", "doubled": "done"}, [(3,)])


def test_a_step_that_failed_to_amend_a_table_finds_it_as_it_was(lab: Lab, step: Make) -> None:
    """What it did was rolled back, so that what comes before it need not run again."""
    lab.run(_amended(step, "nothing"))

    run = lab.run(_amended(step, "v * 3"), resume=True)
    assert (_states(run), lab.query("SELECT v FROM t")) == ({"made": "skipped", "doubled": "done"}, [(3,)])


def test_what_a_removed_step_wrote_is_made_anew(lab: Lab, step: Make) -> None:
    """A plan without the step that amended a table leaves the table as if the step had never been."""
    lab.run(_amended(step))

    run = lab.run(_amended(step)[:1], resume=True)
    assert (_states(run), lab.query("SELECT v FROM t")) == ({"made": "done"}, [(1,)])


def test_a_plan_without_tables_of_runs_cannot_be_resumed(lab: Lab, step: Make) -> None:
    """Nothing would say what is done; the plan says nothing is to be noted, and nothing is."""
    assert lab.run(_plan(step), workflow=None).state == "done"
    assert lab.query("SELECT name FROM sqlite_schema WHERE name LIKE 'etl%'") == []
    with pytest.raises(RunError, match="names no tables in which runs note what is done"):
        lab.run(_plan(step), workflow=None, resume=True)
