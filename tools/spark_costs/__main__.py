"""Measures what the steps of a run on Spark send between workers, and says what they would with other tables."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from omopcloudetl.core.plan import BulkLoadStep, SqlStep
from omopcloudetl.core.session import Session
from omopcloudetl.provider_spark.config import SparkConfig, read_settings
from tools.spark_costs.model import Profile, Step, predicted
from tools.spark_costs.plans import ObservedConnection


def main() -> None:
    """`measure` runs in the environment of `just spark`; `predict` anywhere."""
    parser = argparse.ArgumentParser(prog="python -m tools.spark_costs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    measure = commands.add_parser("measure", help="run a project step by step and keep what was seen")
    measure.add_argument("project", type=Path)
    measure.add_argument("file", type=Path, help="where to keep it")
    measure.add_argument("--target", help="a target with `master`")
    predict = commands.add_parser("predict", help="print shuffled bytes of each step for other sizes of tables")
    predict.add_argument("file", type=Path, help="what `measure` kept")
    sizes = predict.add_mutually_exclusive_group(required=True)
    sizes.add_argument("--rows", nargs="+", metavar="TABLE=ROWS", help="such as source.encounters=1000000000")
    sizes.add_argument("--times", type=float, help="every table of the source so many times as large")
    sizes.add_argument("--against", type=Path, help="another file of `measure`, whose sizes and bytes are compared")
    options = parser.parse_args()
    if options.command == "measure":
        for seen in measured(options.project, options.target):  # after each step, for a run that is ended early
            options.file.write_text(seen.model_dump_json(indent=1), encoding="utf-8")
            print(_told(seen.steps[-1]), flush=True)
        return
    for line in report(Profile.read(options.file), options):
        print(line)


def measured(project: Path, target: str | None) -> Iterator[Profile]:
    """Run the project's plan, one step after the other, and give what is known after each."""
    session = Session.open(project, target=target)
    plan = session.compile()
    config = read_settings(dict(session.project.target.connection))  # a session of this process needs no secret
    found = Profile(rows={}, steps=[])
    with ObservedConnection(config, session.root) as connection:
        for step in plan.steps:
            seen = _seen(connection, session.root, step)
            found.steps.append(seen)
            for table in {*seen.writes, *(seen.read.keys() - found.rows.keys())}:
                count = connection.fetch(f"SELECT COUNT(*) FROM {_quoted(table, config)}")[0][0]
                found.rows[table] = int(str(count))
            connection.forget()
            found.resident = connection.resident()
            yield found


def _seen(connection: ObservedConnection, root: Path, step: SqlStep | BulkLoadStep) -> Step:
    start, cpu = time.perf_counter(), connection.cpu()
    if isinstance(step, BulkLoadStep):
        connection.bulk_load(step, base=root)
        writes = [".".join(step.table)]
    else:
        for statement in step.statements:
            connection.execute(statement.sql)
        writes = sorted(step.writes)
    seconds = time.perf_counter() - start
    found = Step(name=step.name, seconds=seconds, shuffled=0, writes=writes, read={}, exchanges=[])
    found.ran, found.cpu = connection.jobs_ran(), connection.cpu() - cpu
    found.heap = connection.heap()
    for graph, stages in connection.executions():
        for shuffled, results in map(connection.sent, stages):
            found.shuffled += shuffled
            found.results += results
        found.exchanges += graph.exchanges()
        for table, count in graph.rows().items():
            found.read[table] = max(count, found.read.get(table, 0))
    return found


def _told(step: Step) -> str:
    return (
        f"{step.name:44} {step.seconds:8.1f} s, {step.cpu:8.1f} s of processors, jobs {step.ran:8.1f} s,"
        f" {step.shuffled:14,} shuffled, {step.results:12,} to the driver, {step.heap:12,} of its heap"
    )


def _quoted(table: str, config: SparkConfig) -> str:
    parts = [*([config.catalog] if config.catalog else []), *table.split(".")]
    return ".".join(f"`{part}`" for part in parts)


def report(profile: Profile, options: argparse.Namespace) -> Iterator[str]:
    """A line for each step that shuffles, the largest first, and the total."""
    other = Profile.read(options.against) if options.against else None
    source = {table: count for table, count in profile.rows.items() if table.startswith("source.")}
    if other is not None:
        sizes = {table: other.rows.get(table, 0) for table in source}
    elif options.times:
        sizes = {table: round(count * options.times) for table, count in source.items()}
    else:
        sizes = {table: int(count) for table, _, count in (one.rpartition("=") for one in options.rows)}
    counted = {step.name: step.shuffled for step in other.steps} if other else {}
    yield f"{'step':44} {'then':>14} {'now':>14}" + (f" {'measured':>14} {'ratio':>6}" if other else "")
    sums = [0.0, 0.0, 0.0]
    for step, size in sorted(predicted(profile, sizes), key=lambda found: -found[1]):
        line = [size, step.shuffled, counted.get(step.name, 0)]
        sums = [total + one for total, one in zip(sums, line, strict=True)]
        if size:
            yield _line(step.name, line, compared=other is not None)
    yield _line("total", sums, compared=other is not None)


def _line(name: str, values: list[float], *, compared: bool) -> str:
    then, now, measured_ = values
    text = f"{name:44} {then:14,.0f} {now:14,.0f}"
    return text + (f" {measured_:14,.0f} {then / measured_ if measured_ else 0:6.2f}" if compared else "")


if __name__ == "__main__":
    main()
