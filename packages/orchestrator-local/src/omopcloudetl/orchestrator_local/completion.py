"""Writes into the target which steps of a run are complete: a step's row in the step's own transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from omopcloudetl.core.connection import BaseConnection, RecordValue
from omopcloudetl.core.errors import DatabaseError, RunError
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, RunTables, SqlStep
from omopcloudetl.core.run_tables import (
    BETWEEN_TABLES,
    RUN_COLUMNS,
    RUN_KEY,
    RUN_TABLES,
    STEP_COLUMNS,
    STEP_KEY,
    RecordedState,
)
from omopcloudetl.core.runs import RunRecord, RunState, StepState
from omopcloudetl.orchestrator_local.dead_sessions import end_dead_sessions, end_sessions, refuse_live_sessions
from omopcloudetl.orchestrator_local.logs import get_logger
from omopcloudetl.orchestrator_local.resume import MANY_STEPS, completed_steps, filled_tables, read_earlier
from omopcloudetl.orchestrator_local.retries import OnRetry, Pause, work_patiently
from omopcloudetl.orchestrator_local.worker import Outcome

Step = SqlStep | BulkLoadStep
MANY_RUNS = 100_000
AT_ONCE = 500
"""Rows of one statement at the end of a run."""
DIED: RunState = "died"
DONE: StepState = "done"

log = get_logger(__name__)


class Completion:
    """The rows of one run in the target's `work.etl_run` and `work.etl_step`; none where the plan names no tables."""

    def __init__(self, plan: CompiledWorkflowPlan, run: RunRecord, is_dead: Callable[[str], bool]) -> None:
        """Hand over how to know that another run of the target is dead."""
        self._plan = plan
        self._run = run
        self._is_dead = is_dead
        self._records = {record.name: record for record in run.steps}
        self._number = 0
        self._tries = 0
        self._has_begun = False
        self._passed_over: set[str] = set()
        self._planned: set[str] = set()
        self._noted: set[str] = set()
        """Steps that have their last row."""

    def begin(self, connection: BaseConnection, *, resume: bool, pause: Pause, on_retry: OnRetry) -> set[str]:
        """Note that the run begins, and return the names of the steps that it need not run.

        What is transient is tried again as the workflow says; `pause` waits, `on_retry` is told.

        Raises:
            RunError: The tables cannot be made, read or written.
        """
        tables = self._plan.run_tables
        if tables is None:
            if resume:
                raise RunError("this plan names no tables in which runs note what is done; compile it again")
            return set()

        def begin() -> None:
            self._begin(tables, connection, resume=resume, pause=pause)

        try:
            work_patiently(connection, self._plan.retry, pause, on_retry, begin)
        except DatabaseError as error:
            raise RunError(
                f"what is done cannot be noted in {_named(tables)}: {error}\n"
                "  the target's user must be able to make, read and write tables in the schema for work"
            ) from error
        return self._passed_over

    def _begin(self, tables: RunTables, connection: BaseConnection, *, resume: bool, pause: Pause) -> None:
        self._tries += 1
        end_dead_sessions(connection, self._is_dead)
        _make(tables, connection)
        unfinished = self._unfinished_ids(tables, connection)
        if dead := {run for run in unfinished if self._is_dead(run)}:
            # Not every server lists its sessions; what they did until now may be their last row here.
            end_sessions(connection, dead)
            unfinished = self._unfinished_ids(tables, connection)
        refuse_live_sessions(connection, self._run.target, unfinished, pause)
        if resume:
            self._passed_over = completed_steps(self._plan, read_earlier(tables, connection), connection)
        with connection.transaction():
            self._note_beginning(tables, connection)
        self._has_begun = True

    def _unfinished(self, tables: RunTables, connection: BaseConnection) -> list[dict[str, object]]:
        """The rows of earlier runs of this project's target, whose lock this run has, that did not end."""
        rows = [
            dict(zip(RUN_COLUMNS, row, strict=True))
            for row in connection.fetch(tables.unfinished_runs, limit=MANY_RUNS)
        ]
        ours = (self._plan.name, self._run.target, self._run.run_id)
        return [row for row in rows if (row["project"], row["target"]) == ours[:2] and row["run_id"] != ours[2]]

    def _unfinished_ids(self, tables: RunTables, connection: BaseConnection) -> set[str]:
        return {str(row["run_id"]) for row in self._unfinished(tables, connection)}

    def step_done(self, step: Step, connection: BaseConnection, outcome: Outcome) -> None:
        """Note that a step is complete; called in its own transaction, or right after it where it is none.

        A step that makes no table always runs, so that its row proves nothing and can wait for the end.
        """
        tables = self._plan.run_tables
        if tables is None or not (isinstance(step, BulkLoadStep) or step.writes):
            return
        row = self._step_row(step, DONE, outcome)
        if step.name in self._planned:
            with connection.transaction():
                connection.record(tables.steps, list(STEP_COLUMNS), [row], replacing=STEP_KEY)
        else:
            # A commit whose answer was lost may have left the row of the attempt before.
            again = STEP_KEY if len(self._records[step.name].attempts) > 1 else ()
            connection.record(tables.steps, list(STEP_COLUMNS), [row], replacing=again)
        self._noted.add(step.name)

    def is_done(self, step: Step, connection: BaseConnection) -> bool:
        """Whether the database has the row that says that this run completed the step."""
        if (tables := self._plan.run_tables) is None:
            return False
        rows = connection.fetch(tables.steps_since, limit=MANY_STEPS)
        return (self._run.run_id, step.name, DONE) in {(row[0], row[1], row[3]) for row in rows}

    def end(self, connection: BaseConnection) -> None:
        """Note how the run ended, and the steps that are not noted yet; the database may be out of reach by now."""
        tables = self._plan.run_tables
        if tables is None or not self._has_begun:
            return
        left = [
            step
            for step in self._plan.steps
            if step.name not in self._passed_over
            and (self._records[step.name].state != "done" or step.name not in self._noted)
        ]
        try:
            with connection.transaction():
                for first in range(0, len(left), AT_ONCE):
                    some = [
                        self._step_row(step, self._records[step.name].state) for step in left[first : first + AT_ONCE]
                    ]
                    connection.record(tables.steps, list(STEP_COLUMNS), some, replacing=STEP_KEY)
                row = self._run_row(_plain(datetime.now(UTC)))
                connection.record(tables.runs, list(RUN_COLUMNS), [row], replacing=RUN_KEY)
        except DatabaseError as error:
            log.warning("end_not_noted", run_id=self._run.run_id, error=str(error))

    def _note_beginning(self, tables: RunTables, connection: BaseConnection) -> None:
        last = connection.fetch(tables.last_number, limit=1)[0][0]
        self._number = 1 if last is None else int(str(last)) + 1
        rows = [_with_state(row, DIED) for row in self._unfinished(tables, connection)]
        begun = []
        for step in self._plan.steps:
            if step.name in self._passed_over:
                begun.append(self._step_row(step, "passed_over"))
            elif step.transaction == "none":
                self._planned.add(step.name)
                begun.append(self._step_row(step, "planned"))
        # The run comes last: where the engine has no transactions, there is no run whose steps are missing.
        if begun:
            # A commit whose answer was lost may have left the rows of the try before.
            again = STEP_KEY if self._tries > 1 else ()
            connection.record(tables.steps, list(STEP_COLUMNS), begun, replacing=again)
        connection.record(tables.runs, list(RUN_COLUMNS), [*rows, self._run_row(None)], replacing=RUN_KEY)

    def _run_row(self, finished_at: datetime | None) -> list[RecordValue]:
        run = self._run
        states = Counter(
            "passed_over" if step.name in self._passed_over else step.state for step in self._records.values()
        )
        row: dict[str, RecordValue] = {
            "run_id": run.run_id,
            "run_number": self._number,
            "project": self._plan.name,
            "workflow": self._plan.run_tables.workflow if self._plan.run_tables else None,
            "target": run.target,
            "plan_hash": run.plan_hash,
            "provider": run.provider,
            "cdm_version": run.cdm_version,
            "state": run.state,
            "started_at": _plain(run.started_at),
            "finished_at": finished_at,
            "steps": len(run.steps),
            "steps_done": states["done"],
            "steps_passed_over": states["passed_over"],
            "steps_failed": states["failed"],
            "steps_skipped": states["skipped"],
        }
        return [row[name] for name in RUN_COLUMNS]

    def _step_row(
        self, step: Step, state: RecordedState | StepState, outcome: Outcome | None = None
    ) -> list[RecordValue]:
        record = self._records[step.name]
        did = outcome or record
        row: dict[str, RecordValue] = {
            "run_id": self._run.run_id,
            "run_number": self._number,
            "step": step.name,
            "kind": step.kind,
            "fingerprint": step.fingerprint,
            "state": state,
            "attempts": len(record.attempts) or None,
            "started_at": _plain(record.started_at) if record.started_at else None,
            "finished_at": _plain(record.finished_at or datetime.now(UTC)) if record.started_at else None,
            "rows_written": did.rows_affected,
            "rows_loaded": did.rows_loaded,
            "rows_rejected": did.rows_rejected,
            "tables_written": BETWEEN_TABLES.join(sorted(filled_tables(step, self._plan))),
        }
        return [row[name] for name in STEP_COLUMNS]


def _make(tables: RunTables, connection: BaseConnection) -> None:
    """Make what is not there, and refuse tables of these names that are none of ours."""
    asked = ((tables.runs, RUN_COLUMNS), (tables.steps, STEP_COLUMNS))
    if not all(connection.columns(table) for table, _ in asked):
        for statement in tables.statements:
            connection.execute(statement.sql)
    for logical, (table, columns) in zip(RUN_TABLES, asked, strict=True):
        found = {name.lower() for name, _ in connection.columns(table)}
        missing = [name for name in columns if name not in found]
        if missing:
            raise RunError(
                f"{'.'.join(table)} is not the table in which runs note what is done: it has no column"
                f" {', '.join(missing)}; rename or drop it, and the next run makes {logical} anew"
            )


def _named(tables: RunTables) -> str:
    return f"{'.'.join(tables.runs)} and {'.'.join(tables.steps)}"


def _with_state(row: dict[str, object], state: str) -> list[RecordValue]:
    found = row | {"state": state}
    return [value if isinstance(value, int | datetime) or value is None else str(value) for value in found.values()]


def _plain(time: datetime) -> datetime:
    """In UTC and without its zone, as the columns are."""
    return time.astimezone(UTC).replace(tzinfo=None)
