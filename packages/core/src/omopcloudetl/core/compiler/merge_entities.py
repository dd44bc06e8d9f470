"""`merge` and `append_new` of entities: tables with one row, and one id, for each natural key."""

from __future__ import annotations

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import DraftStatement
from omopcloudetl.core.compiler.entity_keys import (
    OWNER,
    collision_message,
    key_id,
    limit_check,
    number_keys,
    owned_keys,
    present_keys,
    primary_key_check,
    with_present,
)
from omopcloudetl.core.compiler.keys import same_key
from omopcloudetl.core.compiler.merging import (
    CHANGE,
    PRESENT,
    WRITTEN,
    Rewrite,
    all_fields,
    change_table,
    kept_key_check,
    last_id,
    make_changes,
    one_id_each_check,
    remember_keys,
    rows_that_are_ours,
    rows_that_leave,
    taken_ids_check,
)
from omopcloudetl.core.compiler.staged import columns_of, from_stage, projected


def entity_statements(rewrite: Rewrite) -> list[DraftStatement]:
    """Everything between the stages and the CDM table, in order."""
    hashed = rewrite.contributions[0].strategy == "hash"
    message = collision_message(rewrite.table)
    statements = rows_that_are_ours(rewrite)
    if not hashed:
        keys = dict.fromkeys(rewrite.carried, "text")
        present = present_keys(rewrite.contributions)
        statements += number_keys(rewrite.compilation, rewrite.table, keys, present, last_id(rewrite))
        statements.append(limit_check(rewrite.table))
    statements += make_changes(rewrite, _keys_of_this_run(rewrite))
    if rewrite.merges:
        source = trees.subquery(_source_keys(rewrite), "seen")
        in_source = trees.exists(source, same_key("seen", "old", rewrite.carried))
        statements.append(rows_that_leave(rewrite, None if rewrite.step.forgets else in_source))
    if hashed:
        statements += [one_id_each_check(rewrite, message), kept_key_check(rewrite, message)]
    statements.append(taken_ids_check(rewrite))
    columns = [rewrite.id_name, *all_fields(rewrite.table, but=rewrite.id_name)]
    statements += [*remember_keys(rewrite), *change_table(rewrite, columns, _rows(rewrite))]
    return [*statements, primary_key_check(rewrite.table.name, rewrite.id_name)]


def _keys_of_this_run(rewrite: Rewrite) -> exp.Select:
    """The keys that the mappings have now: id, key, which mapping has it, and what happens to the row."""
    several = len(rewrite.contributions) > 1
    owner = trees.column(OWNER, "present") if several else trees.named(trees.number(1), OWNER)
    change: exp.Expr = trees.text(WRITTEN)
    if not rewrite.merges:
        ours = trees.exists(trees.table(rewrite.work("key"), "ours"), same_key("ours", "present", rewrite.carried))
        change = trees.case([(ours, trees.text(PRESENT))], change)
    query = trees.select(
        key_id(rewrite.compilation, rewrite.table, rewrite.contributions),
        *columns_of("present", rewrite.carried),
        owner,
        trees.named(change, CHANGE),
    )
    return with_present(query, rewrite.table, rewrite.contributions)


def _source_keys(rewrite: Rewrite) -> exp.Query:
    """Every key that a source of the table has, whatever became of its row."""
    tables = [c.stage for c in rewrite.contributions] + [c.excluded for c in rewrite.contributions if c.excluded]
    return trees.union(
        [trees.from_(trees.select(*columns_of("stage", rewrite.carried)), trees.table(t, "stage")) for t in tables]
    )


def _rows(rewrite: Rewrite) -> exp.Query:
    """The rows that are written, with their ids; a key that several mappings have is the first one's."""
    fields = all_fields(rewrite.table, but=rewrite.id_name)
    queries = []
    for number, contribution in enumerate(rewrite.contributions, start=1):
        projections = projected(rewrite.compilation, rewrite.table, contribution, fields)
        query = from_stage(trees.select(trees.column(rewrite.id_name, "present"), *projections), contribution)
        written = trees.equal(trees.column(CHANGE, "present"), trees.text(WRITTEN))
        on = trees.all_of([owned_keys(contribution, number), written])
        queries.append(trees.join(query, trees.table(rewrite.work("change"), "present"), on, side=""))
    return trees.union(queries)
