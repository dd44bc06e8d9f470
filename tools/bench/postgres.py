"""Budgets on PostgreSQL: a run takes at most 1.05 times its SQL by hand, a vocabulary at most 1.1 times plain `COPY`.

The server is one of its own, started as the tests start theirs, with `fsync` as a hospital has it. By hand is one
session of psycopg that sends the same statements in the same transactions, without looks at files, rows about the run,
and retries.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg

from omopcloudetl.cli.logs import configure_logs
from omopcloudetl.cli.options import RunOptions
from omopcloudetl.core.connection import ExecutionMetrics
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan
from omopcloudetl.core.session import Session
from omopcloudetl.provider_postgres.config import PostgresConfig
from omopcloudetl.provider_postgres.engine import PostgresConnection
from tools.bench.measure import Options, Result
from tools.bench.postgres_servers import Server, own_server
from tools.bench.synthea import copied_source, make_project, shipped_source

BUDGET = 1.05
VOCABULARY_BUDGET = 1.1
PAIRS = 5
DATABASE = "bench"
CONCEPTS = (1_000_000, 5_000_000)
"""The second is what a hospital fetches; the statistics behind the load take the same time for any number."""
COLUMNS = (
    "concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_class_id", "standard_concept", "concept_code",
    "valid_start_date", "valid_end_date", "invalid_reason",
)  # fmt: skip
PROJECT = """
name: vocabulary
targets:
  pg:
    provider: postgres
    connection: {{host: 127.0.0.1, port: {port}, dbname: bench, user: postgres, password: "{password}"}}
"""
WORKFLOW = """
name: vocabulary
steps:
  - {name: tables, kind: ddl, schema: vocab}
  - name: vocabulary
    kind: bulk_load
    schema: vocab
    from: data
    format: athena
    tables: {concept: CONCEPT.csv}
"""


class Recorder(PostgresConnection):
    """Keeps the text of every statement that the server accepted."""

    def __init__(self, config: PostgresConfig, base: Path) -> None:
        super().__init__(config, base)
        self.script: list[str] = []

    def execute(self, sql: str) -> ExecutionMetrics:
        """Run a statement, then keep its text."""
        metrics = super().execute(sql)
        self.script.append(sql)
        return metrics

    def _end(self, statement: str) -> None:
        super()._end(statement)
        self.script.append(statement)


def measure(options: Options) -> Iterator[Result]:
    """Time pairs of run and script, each in an empty database; the ratio is the median pair's."""
    configure_logs(RunOptions())
    with own_server() as server:
        yield from _runs(server, options)
        for concepts in (10_000,) if options.quick else CONCEPTS:
            yield _vocabulary(server, options, concepts)


def _runs(server: Server, options: Options) -> Iterator[Result]:
    source = shipped_source() if options.quick else copied_source(replace(options, source="csv"), options.copies)
    root = make_project(server.files / "project", source)
    text = (root / "project.yaml").read_text("utf-8")
    (root / "project.yaml").write_text(_only_target(text, server), "utf-8")
    session = Session.open(root)
    plan = session.compile()
    script = _rehearse(server, session, plan)
    for concurrency in sorted({1, plan.concurrency}):
        wanted = plan.model_copy(update={"concurrency": concurrency}).sealed()
        pairs = _pairs(options, server, partial(_run, session, wanted), partial(_send, server, script))
        yield _result(f"postgres by_hand concurrency {concurrency}", BUDGET, pairs, source.note)


def _vocabulary(server: Server, options: Options, rows: int) -> Result:
    root = server.files / f"vocabulary-{rows}"
    folder = root / "data"
    folder.mkdir(parents=True)
    with (folder / "CONCEPT.csv").open("w", encoding="utf-8") as file:
        file.write("\t".join(COLUMNS) + "\n")
        for number in range(1, rows + 1):
            name = f"a clinical finding of number {number}"
            file.write(f"{number}\t{name}\tCondition\tSNOMED\tFinding\tS\t{number}\t20020131\t20991231\t\n")
    (root / "project.yaml").write_text(PROJECT.format(port=server.port, password=server.password))
    (root / "workflow.yaml").write_text(WORKFLOW)
    session = Session.open(root)
    plan = session.compile()
    load = next(step for step in plan.steps if isinstance(step, BulkLoadStep))
    _rehearse(server, session, plan)
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    spelled = r"FORMAT csv, DELIMITER E'\t', QUOTE E'\x01', HEADER, ENCODING 'UTF8'"
    copied = f"COPY vocab.concept ({columns}) FROM '{folder}/CONCEPT.csv' WITH ({spelled})"
    copy = ("BEGIN", "TRUNCATE vocab.concept", copied, "COMMIT")

    def ours() -> None:
        with Recorder(server.config(DATABASE), root) as connection:
            connection.bulk_load(load, base=root)

    pairs = _pairs(options, server, ours, partial(_send, server, copy), fresh=False)
    return _result(f"postgres vocabulary {rows:,} concepts", VOCABULARY_BUDGET, pairs, "")


def _only_target(project: str, server: Server) -> str:
    before, _, _ = project.partition("targets:")
    target = PROJECT.format(port=server.port, password=server.password).partition("targets:")[2]
    return f"{before}targets:{target}"


def _rehearse(server: Server, session: Session, plan: CompiledWorkflowPlan) -> list[str]:
    server.empty(DATABASE)
    with Recorder(server.config(DATABASE), session.root) as connection:
        for step in plan.steps:
            if isinstance(step, BulkLoadStep):
                connection.bulk_load(step, base=session.root)
                continue
            with connection.transaction() if step.transaction == "step" else nullcontext():
                for statement in step.statements:
                    connection.execute(statement.sql)
        for query in filter(None, (plan.ledger, *plan.counted_tables.values())):
            connection.execute(query)
        return connection.script


def _pairs(
    options: Options, server: Server, ours: Callable[[], None], by_hand: Callable[[], None], *, fresh: bool = True
) -> list[tuple[float, float]]:
    """Seconds of both, one after the other, the first one changing."""
    found = []
    for number in range(2 if options.quick else PAIRS):
        seconds = {}
        for name, what in [("ours", ours), ("by_hand", by_hand)][:: 1 if number % 2 else -1]:
            if fresh:
                server.empty(DATABASE)
            start = time.perf_counter()
            what()
            seconds[name] = time.perf_counter() - start
        found.append((seconds["ours"], seconds["by_hand"]))
    return found


def _result(name: str, budget: float, pairs: Sequence[tuple[float, float]], note: str) -> Result:
    ratios = [ours / by_hand for ours, by_hand in pairs]
    ours, by_hand = (min(times) for times in zip(*pairs, strict=True))
    spread = f"median of {len(pairs)} pairs, {min(ratios):.2f} to {max(ratios):.2f}"
    detail = f"{spread}; at the least {ours:.2f} s against {by_hand:.2f} s"
    return Result(name, statistics.median(ratios), budget, "x", "; ".join(filter(None, (detail, note))))


def _send(server: Server, script: Sequence[str]) -> None:
    with psycopg.connect(**server.settings, dbname=DATABASE, autocommit=True) as connection:
        for key, value in server.session_settings().items():
            connection.execute("SELECT set_config(%s, %s, false)", (key, value))
        for sql in script:
            cursor = connection.execute(sql)
            if cursor.description:
                cursor.fetchall()


def _run(session: Session, plan: CompiledWorkflowPlan) -> None:
    record = session.run(plan)
    if record.state != "done":
        raise RuntimeError("; ".join(f"{step.name}: {step.error}" for step in record.failed))
