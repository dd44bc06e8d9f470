"""Writes each CDM table once: the union of its contributions, with ids, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.entity_keys import current_keys, owned_keys, primary_key_check
from omopcloudetl.core.compiler.keys import same_key
from omopcloudetl.core.compiler.staged import (
    Contribution,
    StagedMapping,
    columns_of,
    filled_fields,
    from_stage,
    projected,
)
from omopcloudetl.core.specification.models import CdmTable


def write_tables(compilation: Compilation, staged: Sequence[StagedMapping]) -> None:
    """Add one step for each CDM table that any mapping contributes to."""
    by_table: dict[str, list[Contribution]] = {}
    for mapping in staged:
        for contribution in mapping.contributions:
            by_table.setdefault(contribution.table, []).append(contribution)
    places = {mapping.name: mapping.loaded.document.at("name") for mapping in staged}
    for table in compilation.specification.tables:
        contributions = by_table.get(table.name)
        if contributions and _agree(compilation, table, contributions, staged):
            step = _write_step(compilation, table, contributions)
            step.origin = origin(places[contributions[0].mapping])
            step.statements = compilation.render(step.statements, step.origin)
            compilation.steps.append(step)


def _agree(
    compilation: Compilation,
    table: CdmTable,
    contributions: list[Contribution],
    staged: Sequence[StagedMapping],
) -> bool:
    """All contributions to a table must number its rows in the same way."""
    first = contributions[0]
    for other in contributions[1:]:
        if other.strategy != first.strategy:
            document = next(m.loaded.document for m in staged if m.name == other.mapping)
            compilation.problem(
                "id-strategy",
                f"{other.mapping} and {first.mapping} write cdm.{table.name} with different ids: "
                f"{other.strategy or 'given'} and {first.strategy or 'given'}",
                document.at("columns"),
                help="events are numbered by 'ordinal'; give the table mapping's id that strategy"
                if "ordinal" in {first.strategy, other.strategy}
                else "give all of them the same strategy",
            )
            return False
    return True


def _write_step(compilation: Compilation, table: CdmTable, contributions: list[Contribution]) -> DraftStep:
    strategy = contributions[0].strategy
    writes = {f"cdm.{table.name}"}
    statements: list[DraftStatement] = []
    query: exp.Query
    match strategy:
        case "registry" | "hash":
            statements += current_keys(compilation, table, contributions)
            writes |= {f"work.{made}_{table.name}" for made in ("registry", "key")[strategy == "hash" :]}
            query = _with_key_ids(compilation, table, contributions)
        case "ordinal":
            query = _with_ordinal_ids(compilation, table, contributions)
        case _:
            query = _with_given_ids(compilation, table, contributions)
    target = trees.table(f"cdm.{table.name}")
    columns = [selected.alias for selected in query.selects]
    statements += [
        DraftStatement(tree, f"cdm.{table.name} becomes the union of its mappings")
        for tree in compilation.generator.write_full(target, columns, query)
    ]
    if strategy != "ordinal" and table.primary_key is not None:
        statements.append(primary_key_check(table.name, table.primary_key.name))
    mappings = ", ".join(contribution.mapping for contribution in contributions)
    return DraftStep(
        name=f"write_{table.name}",
        summary=f"write cdm.{table.name} from {mappings}",
        origin=origin(compilation.project.workflow_document.at()),
        workflow_steps=tuple(dict.fromkeys(contribution.workflow_step for contribution in contributions)),
        statements=statements,
        reads={contribution.stage for contribution in contributions},
        writes=writes,
    )


# -- ids by natural key


def _with_key_ids(compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution]) -> exp.Query:
    """The rows with their ids; a key that several mappings have is written by the first of them."""
    id_name = f"{table.name}_id"
    fields = filled_fields(table, contributions)
    queries = []
    for number, contribution in enumerate(contributions, start=1):
        projections = [
            trees.named(trees.column(id_name, "present"), id_name),
            *projected(compilation, table, contribution, fields),
        ]
        query = from_stage(trees.select(*projections), contribution)
        on = same_key("present", "stage", contribution.key_names())
        if len(contributions) > 1:
            on = owned_keys(contribution, number)
        queries.append(trees.join(query, trees.table(f"work.key_{table.name}", "present"), on, side=""))
    return trees.union(queries)


# -- ids by ordinal, and ids that are given


def _with_ordinal_ids(compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution]) -> exp.Select:
    """Number the rows by mapping, natural key and then every column, so that the order is total."""
    assert table.primary_key is not None
    fields = filled_fields(table, contributions)
    keys = [f"key_{i}" for i in range(1, max(c.keys for c in contributions) + 1)]
    text = compilation.type("text")
    queries = []
    for number, contribution in enumerate(contributions, start=1):
        key_columns = [
            trees.column(name, "stage") if name in contribution.key_names() else trees.named(trees.null_of(text), name)
            for name in keys
        ]
        projections = [
            trees.named(trees.number(number), "mapping_number"),
            *key_columns,
            *projected(compilation, table, contribution, fields),
        ]
        queries.append(from_stage(trees.select(*projections), contribution))
    order = columns_of("rows", ["mapping_number", *keys, *fields])
    result = trees.select(
        trees.named(trees.row_number(order), table.primary_key.name),
        *(trees.named(trees.column(name, "rows"), name) for name in fields),
    )
    return trees.from_(result, trees.subquery(trees.union(queries), "rows"))


def _with_given_ids(compilation: Compilation, table: CdmTable, contributions: Sequence[Contribution]) -> exp.Query:
    fields = filled_fields(table, contributions)
    return trees.union([from_stage(trees.select(*projected(compilation, table, c, fields)), c) for c in contributions])
