"""Runs a plan on a pool of threads and keeps its record."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import DatabaseConnectionError, DatabaseError, OmopCloudEtlError
from omopcloudetl.core.orchestrator import BaseOrchestrator, ExecutionContext
from omopcloudetl.core.plan import CompiledWorkflowPlan, Retry
from omopcloudetl.core.runs import RunRecord, StepRecord, StepState
from omopcloudetl.core.text import one_line
from omopcloudetl.orchestrator_local.completion import Completion
from omopcloudetl.orchestrator_local.interruptions import run_interruptibly
from omopcloudetl.orchestrator_local.journal import SECONDS_BETWEEN_COMMITS, RunJournal
from omopcloudetl.orchestrator_local.lock import Holder, hold, lock_file
from omopcloudetl.orchestrator_local.logs import RunLogger, get_logger
from omopcloudetl.orchestrator_local.outcome import read_outcome
from omopcloudetl.orchestrator_local.retries import open_patiently, work_patiently
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
        execution = _Execution(self.context, plan, run, schedule, journal)

        def work() -> RunRecord:
            holder = Holder.of(run.run_id, run.started_at)
            with hold(lock, run.target, holder) as dead, execution.connected() as connection:
                return execution.execute(connection, resume=resume, dead=dead)

        return run_interruptibly(work, execution.stop)


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
        self._passed_over: set[str] = set()
        self._completion = Completion(plan, run, journal.has)
        completion = self._completion
        self._worker = Worker(self._connect, context.base, completion.step_done, completion.is_done, plan.retry)
        self._connection: BaseConnection | None = None
        self._running: dict[Future[Outcome], Step] = {}
        self._unreachable = False
        self._stopped: Future[None] = Future()
        self._telling = threading.Lock()
        self._thread = threading.local()
        self._numbers = itertools.count()
        self._start = time.perf_counter()
        self._journal = journal
        self._log = RunLogger(log.bind(run_id=run.run_id, plan=plan.name, target=context.target), journal)

    def stop(self) -> None:
        """Interrupt what runs and begin nothing more; any thread may call it, again and again until the end."""
        self._worker.stop()
        if (connection := self._connection) is not None:
            connection.cancel()
        with suppress(InvalidStateError):  # it was told before
            self._stopped.set_result(None)

    def _connect(self) -> BaseConnection:
        """A session of this run, which is not open yet."""
        connection = self._context.connect()
        connection.work_for(self._run.run_id)
        return connection

    @contextmanager
    def connected(self) -> Iterator[BaseConnection]:
        """The run's own connection, open as long as any step runs: an embedded engine is not shut down between."""
        connection = self._connection = self._connect()
        open_patiently(connection, self._plan.retry, self._worker.pause, self._tell_waiting)
        with closing(connection):
            yield connection

    def execute(self, connection: BaseConnection, *, resume: bool, dead: Holder | None) -> RunRecord:
        """Run all steps, then read the outcome; the record is kept whatever happens."""
        died = self._journal.open()
        try:
            self._context.events.run_started(self._plan, self._run)
            pause, tell = self._worker.pause, self._tell_waiting
            self._passed_over = self._completion.begin(connection, resume=resume, pause=pause, on_retry=tell)
            self._log.info("run_started", steps=len(self._plan.steps), passed_over=len(self._passed_over))
            self._tell_who_died(died, dead)
            workers = max(1, self._plan.concurrency)
            connection.share(workers)
            self._run_steps(workers)
            self._conclude(connection)
        except BaseException as error:
            interrupted = self._stopped.done()
            self._run.state = "interrupted" if interrupted else "failed"
            self._run.error = INTERRUPTED if interrupted else repr(error)
            raise
        finally:
            self._run.seconds = time.perf_counter() - self._start
            self._connection = None  # what is noted last is not interrupted
            with ExitStack() as last:  # each of these happens, whatever the others raise
                last.callback(self._context.events.run_finished, self._plan, self._run)
                last.callback(self._journal.close)
                last.callback(self._log.info, "run_finished", state=self._run.state, seconds=self._run.seconds)
                self._completion.end(connection)
        return self._run

    def _tell_who_died(self, runs: list[str], holder: Holder | None) -> None:
        for run_id in runs:
            self._log.warning("earlier_run_died", run=run_id)
        if holder is not None and holder.run_id not in runs:
            self._log.warning("lock_holder_died", run=holder.run_id, process=holder.pid, host=holder.host)

    def _tell_waiting(self, error: BaseException, seconds: float) -> None:
        self._log.warning("connection_tried_again", wait=round(seconds, 2), error=one_line(str(error)))

    def _run_steps(self, workers: int) -> None:
        with ThreadPoolExecutor(workers, "step", self._number_thread) as pool:
            try:
                while self._submit(pool, workers):
                    self._collect()
                if self._worker.is_stopped:
                    self._keep_interrupted()
                    self._abandon()
            except BaseException:
                self._abandon()
                raise
        self._worker.close()

    def _submit(self, pool: ThreadPoolExecutor, workers: int) -> bool:
        """Start what can start; whether there is something to wait for then."""
        if self._worker.is_stopped:
            return False
        while len(self._running) < workers and (step := self._schedule.take()) is not None:
            if step.name in self._passed_over:
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
            return self._worker.run(step, record.attempts, lambda error, wait: self._tell_retry(step, error, wait))
        finally:
            record.seconds, record.finished_at = time.perf_counter() - start, datetime.now(UTC)

    def _tell_retry(self, step: Step, error: BaseException, seconds: float) -> None:
        record = self._records[step.name]
        tries = (self._plan.retry or Retry()).attempts
        details = {"attempt": len(record.attempts), "of": tries, "wait": round(seconds, 2)}
        self._log.warning("step_tried_again", step=step.name, **details, error=one_line(str(error)))
        self._journal.step_retried(record)
        with self._telling:
            self._context.events.step_retried(step, record, seconds)

    def _collect(self) -> None:
        """Wait until a step ends, the run is told to stop, or what changed should be committed."""
        awaited: list[Future[Any]] = [*self._running, self._stopped]
        ended, _ = wait(awaited, SECONDS_BETWEEN_COMMITS, FIRST_COMPLETED)
        for future in [future for future in self._running if future in ended]:
            self._end(self._running.pop(future), future)
        self._journal.commit_if_due()

    def _end(self, step: Step, future: Future[Outcome]) -> None:
        try:
            outcome = future.result()
        except OmopCloudEtlError as error:
            # It was tried again: each other step would wait for it as long.
            self._unreachable = self._unreachable or isinstance(error, DatabaseConnectionError)
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
        is_told_to_stop = self._worker.is_stopped or self._stopped.done()
        why = INTERRUPTED if is_told_to_stop else f"waits for {step.name}, which failed"
        self._skip(self._schedule.drop_dependants(step.name), why)
        if self._unreachable:
            self._skip(self._schedule.drop_all(), "not begun, because the database cannot be reached")
        if self._plan.on_failure == "stop":
            self._skip(self._schedule.drop_all(), f"not begun, because {step.name} failed (`on_failure: stop`)")

    def _skip(self, steps: Iterable[Step], error: str) -> None:
        """Say why steps do not run; what an earlier run completed is there nevertheless."""
        for step in steps:
            self._finish(step, "skipped", None if step.name in self._passed_over else error)

    def _finish(self, step: Step, state: StepState, error: str | None = None) -> None:
        record = self._records[step.name]
        record.state, record.error = state, error
        self._journal.step_finished(record)
        with self._telling:
            self._context.events.step_finished(step, record)

    def _keep_interrupted(self) -> None:
        """Keep at once that the run was interrupted: the engine may take its time, and the process may not have it."""
        self._run.state, self._run.error = "interrupted", INTERRUPTED
        self._journal.keep_interrupted(INTERRUPTED)

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
        self._skip(self._schedule.drop_all(), INTERRUPTED)
        self._worker.close()

    def _conclude(self, connection: BaseConnection) -> None:
        """Read what the run left, unless it is told to stop before the end of that."""
        try:
            if not self._unreachable:
                self._read_outcome(connection)
            if not self._unreachable and not self._stopped.done():
                self._maintain(connection)
        except DatabaseConnectionError as error:
            self._run.error = str(error)
        if self._stopped.done():
            self._run.state, self._run.error = "interrupted", INTERRUPTED
        else:
            self._run.state = "failed" if self._run.failed or self._run.error else "done"

    def _read_outcome(self, connection: BaseConnection) -> None:
        def read() -> None:
            read_outcome(self._plan, self._run, connection, self._log, self._stopped.done)

        # The session was idle as long as the steps ran: a server may have come and gone since.
        work_patiently(connection, self._plan.retry, self._worker.pause, self._tell_waiting, read)

    def _maintain(self, connection: BaseConnection) -> None:
        try:
            connection.post_load_maintenance()
        except DatabaseConnectionError:
            raise  # the database is not there any more, and what the steps did neither
        except DatabaseError as error:
            self._log.warning("maintenance_failed", error=str(error))


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
