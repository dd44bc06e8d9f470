"""Promises of what a run notes in its target: it is there with the data, or neither is."""

import itertools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from omopcloudetl.core.errors import DatabaseConnectionError, RunError, StatementError
from omopcloudetl.core.plan import BulkLoadStep, Origin, Retry, SqlStep
from omopcloudetl.core.run_tables import STEP_COLUMNS

Make = Callable[..., SqlStep]
# The helpers live in conftest.py, which can't be imported.
Lab = Any

STEPS = "SELECT step, state, attempts, rows_written, tables_written FROM etl_step ORDER BY rowid"


class KilledError(BaseException):
    """Stands for the end of the process: nothing that a run does afterwards reaches the database."""


def _load(lab: Lab) -> BulkLoadStep:
    (lab.base / "people.csv").write_text("id,name\n1,a\n2,b\n")
    return BulkLoadStep(
        name="load",
        summary="load",
        origin=Origin(file="workflow.yaml", line=1),
        uri="people.csv",
        format="csv",
        table=("main", "people"),
        mode="create",
        writes=("work.people",),
        fingerprint="load",
    )


def test_a_run_notes_its_steps_and_its_end(lab: Lab, step: Make) -> None:
    """One row for the run, one for each step, with what became of it; tables that were only made are not written."""
    steps = [
        step("made", "CREATE TABLE t (i)", writes=["cdm.t"], creates=["cdm.t"]),
        step("filled", "INSERT INTO t VALUES (1), (2)", after=["made"], writes=["cdm.t", "work.x"]),
        _load(lab),
        step("bad", "SELECT nothing"),
        step("behind", "SELECT 1", after=["bad"]),
    ]
    run = lab.run(steps)

    assert lab.query(STEPS + ", step") == [
        ("made", "done", 1, None, ""),
        ("filled", "done", 1, 2, "main.t, main.x"),
        ("load", "done", 1, 2, "main.people"),
        ("bad", "failed", 1, None, ""),
        ("behind", "skipped", None, None, ""),
    ]
    names = "run_id, run_number, project, workflow, state, steps, steps_done, steps_failed, steps_skipped"
    assert lab.query(f"SELECT {names} FROM etl_run") == [(run.run_id, 1, "test", "nightly", "failed", 5, 3, 1, 1)]
    assert lab.query("SELECT COUNT(*) FROM etl_run WHERE finished_at >= started_at") == [(1,)]


def test_resume_notes_what_it_passes_over(lab: Lab, step: Make) -> None:
    """The rows of a run are enough for the next one to go on with it."""
    steps = [step("a", "CREATE TABLE a AS SELECT 1", writes=["cdm.a"]), step("check", "CHECK:SELECT 1 WHERE false")]
    lab.run(steps)
    lab.run(steps, resume=True)

    found = "SELECT run_number, step, state FROM etl_step WHERE run_number = 2 ORDER BY step"
    assert lab.query(found) == [(2, "a", "passed_over"), (2, "check", "done")]
    assert lab.query("SELECT steps_done, steps_passed_over FROM etl_run WHERE run_number = 2") == [(1, 1)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_the_commit_leaves_data_and_proof_or_neither(lab: Lab, step: Make, when: str) -> None:
    """There is no moment at which a step's data are there and its row is not."""
    steps = [step("a", "CREATE TABLE a AS SELECT 1 AS i", writes=["cdm.a"])]
    lab.run([step("first", "SELECT 1")])  # the tables of runs are there
    with pytest.raises(KilledError), _killed(lab, when):
        lab.run(steps)

    there = lab.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == [("a",)]
    proven = lab.query("SELECT state FROM etl_step WHERE step = 'a'") == [("done",)]
    assert there == proven == (when == "after")
    assert lab.query("SELECT state FROM etl_run ORDER BY run_number") == [("done",), ("running",)]
    run = lab.run(steps, resume=True)
    assert run.steps[0].state == ("skipped" if there else "done")
    assert lab.query("SELECT state FROM etl_run ORDER BY run_number") == [("done",), ("died",), ("done",)]


def test_a_killed_run_is_gone_on_with_behind_a_step_that_makes_no_table(lab: Lab, step: Make) -> None:
    """Such a step has no row before the end of a run, and what came after it proves that it was done."""
    steps = [step("schemas", "SELECT 1")]
    for name in ("a", "b", "c"):
        steps.append(
            step(name, f"CREATE TABLE {name} AS SELECT 1 AS i", after=[steps[-1].name], writes=[f"cdm.{name}"])
        )
    with pytest.raises(KilledError), _killed(lab, "before", commit=4):
        lab.run(steps)
    assert lab.query("SELECT name FROM sqlite_schema WHERE name IN ('a', 'b', 'c') ORDER BY name") == [("a",), ("b",)]

    states = {record.name: record.state for record in lab.run(steps, resume=True).steps}
    assert states == {"schemas": "done", "a": "skipped", "b": "skipped", "c": "done"}


def test_a_kill_before_the_row_of_a_load_leaves_neither(lab: Lab) -> None:
    """The rows of a load and the row that says so are one transaction."""
    with pytest.raises(KilledError), _killed(lab, "record"):
        lab.run([_load(lab)])

    assert lab.query("SELECT name FROM sqlite_schema WHERE name = 'people'") == []
    assert lab.query("SELECT COUNT(*) FROM etl_step") == [(0,)]
    assert lab.run([_load(lab)], resume=True).steps[0].state == "done"


def test_a_kill_between_a_load_without_transaction_and_its_row_repeats_the_load(lab: Lab) -> None:
    """Its row says beforehand that it may have been done."""
    load = _load(lab).model_copy(update={"transaction": "none"})
    with pytest.raises(KilledError), _killed(lab, "record"):
        lab.run([load])

    assert lab.query("SELECT COUNT(*) FROM people") == [(2,)]
    assert lab.query("SELECT step, state, tables_written FROM etl_step") == [("load", "planned", "main.people")]
    lab.query("DROP TABLE people")  # this database's load makes it, and would not twice
    assert lab.run([load], resume=True).steps[0].state == "done"


def test_a_commit_whose_answer_is_lost_is_not_done_twice(lab: Lab, step: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A try whose commit did come about is found in the database; one whose commit did not is repeated."""
    lab.query("CREATE TABLE t AS SELECT 1 AS i")
    steps = [step("twice", "UPDATE t SET i = i * 2", writes=["cdm.t"]), _load(lab)]
    connect = lab.connect
    heard = iter(["ROLLBACK", "COMMIT", "COMMIT"])  # what becomes of the first commits; nothing is answered

    def connect_and_lose() -> Any:
        connection = connect()
        run, sent = connection._run, [""]

        def losing(sql: str, *values: str | None) -> Any:
            sent.append(sql)
            if sql == "ROLLBACK" and sent[-2] == "COMMIT":
                return None  # the session is gone
            if sql != "COMMIT" or "etl_step" not in sent[-2] or (what := next(heard, None)) is None:
                return run(sql, *values)
            run(what)
            raise DatabaseConnectionError("the answer was lost, as if the database is locked")

        connection._run = losing
        return connection

    monkeypatch.setattr(lab, "connect", connect_and_lose)
    run = lab.run(steps, retry=Retry(attempts=3, first_wait=0.01))

    assert [(record.state, len(record.attempts)) for record in run.steps] == [("done", 3), ("done", 2)]
    assert [record.rows_affected for record in run.steps] == [1, 2]
    assert lab.query("SELECT i FROM t") == [(2,)]
    assert lab.query("SELECT step, state FROM etl_step ORDER BY step") == [("load", "done"), ("twice", "done")]


@contextmanager
def _killed(lab: Lab, when: str, commit: int = 1) -> Iterator[None]:
    """End the run around a commit of a step, or as that is noted; its connections are dead from then on."""
    connect = lab.connect
    dead: list[str] = []
    commits = itertools.count(1)

    def connect_and_watch() -> Any:
        connection = connect()
        run, record = connection._run, connection.record

        def watched(sql: str, *values: str | None) -> Any:
            if dead:
                raise KilledError
            is_last = when != "record" and sql == "COMMIT" and connection is not lab.opened[0]
            is_last = is_last and next(commits) == commit
            if is_last and when == "after":
                run(sql)
            if is_last:
                dead.append(sql)
                run("ROLLBACK") if when == "before" else None
                raise KilledError
            return run(sql, *values)

        def noted(*arguments: Any, **more: Any) -> None:
            if when == "record" and connection is not lab.opened[0]:
                dead.append("record")
                raise KilledError
            record(*arguments, **more)

        connection._run, connection.record = watched, noted
        return connection

    lab.opened.clear()
    lab.connect = connect_and_watch
    try:
        yield
    finally:
        lab.connect = connect


@pytest.fixture
def killed(lab: Lab, step: Make) -> tuple[str, list[SqlStep]]:
    """The id and the steps of a run that was killed before its last commit."""
    steps = [step("a", "CREATE TABLE a AS SELECT 1 AS i", writes=["cdm.a"])]
    lab.run([step("first", "SELECT 1")])
    with pytest.raises(KilledError), _killed(lab, "before"):
        lab.run(steps)
    return str(lab.query("SELECT run_id FROM etl_run WHERE state = 'running'")[0][0]), steps


def test_what_a_dead_run_left_working_is_ended_before_anything_is_read(lab: Lab, killed: Any) -> None:
    """Also where the server lists no sessions: what it still committed until then is found and not done twice."""
    dead, steps = killed
    ended: list[Collection[str]] = []

    def end(runs: Collection[str]) -> None:
        ended.append(runs)
        lab.query("CREATE TABLE a AS SELECT 1 AS i")
        lab.query(f"INSERT INTO etl_step ({', '.join(STEP_COLUMNS)}) VALUES"
                  f" ('{dead}', 2, 'a', 'sql', 'a', 'done', 1, NULL, NULL, NULL, NULL, NULL, 'main.a')")  # fmt: skip

    with _ending(lab, end):
        assert [record.state for record in lab.run(steps, resume=True).steps] == ["skipped"]
        lab.run(steps, resume=True)
    assert ended == [{dead}]


def test_a_dead_run_that_does_not_end_is_a_refusal(lab: Lab, killed: Any) -> None:
    """Nothing runs, and the server's words are told; the next run asks again."""
    dead, steps = killed

    def end(runs: Collection[str]) -> None:
        raise StatementError(f"statements of run {dead} go on")

    with (
        _ending(lab, end),
        pytest.raises(RunError, match=f"a run that is dead left working .*: statements of run {dead}"),
    ):
        lab.run(steps, resume=True)
    assert lab.query(f"SELECT state FROM etl_run WHERE run_id = '{dead}'") == [("running",)]
    assert lab.run(steps, resume=True).state == "done"


@contextmanager
def _ending(lab: Lab, end: Callable[[Collection[str]], None]) -> Iterator[None]:
    """Have connections of a server that lists no sessions, and does this to end them."""
    connect = lab.connect

    def connect_to_server() -> Any:
        connection = connect()
        connection.end_sessions = end
        return connection

    lab.connect = connect_to_server
    try:
        yield
    finally:
        lab.connect = connect


def test_a_database_that_cannot_be_written_says_so(lab: Lab, step: Make) -> None:
    """The run does not begin; the message names the tables and what the engine said."""
    connect = lab.connect

    def read_only() -> Any:
        connection = connect()
        open_, connection.connect = connection.connect, lambda: (open_(), connection._run("PRAGMA query_only = 1"))
        return connection

    lab.connect = read_only
    with pytest.raises(RunError) as caught:
        lab.run([step("a", "CREATE TABLE a (i)")])
    words = str(caught.value)
    assert words.startswith(
        "what is done cannot be noted in main.etl_run and main.etl_step: attempt to write a readonly"
    )
    assert words.endswith("must be able to make, read and write tables in the schema for work")
    assert [run.state for run in lab.runs()] == ["failed"]


def test_a_table_of_this_name_that_is_none_of_ours_is_refused(lab: Lab, step: Make) -> None:
    """What it lacks is told, and what to do; nothing is written into it."""
    lab.query("CREATE TABLE etl_step (run_id, step, state)")
    with pytest.raises(RunError, match=r"main\.etl_step is not the table .* no column run_number, kind, .* rename or"):
        lab.run([step("a", "CREATE TABLE a (i)")])
    assert lab.query("SELECT name FROM sqlite_schema WHERE name = 'a'") == []


def test_tables_of_runs_that_were_dropped_are_made_again(lab: Lab, step: Make) -> None:
    """Then nothing is proven, and everything runs."""
    steps = [step("a", "DROP TABLE IF EXISTS a", "CREATE TABLE a AS SELECT 1", writes=["cdm.a"])]
    lab.run(steps)
    lab.query("DROP TABLE etl_run")
    lab.query("DROP TABLE etl_step")

    assert [record.state for record in lab.run(steps, resume=True).steps] == ["done"]
    assert lab.query("SELECT run_number FROM etl_run") == [(1,)]


def test_a_run_of_another_target_is_not_taken_for_dead(lab: Lab, step: Make) -> None:
    """It may be going on beside this one; the same target's cannot."""
    for target in ("dev", "other"):
        lab.run([step("a", "SELECT 1")], target=target)
    lab.query("UPDATE etl_run SET state = 'running'")
    lab.run([step("a", "SELECT 1")])

    found = lab.query("SELECT target, state FROM etl_run ORDER BY run_number")
    assert found == [("dev", "died"), ("other", "running"), ("dev", "done")]


def test_no_row_has_a_text_of_an_error(lab: Lab, step: Make) -> None:
    """Errors may quote values of patients, so there is no place for them."""
    lab.run([step("bad", "SELECT * FROM hunter2")])
    rows = lab.query("SELECT * FROM etl_step")
    assert "hunter2" not in str(rows)
    assert len(rows[0]) == len(STEP_COLUMNS)
