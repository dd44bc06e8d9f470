import os
import resource
import stat
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from omopcloudetl.core import hookspecs
from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import DatabaseConnectionError, RunError
from omopcloudetl.core.plan import BulkLoadStep, Origin, SqlStep, Statement
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.runs import RunRecord
from omopcloudetl.orchestrator_local.worker import rows_written

Make = Callable[..., SqlStep]
# The helpers live in conftest.py, which can't be imported.
Lab = Any
Listener = Any


def _states(run: RunRecord) -> dict[str, str]:
    return {step.name: step.state for step in run.steps}


def test_steps_run_in_the_order_of_their_dependencies(lab: Lab, step: Make) -> None:
    """A step starts when all it depends on is done, whatever its place in the plan."""
    run = lab.run(
        [
            step("last", "INSERT INTO t VALUES ('last')", after=["middle"]),
            step("make", "CREATE TABLE t (name)"),
            step("middle", "INSERT INTO t VALUES ('middle')", after=["make"]),
        ],
        concurrency=3,
    )

    assert run.state == "done"
    assert lab.query("SELECT name FROM t ORDER BY rowid") == [("middle",), ("last",)]
    assert [record.rows_affected for record in run.steps] == [1, None, 1]
    assert all(record.started_at and record.seconds for record in run.steps)
    assert all(record.finished_at > record.started_at for record in run.steps)


def test_independent_steps_run_at_the_same_time(lab: Lab, step: Make) -> None:
    """With three workers, three steps wait for each other and all arrive."""
    barrier = threading.Barrier(3, timeout=20)
    lab.functions["meet"] = barrier.wait
    names = ("a", "b", "c")

    run = lab.run([step(n, "SELECT meet()", transaction="none") for n in names], concurrency=3)

    assert run.state == "done", [record.error for record in run.steps]
    assert {record.worker for record in run.steps} == {0, 1, 2}
    assert len(lab.opened) == 4  # one a worker, and one that stays open


def test_failure_stops_only_what_depends_on_it(lab: Lab, step: Make) -> None:
    """Dependants, near and far, are skipped with the reason; other branches go on."""
    run = lab.run(
        [
            step("bad", "SELECT * FROM nonexistent"),
            step("near", "SELECT 1", after=["bad"]),
            step("far", "SELECT 1", after=["near"]),
            step("other", "CREATE TABLE t (i)"),
            step("beside", "INSERT INTO t VALUES (1)", after=["other"]),
        ]
    )

    assert run.state == "failed"
    assert [record.name for record in run.failed] == ["bad"]
    errors = {record.name: record.error for record in run.steps}
    assert "no such table: nonexistent" in (errors["bad"] or "")
    assert errors["near"] == errors["far"] == "waits for bad, which failed"
    assert _states(run)["beside"] == "done"
    assert lab.query("SELECT * FROM t") == [(1,)]


@pytest.mark.parametrize(("transaction", "rows"), [("step", []), ("none", [(1,)])])
def test_failed_step_is_rolled_back(lab: Lab, step: Make, transaction: str, rows: list[tuple[int]]) -> None:
    """A step that is one transaction leaves nothing behind; one that is none keeps what it did."""
    lab.run(
        [
            step("make", "CREATE TABLE t (i)"),
            step(
                "bad",
                "INSERT INTO t VALUES (1)",
                "INSERT INTO nonexistent VALUES (1)",
                after=["make"],
                transaction=transaction,
            ),
        ]
    )

    assert lab.query("SELECT * FROM t") == rows


def test_check_that_finds_rows_fails_the_step(lab: Lab, step: Make) -> None:
    """The error has the check's message and the first rows, and the step is rolled back."""
    run = lab.run(
        [
            step("make", "CREATE TABLE t (i, s)"),
            step(
                "checked",
                "INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d'),(5,'e'),(6,'f')",
                "CHECK:SELECT i FROM t WHERE i > 100",
                "CHECK:SELECT i, s FROM t",
                after=["make"],
            ),
        ]
    )

    expected = "rows are wrong\n  1, a\n  2, b\n  3, c\n  4, d\n  5, e"
    assert run.failed[0].error == expected
    assert lab.query("SELECT * FROM t") == []


def test_check_that_finds_nothing_passes(lab: Lab, step: Make) -> None:
    """No row means that all is well, and a check counts no rows."""
    run = lab.run([step("checked", "CHECK:SELECT 1 WHERE false")])

    assert (run.state, run.steps[0].rows_affected) == ("done", None)


def _load_step(uri: str) -> BulkLoadStep:
    return BulkLoadStep(
        name="load",
        summary="load",
        origin=Origin(file="workflow.yaml", line=1),
        uri=uri,
        format="csv",
        table=("main", "people"),
        mode="create",
        writes=("work.people",),
        fingerprint="load",
    )


def test_bulk_load_reports_its_numbers(lab: Lab, step: Make) -> None:
    """The record of a load has rows, files and bytes as the connection reports them."""
    (lab.base / "people.csv").write_text("id,name\n1,a\n2,b\n")

    record = lab.run([_load_step("people.csv")]).steps[0]

    numbers = (record.rows_loaded, record.rows_rejected, record.files, record.bytes_read)
    assert numbers == (2, 0, 1, 16)
    assert record.rows_affected == 2


def test_failed_load_is_told(lab: Lab) -> None:
    """What the connection says of a load stands in the record."""
    record = lab.run([_load_step("nothing.csv")]).steps[0]

    assert (record.state, record.error) == ("failed", "no file matches nothing.csv")


def test_dry_run_touches_nothing(lab: Lab, step: Make, listener: Listener) -> None:
    """No connection is opened, no file is written, and every step is in the record."""
    run = lab.run([step("a", "CREATE TABLE t (i)"), step("b", after=["a"])], dry_run=True)

    assert (run.state, _states(run)) == ("dry_run", {"a": "pending", "b": "pending"})
    assert (lab.opened, listener.heard, list(lab.base.iterdir())) == ([], [], [])


def test_record_is_kept_for_its_owner(lab: Lab, step: Make) -> None:
    """The record on disk is the record that is returned, and nobody else can read it."""
    run = lab.run([step("a", "SELECT 1")])

    path = lab.state / "runs.sqlite3"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert lab.runs() == [run]


def test_record_is_kept_while_steps_run(lab: Lab, step: Make) -> None:
    """A run that is killed leaves a record of what it completed until then."""
    kept: list[RunRecord] = []

    def look() -> int:
        limit = time.monotonic() + 20
        while time.monotonic() < limit:
            kept[:] = lab.runs()
            if _states(kept[0])["a"] == "done":
                return 1
            time.sleep(0.05)
        return 0

    lab.functions["look"] = look
    lab.run([step("a", "SELECT 1"), step("b", "CHECK:SELECT 1 WHERE look() = 0", after=["a"])])

    assert _states(kept[0]) == {"a": "done", "b": "running"}
    assert kept[0].state == "running"


def test_events_come_in_order_and_one_at_a_time(lab: Lab, step: Make, listener: Listener) -> None:
    """Each step is told when it starts and ends, a skipped one when it is known to be skipped."""
    steps = [step("bad", "SELECT nothing"), step("behind", after=["bad"])]
    steps += [step(f"s{number}", "SELECT 1") for number in range(20)]
    lab.run(steps, concurrency=4)

    assert listener.heard[0] == ("run_started", "test")
    assert listener.heard[-1] == ("run_finished", "failed")
    assert listener.heard.index(("failed", "bad")) < listener.heard.index(("skipped", "behind"))
    for number in range(20):
        name = f"s{number}"
        assert listener.heard.index(("running", name)) < listener.heard.index(("done", name))
    assert len(listener.heard) == 2 + 2 + 1 + 40


def test_listener_that_fails_only_warns(lab: Lab, step: Make) -> None:
    """A plugin's mistake does not fail the run."""

    class Broken:
        @hookspecs.hookimpl
        def omopcloudetl_step_started(self) -> None:
            raise ValueError("oh no")

    lab.manager.register(Broken())
    with pytest.warns(RuntimeWarning, match="omopcloudetl_step_started.*failed: ValueError"):
        run = lab.run([step("a", "SELECT 1")])

    assert run.state == "done"


def test_ledger_and_table_counts_are_read(lab: Lab, step: Make) -> None:
    """After the steps, the record has the ledger and the rows of each table that was made."""
    run = lab.run(
        [
            step("person", "CREATE TABLE person AS SELECT 1 AS i", writes=["cdm.person"]),
            step("bad", "SELECT nothing", writes=["cdm.death"]),
        ],
        ledger="SELECT 'person', 'written', 'cdm.person', NULL, 1",
        counted={
            "cdm.person": "SELECT count(*) FROM person",
            "cdm.death": "SELECT count(*) FROM person",
            "cdm.note": "SELECT count(*) FROM note",
        },
    )

    assert [(e.mapping, e.entry, e.row_count) for e in run.ledger] == [("person", "written", 1)]
    assert run.table_rows == {"cdm.person": 1}
    assert lab.query("SELECT * FROM maintained") == []


@pytest.mark.parametrize(
    "ledger", ["SELECT * FROM nonexistent", "SELECT 'a', 'unknown entry', NULL, NULL, 1", "SELECT 1"]
)
def test_ledger_that_cannot_be_read_fails_nothing(lab: Lab, step: Make, ledger: str) -> None:
    """A ledger that is missing or odd is left out."""
    run = lab.run([step("a", "SELECT 1")], ledger=ledger)

    assert (run.state, run.ledger) == ("done", [])


def test_ledger_of_a_failed_step_is_not_read(lab: Lab, step: Make) -> None:
    """What an earlier run wrote into the ledger is not told as this run's."""
    ledger = 'SELECT mapping, \'written\', NULL, NULL, 1 FROM "main"."ledger_a"'
    make = "CREATE TABLE ledger_a AS SELECT 'a' AS mapping"
    assert lab.run([step("a", make, writes=["work.ledger_a"])], ledger=ledger).ledger

    run = lab.run([step("a", "SELECT nothing", writes=["work.ledger_a"])], ledger=ledger)
    assert run.ledger == []


def test_connection_that_cannot_be_opened_is_an_error(lab: Lab, step: Make) -> None:
    """Without a database there is no run and no record."""
    (lab.base / "test.db").mkdir()

    with pytest.raises(DatabaseConnectionError, match="unable to open"):
        lab.run([step("a", "SELECT 1")])
    assert lab.runs() == []


def test_record_that_cannot_be_kept_stops_the_run(lab: Lab, step: Make) -> None:
    """Nothing runs when the record has no place."""
    lab.state.write_text("a file where the folder should be")

    with pytest.raises(RunError, match=r"cannot be taken: .*Not a directory"):
        lab.run([step("a", "CREATE TABLE t (i)")])
    assert lab.query("SELECT name FROM sqlite_schema WHERE name = 't'") == []


def test_transient_error_is_tried_again(lab: Lab, step: Make) -> None:
    """A lock that another session holds for a moment fails no step."""
    lab.run([step("make", "CREATE TABLE t (i)")])
    lab.wait = 0.05
    other = lab.connect()
    other.connect()
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()

    run = lab.run([step("a", "INSERT INTO t VALUES (1)")])

    other.close()
    assert run.state == "done"
    assert lab.query("SELECT * FROM t") == [(1,)]


class _Locks:
    """Takes a lock when a step begins."""

    def __init__(self, other: BaseConnection) -> None:
        self.other = other

    @hookspecs.hookimpl
    def omopcloudetl_step_started(self) -> None:
        """Begin a transaction that stays open."""
        self.other.execute("BEGIN IMMEDIATE")


def test_lasting_error_is_given_up(lab: Lab, step: Make) -> None:
    """A lock that stays fails the step after three attempts."""
    lab.wait = 0.01
    other = lab.connect()
    other.connect()
    lab.manager.register(_Locks(other))

    run = lab.run([step("a", "CREATE TABLE t (i)")])

    other.close()
    assert "database is locked" in (run.steps[0].error or "")
    assert len(lab.opened) == 1 + 1 + 3


def test_interrupt_ends_the_run_cleanly(lab: Lab, step: Make, listener: Listener) -> None:
    """Ctrl-C cancels what runs, skips the rest, keeps the record, and is raised again."""

    def interrupt() -> int:
        os.kill(os.getpid(), 2)
        return 1

    lab.functions["interrupt"] = interrupt
    endless = "WITH RECURSIVE r(i) AS (SELECT interrupt() UNION ALL SELECT i + 1 FROM r) INSERT INTO t SELECT i FROM r"
    steps = [
        step("make", "CREATE TABLE t (i)"),
        step("endless", endless, after=["make"]),
        step("later", "SELECT 1", after=["endless"]),
    ]
    with pytest.raises(KeyboardInterrupt):
        lab.run(steps)

    run = lab.runs()[0]
    assert (run.state, run.error) == ("interrupted", "the run was interrupted")
    assert _states(run) == {"make": "done", "endless": "failed", "later": "skipped"}
    assert {record.error for record in run.steps[1:]} == {"the run was interrupted"}
    assert listener.heard[-1] == ("run_finished", "interrupted")
    assert lab.query("SELECT * FROM t") == []


def test_mistake_of_ours_is_recorded_and_raised(lab: Lab, step: Make) -> None:
    """An error that is no `OmopCloudEtlError` is not hidden in the record."""
    bad = step("bad", "SELECT 1").model_copy(update={"statements": None})

    with pytest.raises(TypeError):
        lab.run([bad, step("later", "SELECT 1")])

    run = lab.runs()[0]
    assert (run.state, _states(run)) == ("failed", {"bad": "failed", "later": "skipped"})
    assert "TypeError" in (run.error or "")


def test_two_thousand_short_steps(lab: Lab, step: Make) -> None:
    """A plan of thousands of steps takes seconds of processor time, and no memory that grows with each."""
    steps = [step("s0", "SELECT 1")]
    steps += [step(f"s{n}", "SELECT 1", after=[f"s{n // 2}"]) for n in range(1, 2000)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()

    run = lab.run(steps, concurrency=4)

    assert run.state == "done"
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
    assert len(lab.opened) <= 5


@pytest.mark.parametrize(
    ("counts", "rows"),
    [
        ([], None),
        ([("DELETE FROM t", 9), ("INSERT INTO t SELECT 1", 7)], 7),
        ([("CREATE TABLE s AS SELECT 1", 5), ("insert into t select 1", 7)], 7),
        ([("CREATE TABLE a AS SELECT 1", 5), ("CREATE TABLE b AS SELECT 1", 2)], 7),
        ([("-- why\n/* and\n how */ MERGE INTO t", 3), ("UPDATE t SET i = 1", 1)], 4),
        ([("DELETE FROM t", 9)], None),
    ],
)
def test_rows_written_leave_out_deleted_and_intermediate_rows(counts: list[tuple[str, int]], rows: int | None) -> None:
    """A table that is replaced counts its rows once."""
    assert rows_written(counts) == rows


def test_orchestrator_is_registered() -> None:
    """A target that names `local` gets this orchestrator."""
    assert load_plugins().orchestrator("local").summary.startswith("threads")


def test_only_counted_statements_are_the_result_of_a_step(lab: Lab, step: Make) -> None:
    """Rows of keys and intermediate tables are not among the rows that a step wrote."""
    made = step(
        "a", "CREATE TABLE key (i)", "CREATE TABLE t (i)", "INSERT INTO key VALUES (1)", "INSERT INTO t VALUES (1)"
    )
    statements = [s.model_copy(update={"counted": "INTO key" not in s.sql}) for s in made.statements]

    run = lab.run([made.model_copy(update={"statements": tuple(statements)})])

    assert run.steps[0].rows_affected == 1
    assert lab.query("SELECT count(*) FROM key") == [(1,)]


def test_record_says_where_a_step_comes_from(lab: Lab, step: Make) -> None:
    """Each step's record has the user's line."""
    run = lab.run([step("a", "SELECT 1")])

    assert [record.origin for record in run.steps] == ["workflow.yaml:1"]


def test_queries_that_tell_something_are_kept_in_the_record(lab: Lab, step: Make) -> None:
    """Each row is a text; a warning is one of the run's, a note is not, and neither fails the step."""
    told = [
        Statement(sql="SELECT 'version 7' UNION ALL SELECT NULL", purpose="say the version", reports="note"),
        Statement(sql="SELECT 'no names' WHERE 1 = 1", purpose="look for names", reports="warning"),
        Statement(sql="SELECT 'never' WHERE 1 = 0", purpose="look for nothing", reports="warning"),
    ]
    run = lab.run([step("look").model_copy(update={"statements": tuple(told)})])
    assert (run.state, run.notes(), run.warnings()) == ("done", ["version 7"], ["no names"])
    assert lab.runs()[0].steps[0].warnings == ["no names"]
