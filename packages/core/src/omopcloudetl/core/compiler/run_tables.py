"""Compiles the tables that say what is complete: how they are made, and how an orchestrator asks them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp, parse_one

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStep
from omopcloudetl.core.compiler.graph import origin_position
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.plan import RunTables, Statement
from omopcloudetl.core.run_tables import RUN_COLUMNS, RUN_TABLES, RUNS, STEP_COLUMNS, STEPS

_OF_WORKFLOW = "project = :project AND workflow = :workflow"
LAST_NUMBER = "SELECT MAX(run_number) AS run_number FROM work.etl_run"
NEWEST_RUN = f"""
SELECT run_id, run_number FROM work.etl_run WHERE {_OF_WORKFLOW} ORDER BY run_number DESC, run_id DESC
"""
STEPS_SINCE = f"""
SELECT run_id, step, fingerprint, state, tables_written FROM work.etl_step
WHERE run_number >= (SELECT MAX(run_number) FROM work.etl_run WHERE {_OF_WORKFLOW})
"""
UNFINISHED_RUNS = f"""
SELECT {", ".join(RUN_COLUMNS)} FROM work.etl_run WHERE project = :project AND state = 'running'
"""


def compile_run_tables(
    generator: BaseSQLGenerator, schemas: Mapping[str, str], *, project: str, workflow: str
) -> RunTables:
    """The tables for one workflow of a project; raises `UnsupportedError` for what the dialect cannot express."""
    work = tuple(schemas["work"].split("."))

    def asked(query: str) -> str:
        return generator.render(_bound(query, {"project": project, "workflow": workflow}), schemas)

    return RunTables(
        workflow=workflow,
        runs=(*work, RUNS.partition(".")[2]),
        steps=(*work, STEPS.partition(".")[2]),
        statements=(
            Statement(
                sql=generator.render(generator.create_schema(schemas["work"]), schemas), purpose="the schema for work"
            ),
            _made(generator, schemas, RUNS, RUN_COLUMNS),
            _made(generator, schemas, STEPS, STEP_COLUMNS),
        ),
        last_number=asked(LAST_NUMBER),
        newest_run=asked(NEWEST_RUN),
        steps_since=asked(STEPS_SINCE),
        unfinished_runs=asked(UNFINISHED_RUNS),
    )


def _made(generator: BaseSQLGenerator, schemas: Mapping[str, str], table: str, columns: Mapping[str, str]) -> Statement:
    typed = [
        exp.ColumnDef(this=trees.identifier(name), kind=generator.data_type(type_)) for name, type_ in columns.items()
    ]
    sql = generator.render(generator.create_table(trees.table(table), typed), schemas)
    return Statement(sql=sql, purpose=f"the table {table}")


def _bound(query: str, values: Mapping[str, str]) -> exp.Expr:
    tree = parse_one(query)
    for node in list(tree.find_all(exp.Placeholder)):
        node.replace(trees.text(values[str(node.name)]))
    return tree


def check_run_tables(compilation: Compilation) -> None:
    """No step of a project may write or read these tables: what they prove would prove nothing."""
    for step in compilation.steps:
        for table in RUN_TABLES:
            if table in step.writes | step.creates | step.reads | step.looks_at:
                _reserved(compilation, step, table)


def _reserved(compilation: Compilation, step: DraftStep, table: str) -> None:
    reads = table in step.reads | step.looks_at
    place = compilation.read_at.get(table) if reads else None
    compilation.problem(
        "reserved-table",
        f"{table} is written by the runs themselves, so no step may {'read' if reads else 'write'} it",
        place or origin_position(compilation, step.origin),
        found=table,
        help="take another name in work; look at this table when a run is over",
    )
