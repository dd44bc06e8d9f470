"""Runs a plan on a pool of threads and keeps its record."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from datetime import UTC, datetime

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import DatabaseError, OmopCloudEtlError
from omopcloudetl.core.orchestrator import BaseOrchestrator, ExecutionContext
from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.runs import RunRecord, StepRecord, StepState
from omopcloudetl.orchestrator_local.journal import SECONDS_BETWEEN_COMMITS, RunJournal
from omopcloudetl.orchestrator_local.lock import Holder, hold, lock_file
from omopcloudetl.orchestrator_local.logs import RunLogger, get_logger
from omopcloudetl.orchestrator_local.outcome import read_outcome
from omopcloudetl.orchestrator_local.resume import completed_steps
from omopcloudetl.orchestrator_local.schedule import Schedule, Step
from omopcloudetl.orchestrator_local.worker import INTERRUPTED, Outcome, Worker

SECONDS_TO_CANCEL = 0.5

log = get_logger(__name__)


class LocalOrchestrator(BaseOrchestrator):
    """Runs steps on threads of this process, as many at a time as the plan's `concurrency` says.

    Steps start in the plan's order. A transient error is tried again. In the record, a step that is
    `skipped` without an error was completed by an earlier run and passed over by `resume`.
    """

    def execute_plan(self, plan: CompiledWorkflowPlan, *, dry_run: bool = False, resume: bool = False) -> RunRecord:
        """Run every step; see `BaseOrchestrator.execute_plan`."""
        run = _new_record(plan, self.context.target)
        schedule = Schedule(plan.steps)
        if dry_run:
            run.state, run.seconds = "dry_run", 0.0
            return run
        lock = lock_file(self.context.lock_folder or self.context.state, run.target)
        journal = RunJournal(self.context.state, run, plan, lock)
        with (
            hold(lock, run.target, Holder.of(run.run_id, run.started_at)) as dead,
            # Open from the first step to the last, so that an embedded engine is not shut down between.
            self.context.connect() as connection,
        ):
            return _Execution(self.context, plan, run, schedule, journal).execute(connection, resume=resume, dead=dead)


class _Execution:
    """One run: its record, its threads, its events."""

    def __init__(
        self,
        context: ExecutionContext,
        plan: CompiledWorkflowPlan,
        run: RunRecord,
        schedule: Schedule,
        journal: RunJournal,
    ) -> None:
        self._context = context
        self._plan = plan
        self._run = run
        self._schedule = schedule
        self._records = {record.name: record for record in run.steps}
        self._worker = Worker(context.connect, context.base)
        self._running: dict[Future[Outcome], Step] = {}
        self._telling = threading.Lock()
        self._thread = threading.local()
        self._numbers = itertools.count()
        self._start = time.perf_counter()
        self._journal = journal
        self._log = RunLogger(log.bind(run_id=run.run_id, plan=plan.name, target=context.target), journal)

    def execute(self, connection: BaseConnection, *, resume: bool, dead: Holder | None) -> RunRecord:
        """Run all steps, then read the outcome; the record is kept whatever happens."""
        passed_over = (
            completed_steps(self._plan, self._context.state, self._context.target, connection) if resume else set()
        )
        died = self._journal.open()
        try:
            self._log.info("run_started", steps=len(self._plan.steps), passed_over=len(passed_over))
            self._tell_who_died(died, dead)
            self._context.events.run_started(self._plan, self._run)
            workers = max(1, self._plan.concurrency)
            connection.share(workers)
            self._run_steps(workers, passed_over)
            self._conclude(connection)
        except BaseException as error:
            is_interrupt = isinstance(error, KeyboardInterrupt)
            self._run.state = "failed"
            self._run.error = INTERRUPTED if is_interrupt else repr(error)
            raise
        finally:
            self._run.seconds = time.perf_counter() - self._start
            self._log.info("run_finished", state=self._run.state, seconds=self._run.seconds)
            self._journal.close()
            self._context.events.run_finished(self._plan, self._run)
        return self._run

    def _tell_who_died(self, runs: list[str], holder: Holder | None) -> None:
        for run_id in runs:
            self._log.warning("earlier_run_died", run=run_id)
        if holder is not None and holder.run_id not in runs:
            self._log.warning("lock_holder_died", run=holder.run_id, process=holder.pid, host=holder.host)

    def _run_steps(self, workers: int, passed_over: set[str]) -> None:
        with ThreadPoolExecutor(workers, "step", self._number_thread) as pool:
            try:
                while self._submit(pool, workers, passed_over):
                    self._collect()
            except BaseException:
                self._abandon()
                raise
        self._worker.close()

    def _submit(self, pool: ThreadPoolExecutor, workers: int, passed_over: set[str]) -> bool:
        """Start what can start; whether anything is running then."""
        while len(self._running) < workers and (step := self._schedule.take()) is not None:
            if step.name in passed_over:
                self._finish(step, "skipped")
                self._schedule.done(step.name)
            else:
                self._running[pool.submit(self._work, step)] = step
        return bool(self._running)

    def _number_thread(self) -> None:
        self._thread.number = next(self._numbers)

    def _work(self, step: Step) -> Outcome:
        """What a thread does for a step."""
        record = self._records[step.name]
        record.state, record.started_at, record.worker = "running", datetime.now(UTC), self._thread.number
        self._journal.step_started(record)
        with self._telling:
            self._context.events.step_started(step, record)
        start = time.perf_counter()
        try:
            return self._worker.run(step)
        finally:
            record.seconds, record.finished_at = time.perf_counter() - start, datetime.now(UTC)

    def _collect(self) -> None:
        """Wait until a step ends, or until what changed should be committed."""
        ended, _ = wait(self._running, SECONDS_BETWEEN_COMMITS, FIRST_COMPLETED)
        for future in [future for future in self._running if future in ended]:
            self._end(self._running.pop(future), future)
        self._journal.commit_if_due()

    def _end(self, step: Step, future: Future[Outcome]) -> None:
        try:
            outcome = future.result()
        except OmopCloudEtlError as error:
            self._fail(step, str(error))
            return
        except Exception as error:
            self._fail(step, repr(error))
            raise
        record = self._records[step.name]
        for name, value in asdict(outcome).items():
            setattr(record, name, list(value) if isinstance(value, tuple) else value)
        self._finish(step, "done")
        self._schedule.done(step.name)

    def _fail(self, step: Step, error: str) -> None:
        self._log.error("step_failed", step=step.name, error=error.split("\n", 1)[0])
        self._finish(step, "failed", error)
        for dependant in self._schedule.drop_dependants(step.name):
            self._finish(dependant, "skipped", f"waits for {step.name}, which failed")

    def _finish(self, step: Step, state: StepState, error: str | None = None) -> None:
        record = self._records[step.name]
        record.state, record.error = state, error
        self._journal.step_finished(record)
        with self._telling:
            self._context.events.step_finished(step, record)

    def _abandon(self) -> None:
        """Stop what runs, and say of the rest that it did not run."""
        self._worker.stop()
        while wait(self._running, SECONDS_TO_CANCEL).not_done:
            self._worker.stop()  # a statement may have started in the very moment of the first
        for future, step in self._running.items():
            error = future.exception()
            if error is None:
                self._end(step, future)
            else:
                self._finish(step, "failed", str(error))
        for step in self._schedule.drop_all():
            self._finish(step, "skipped", INTERRUPTED)
        self._worker.close()

    def _conclude(self, connection: BaseConnection) -> None:
        read_outcome(self._plan, self._run, connection, self._log)
        try:
            connection.post_load_maintenance()
        except DatabaseError as error:
            self._log.warning("maintenance_failed", error=str(error))
        self._run.state = "failed" if self._run.failed else "done"


def _new_record(plan: CompiledWorkflowPlan, target: str) -> RunRecord:
    now = datetime.now(UTC)
    return RunRecord(
        run_id=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        name=plan.name,
        plan_hash=plan.content_hash,
        target=target,
        provider=plan.provider,
        cdm_version=plan.cdm_version,
        started_at=now,
        steps=[_new_step(step) for step in plan.steps],
    )


def _new_step(step: Step) -> StepRecord:
    origin = f"{step.origin.file}:{step.origin.line}"
    return StepRecord(name=step.name, kind=step.kind, fingerprint=step.fingerprint, origin=origin)
