"""A plugin as a stranger would write it: a provider, an orchestrator and every other hook, real and small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from omopcloudetl.core.capabilities import FULL, Capability
from omopcloudetl.core.connection import BaseConnection, ExecutionMetrics, LoadMetrics, RecordValue, Row
from omopcloudetl.core.errors import RunError
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.orchestrator import BaseOrchestrator
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep
from omopcloudetl.core.registrations import Orchestrator, Provider, SecretsProvider, Settings
from omopcloudetl.core.run_store import BaseRunStore, LogEntry
from omopcloudetl.core.runs import RunRecord, StepRecord

RUN, PLAN = "acme_run.json", "acme_plan.json"
EVENTS: list[str] = []
"""What the event hooks heard, in order."""


class AcmeGenerator(BaseSQLGenerator):
    """The dialect `duckdb`, which sqlglot knows without the engine."""

    dialect = "duckdb"
    types = {
        "integer": "INTEGER",
        "bigint": "BIGINT",
        "float": "DOUBLE",
        "number": "DOUBLE",
        "date": "DATE",
        "datetime": "TIMESTAMP",
        "timestamp": "TIMESTAMP",
        "varchar": "VARCHAR",
        "text": "VARCHAR",
        "boolean": "BOOLEAN",
    }
    capabilities = dict.fromkeys(Capability, FULL)


class AcmeConnection(BaseConnection):
    """A session with a log: what it is told to run, it writes down."""

    def __init__(self, settings: Settings, base: Path) -> None:
        self.settings, self.base = settings, base
        self.log: list[str] = []

    def connect(self) -> None:
        """Open the log."""
        self.log.append("connect")

    def close(self) -> None:
        """Close the log."""
        self.log.append("close")

    def execute(self, sql: str) -> ExecutionMetrics:
        """Write the statement down."""
        self.log.append(sql)
        return ExecutionMetrics(0.0, 1)

    def fetch(self, sql: str, *, limit: int = 10_000) -> list[Row]:
        """Nothing is stored, so there is nothing to fetch."""
        self.log.append(sql)
        return []

    def record(
        self,
        table: Sequence[str],
        columns: Sequence[str],
        rows: Sequence[Sequence[RecordValue]],
        *,
        replacing: Sequence[str] = (),
    ) -> None:
        """Write the rows down."""
        self.log += [f"{'.'.join(table)} {row}" for row in rows]

    def bulk_load(self, load: BulkLoadStep, *, base: Path) -> LoadMetrics:
        """Write the URI down."""
        self.log.append(load.uri)
        return LoadMetrics(0.0, 1, 0, 1, None)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Mark begin and end."""
        self.log.append("begin")
        yield
        self.log.append("commit")

    def table_exists(self, table: Sequence[str]) -> bool:
        """No table does."""
        return False

    def columns(self, table: Sequence[str]) -> list[tuple[str, str]]:
        """No table has any."""
        return []

    def post_load_maintenance(self) -> None:
        """Nothing to maintain."""

    def is_transient(self, error: BaseException) -> bool:
        """No error is."""
        return False


class AcmeOrchestrator(BaseOrchestrator):
    """Walks the plan in its order and tells the events, one of each kind for a step."""

    def execute_plan(self, plan: CompiledWorkflowPlan, *, dry_run: bool = False, resume: bool = False) -> RunRecord:
        """Every step is done; with `dry_run` none is begun."""
        records = [StepRecord(name=step.name, kind=step.kind, fingerprint=step.fingerprint) for step in plan.steps]
        run = RunRecord(
            run_id="1",
            name=plan.name,
            plan_hash=plan.content_hash,
            target=self.context.target,
            provider=plan.provider,
            cdm_version=plan.cdm_version,
            state="dry_run" if dry_run else "done",
            started_at=datetime(2020, 1, 1, tzinfo=UTC),
            steps=records,
        )
        self.context.events.run_started(plan, run)
        for step, record in zip(plan.steps, records, strict=True):
            if not dry_run:
                self.context.events.step_started(step, record)
                self.context.events.step_retried(step, record, 0.0)
                self.context.events.step_finished(step, record)
        self.context.events.run_finished(plan, run)
        if not dry_run:
            self.context.state.mkdir(exist_ok=True)
            (self.context.state / RUN).write_text(run.model_dump_json())
            (self.context.state / PLAN).write_text(plan.to_json())
        return run


class AcmeRunStore(BaseRunStore):
    """The last run and its plan, in two files."""

    def run_ids(self) -> list[str]:
        """At most one."""
        return ["1"] if (self.state / RUN).exists() else []

    def read_run(self, run_id: str) -> RunRecord:
        """The last run."""
        try:
            return RunRecord.model_validate_json((self.state / RUN).read_bytes())
        except ValueError as error:
            raise RunError(f"{RUN} is no run record: {error}") from error

    def plan_of(self, run_id: str) -> CompiledWorkflowPlan:
        """Its plan."""
        return CompiledWorkflowPlan.from_json((self.state / PLAN).read_text())

    def log_of(self, run_id: str) -> list[LogEntry]:
        """A line for its end."""
        return [LogEntry(at=datetime(2020, 1, 1, tzinfo=UTC), event="run_finished", details={"state": "done"})]


class AcmeCommand:
    """Stands for a Click command, which core does not need."""

    name = "acme-hello"


def _check(settings: Settings) -> list[tuple[str, str]]:
    return [(key, "is no setting of acme") for key in settings if key not in {"path", "password"}]


@hookimpl
def omopcloudetl_register_providers() -> Sequence[Provider]:
    """The provider `acme`."""
    return [Provider("acme", "a database of Acme", AcmeGenerator, AcmeConnection, _check)]


@hookimpl
def omopcloudetl_register_orchestrators() -> Sequence[Orchestrator]:
    """The orchestrator `acme`."""
    return [Orchestrator("acme", "one step after the other", AcmeOrchestrator, AcmeRunStore)]


@hookimpl
def omopcloudetl_register_secrets_providers() -> Sequence[SecretsProvider]:
    """A vault with one secret."""
    return [SecretsProvider("vault", 5, {"vault_key": "open sesame"}.get)]


@hookimpl
def omopcloudetl_register_resources() -> Path:
    """The CDM specification 9.9, which exists nowhere else."""
    return Path(__file__).parent / "resources"


@hookimpl
def omopcloudetl_register_commands() -> Sequence[AcmeCommand]:
    """One command."""
    return [AcmeCommand()]


@hookimpl
def omopcloudetl_run_started(plan: CompiledWorkflowPlan, run: RunRecord) -> None:
    """Note the plan and the target."""
    EVENTS.append(f"run_started {plan.name} {run.target}")


@hookimpl
def omopcloudetl_step_started(step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
    """Note the step and its state."""
    EVENTS.append(f"step_started {step.name} {record.state}")


@hookimpl
def omopcloudetl_step_retried(step: SqlStep | BulkLoadStep, record: StepRecord, wait: float) -> None:
    """Note the step and how long it waits."""
    EVENTS.append(f"step_retried {step.name} {wait:.0f}")


@hookimpl
def omopcloudetl_step_finished(step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
    """Note the step and its state."""
    EVENTS.append(f"step_finished {step.name} {record.state}")


@hookimpl
def omopcloudetl_run_finished(plan: CompiledWorkflowPlan, run: RunRecord) -> None:
    """Note the plan and the state."""
    EVENTS.append(f"run_finished {plan.name} {run.state}")
