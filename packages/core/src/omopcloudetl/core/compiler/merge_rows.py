"""`merge` and `append_new` of rows that nothing refers to: events, and rows whose ids are given.

A row is told from others by its mapping, natural key and standard concept, and rows that are the same in these by an
occurrence number; so each keeps an id of its own.
"""

from __future__ import annotations

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import DraftStatement
from omopcloudetl.core.compiler.entity_keys import limit_check, number_keys, primary_key_check
from omopcloudetl.core.compiler.keys import key_text, same_key
from omopcloudetl.core.compiler.merging import (
    CHANGE,
    PRESENT,
    WRITTEN,
    Rewrite,
    all_fields,
    change_table,
    last_id,
    make_changes,
    one_id_each_check,
    remember_keys,
    rows_that_are_ours,
    rows_that_leave,
    taken_ids_check,
)
from omopcloudetl.core.compiler.staged import Contribution, columns_of, from_stage, projected

MAPPING, KEY, CONCEPT, OCCURRENCE = "row_mapping", "row_key", "row_concept", "row_occurrence"
CARRIED = (MAPPING, KEY)
_IDENTITY = {MAPPING: "text", KEY: "text", CONCEPT: "bigint", OCCURRENCE: "bigint"}
_PRESENT = "row_present"
"""Whether the table has the row's natural key already."""


def row_statements(rewrite: Rewrite) -> list[DraftStatement]:
    """Everything between the stages and the CDM table, in order."""
    statements = rows_that_are_ours(rewrite)
    made = rewrite.compilation.generator.create_table_as(trees.table(rewrite.work("rows")), _identified(rewrite))
    purpose = "the rows of this run and what tells them apart"
    statements += [DraftStatement(tree, purpose, counted=False) for tree in made]
    if _numbers(rewrite):
        rows = trees.select(*columns_of("rows", list(_IDENTITY)))
        _only_new(rewrite, trees.from_(rows, trees.table(rewrite.work("rows"), "rows")))
        statements += number_keys(rewrite.compilation, rewrite.table, _IDENTITY, rows, last_id(rewrite))
        statements.append(limit_check(rewrite.table))
    statements += make_changes(rewrite, _changes(rewrite))
    if rewrite.merges:
        statements.append(rows_that_leave(rewrite, None if rewrite.step.forgets else _made_or_unmapped(rewrite)))
    if not _numbers(rewrite):
        message = f"{rewrite.target} would get rows with the same {rewrite.id_name}"
        statements.append(one_id_each_check(rewrite, message))
    statements.append(taken_ids_check(rewrite))
    fields = all_fields(rewrite.table, but=rewrite.id_name)
    query = _written(rewrite, *(trees.named(trees.column(name, "rows"), name) for name in fields))
    statements += [*remember_keys(rewrite), *change_table(rewrite, [rewrite.id_name, *fields], query)]
    return [*statements, primary_key_check(rewrite.table.name, rewrite.id_name)]


def _numbers(rewrite: Rewrite) -> bool:
    """Whether the rows get ids from the registry; else they have them."""
    return rewrite.contributions[0].strategy is not None


def _identified(rewrite: Rewrite) -> exp.Select:
    """The rows of all mappings in the table's fields, with what tells them apart."""
    fields = all_fields(rewrite.table, but=rewrite.id_name if _numbers(rewrite) else None)
    every = trees.union([_identified_of(rewrite, contribution, fields) for contribution in rewrite.contributions])
    number = trees.row_number(columns_of("each", fields), columns_of("each", [MAPPING, KEY, CONCEPT]))
    projections = [
        *columns_of("each", [MAPPING, KEY, CONCEPT]),
        trees.named(number, OCCURRENCE),
        *columns_of("each", fields),
    ]
    if not rewrite.merges:
        ours = trees.exists(trees.table(rewrite.work("key"), "ours"), same_key("ours", "each", CARRIED))
        projections.append(trees.named(ours, _PRESENT))
    return trees.from_(trees.select(*projections), trees.subquery(every, "each"))


def _identified_of(rewrite: Rewrite, contribution: Contribution, fields: list[str]) -> exp.Select:
    concept = contribution.concept.copy() if contribution.concept else trees.null_of(rewrite.compilation.type("bigint"))
    return from_stage(
        trees.select(
            *_key_of(contribution, "stage"),
            trees.named(concept, CONCEPT),
            *projected(rewrite.compilation, rewrite.table, contribution, fields),
        ),
        contribution,
    )


def _key_of(contribution: Contribution, alias: str) -> list[exp.Expr]:
    return [
        trees.named(trees.text(contribution.mapping), MAPPING),
        trees.named(key_text(columns_of(alias, contribution.key_names())), KEY),
    ]


def _only_new(rewrite: Rewrite, query: exp.Select) -> exp.Select:
    if not rewrite.merges:
        trees.where(query, exp.Not(this=trees.column(_PRESENT, "rows")))
    return query


def _written(rewrite: Rewrite, *projections: exp.Expr) -> exp.Select:
    """The rows that are written, each with its id."""
    numbered = _numbers(rewrite)
    query = trees.select(trees.column(rewrite.id_name, "registry" if numbered else "rows"), *projections)
    trees.from_(query, trees.table(rewrite.work("rows"), "rows"))
    if numbered:
        same_row = same_key("registry", "rows", list(_IDENTITY))
        trees.join(query, trees.table(rewrite.work("registry"), "registry"), same_row, side="")
    return _only_new(rewrite, query)


def _changes(rewrite: Rewrite) -> exp.Query:
    told = columns_of("rows", [MAPPING, KEY, CONCEPT])
    written = _written(rewrite, *(node.copy() for node in told), trees.named(trees.text(WRITTEN), CHANGE))
    if rewrite.merges:
        return written
    no_id = trees.named(trees.null_of(rewrite.compilation.type("bigint")), rewrite.id_name)
    present = trees.select(no_id, *told, trees.named(trees.text(PRESENT), CHANGE))
    trees.from_(present, trees.table(rewrite.work("rows"), "rows"))
    return trees.union([written, trees.where(present, trees.column(_PRESENT, "rows"))])


def _made_or_unmapped(rewrite: Rewrite) -> exp.Expr:
    """The source has the key of the row `old`, or the mapping that made it writes the table no longer."""
    seen = [
        trees.from_(trees.select(*_key_of(contribution, "stage")), trees.table(table, "stage"))
        for contribution in rewrite.contributions
        for table in (contribution.stage, contribution.excluded)
        if table
    ]
    in_source = trees.exists(trees.subquery(trees.union(seen), "seen"), same_key("seen", "old", CARRIED))
    names: list[exp.Expr] = [trees.text(contribution.mapping) for contribution in rewrite.contributions]
    no_more = exp.Not(this=exp.In(this=trees.column(MAPPING, "old"), expressions=names))
    return trees.any_of([in_source, no_more])
