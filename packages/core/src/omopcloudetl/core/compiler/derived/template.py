"""Turns a builder's SQL into syntax trees over logical names, and its result into a stage and a contribution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from sqlglot import exp, parse_one

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.staged import Contribution, DerivedRows
from omopcloudetl.core.files.project_loader import LoadedMapping


def template(sql: str, values: Mapping[str, object] | None = None) -> exp.Query:
    """A builder's query, written in DuckDB's dialect over logical names; `:name` becomes a literal or a tree.

    `ADD_DAYS(date, days)` and `ADD_MONTHS(date, months)` are dates, in the way of each dialect.
    """
    tree = _parsed(sql).copy()
    for node in list(tree.find_all(exp.Placeholder)):
        value = (values or {})[node.name]
        node.replace(value.copy() if isinstance(value, exp.Expr) else trees.literal(value))
    return tree


@lru_cache(maxsize=64)
def _parsed(sql: str) -> exp.Query:
    tree = trees.without_places(parse_one(sql, read="duckdb"))
    assert isinstance(tree, exp.Query)
    for call in list(tree.find_all(exp.Anonymous, exp.AddMonths)):  # the innermost last
        if isinstance(call, exp.AddMonths):
            call.replace(trees.later(call.this, call.expression, "MONTH"))
        elif call.name.upper() == "ADD_DAYS":
            call.replace(trees.later(call.expressions[0], call.expressions[1], "DAY"))
    for name in tree.find_all(exp.Identifier):
        name.set("quoted", True)
    return tree


def _of_mapping(tree: exp.Query, mapping: str) -> exp.Query:
    """The query, in which the tables `stage` and `inputs` are those of the mapping."""
    for table in list(tree.find_all(exp.Table)):
        if not table.db and table.name in {"stage", "inputs"}:
            table.replace(trees.table(f"work.{table.name}_{mapping}", table.alias_or_name))
    return tree


def tables_of(*queries: exp.Query) -> frozenset[str]:
    """The logical tables that queries read."""
    return frozenset(f"{t.db}.{t.name}" for query in queries for t in query.find_all(exp.Table) if t.db)


def derived_rows(
    compilation: Compilation,
    loaded: LoadedMapping,
    table: str,
    rows: exp.Query,
    entries: Iterable[str],
    inputs: exp.Query | None = None,
) -> DerivedRows:
    """Add the step that makes `work.stage_<mapping>` from a query of CDM rows, and contribute them to a table.

    Args:
        compilation: What is being compiled.
        loaded: The mapping.
        table: The CDM table that is filled; its id is numbered by the order of the other columns.
        rows: A query of exactly the rows to write. Columns that are no fields of the table stay in the stage, for
            the ledger to count.
        entries: The ledger's entries, see `DerivedRows`.
        inputs: What `work.inputs_<mapping>` is made of first, where rows and entries need the same.

    In rows and entries the tables `stage` and `inputs` are those of the mapping.
    """
    name = loaded.model.name
    stage = f"work.stage_{name}"
    made = {stage: _of_mapping(rows, name)}
    if inputs is not None:
        made = {f"work.inputs_{name}": inputs, **made}
    rows.set("expressions", [trees.named(node.unalias(), node.alias_or_name) for node in rows.selects])
    counted = tuple(_of_mapping(template(entry), name) for entry in entries)
    step = DraftStep(
        name=f"stage_{name}",
        summary=loaded.model.description or f"derive the rows of cdm.{table}",
        origin=origin(loaded.document.at("name")),
        workflow_steps=(loaded.step,),
        statements=[
            DraftStatement(tree, f"{_PURPOSE[target == stage]} cdm.{table}", counted=target == stage)
            for target, query in made.items()
            for tree in compilation.generator.create_table_as(trees.table(target), query)
        ],
        reads=set(tables_of(*made.values())) - made.keys(),
        writes=set(made),
    )
    compilation.steps.append(step)
    fields = compilation.specification.by_name[table].by_name
    given = [selected.alias_or_name for selected in rows.selects if selected.alias_or_name in fields]
    contribution = Contribution(
        mapping=name,
        stage=stage,
        table=table,
        columns={field: trees.column(field, "stage") for field in given},
        condition=exp.true(),
        keys=0,
        strategy="ordinal",
        workflow_step=loaded.step,
        derived=True,
    )
    return DerivedRows(loaded, (contribution,), counted, tables_of(*counted))


_PURPOSE = {True: "rows of", False: "what there is for"}
