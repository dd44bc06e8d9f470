"""A plan of a few steps, its run, and a real OpenLineage server on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, LoadColumn, Origin, SqlStep, Statement
from omopcloudetl.core.runs import RunRecord, StepRecord

Event = dict[str, Any]
ORIGIN = Origin(file="mappings/person.yaml", line=3)


def sql_step(name: str, *statements: str, reads: tuple[str, ...] = (), writes: tuple[str, ...] = ()) -> SqlStep:
    """A step of some statements, all of them counted."""
    made = tuple(Statement(sql=sql, purpose="test") for sql in statements)
    return SqlStep(name=name, summary=f"do {name}", reads=reads, writes=writes, origin=ORIGIN, statements=made)


def load_step() -> BulkLoadStep:
    """A load of patients."""
    return BulkLoadStep(
        name="load",
        summary="load source.patients",
        writes=("source.patients",),
        origin=Origin(file="workflow.yaml", line=9),
        uri="data/patients.csv",
        format="csv",
        table=("raw", "patients"),
        mode="create",
        columns=(LoadColumn(name="Id", type="text"), LoadColumn(name="Gender", other_names=("Sex",))),
    )


def a_plan(*steps: SqlStep | BulkLoadStep) -> CompiledWorkflowPlan:
    """A plan of these steps."""
    return CompiledWorkflowPlan(
        name="clinic",
        cdm_version="5.4",
        provider="duckdb",
        dialect="duckdb",
        schemas={"source": "raw", "cdm": "omop", "work": "scratch", "vocab": "vocab"},
        steps=steps,
    ).sealed()


def a_run(plan: CompiledWorkflowPlan) -> RunRecord:
    """The record of a run that begins."""
    return RunRecord(
        run_id="20260101T000000-abcdef",
        name=plan.name,
        plan_hash=plan.content_hash,
        target="local",
        provider=plan.provider,
        cdm_version=plan.cdm_version,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        steps=[StepRecord(name=step.name, kind=step.kind, fingerprint="") for step in plan.steps],
    )


def read_events(path: Path) -> list[Event]:
    """The events that a file has."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@dataclass
class Server:
    """An OpenLineage server that keeps what it is sent, and answers as it is told."""

    status: int = 201
    delay: float = 0.0
    got: list[Event] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving() -> Iterator[Server]:
    """A real HTTP server in a thread."""
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(made.delay)
            made.authorizations.append(self.headers["Authorization"])
            if made.status < 300:
                made.got.append(json.loads(body))
            try:
                self.send_response(made.status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                return  # the client went away

        def log_message(self, *_: object) -> None:
            return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    made.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def tell_whole_run(plan: CompiledWorkflowPlan, run: RunRecord, hooks: Any) -> None:
    """Call the hooks as an orchestrator does for a run that goes well."""
    hooks.omopcloudetl_run_started(plan, run)
    for step, record in zip(plan.steps, run.steps, strict=True):
        record.state, record.started_at = "running", datetime.now(UTC)
        hooks.omopcloudetl_step_started(step, record)
        record.state, record.seconds, record.rows_affected = "done", 0.1, 7
        if record.kind == "bulk_load":
            record.rows_loaded, record.rows_rejected, record.bytes_read, record.files = 7, 1, 100, 1
        hooks.omopcloudetl_step_finished(step, record)
    run.state, run.seconds = "done", 0.2
    hooks.omopcloudetl_run_finished(run)
