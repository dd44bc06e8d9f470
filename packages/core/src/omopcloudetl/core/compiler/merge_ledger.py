"""The ledger's entries of tables that are merged or appended to: `written`, `present`, `kept` and `deleted`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import DraftStatement
from omopcloudetl.core.compiler.merge_rows import CONCEPT, MAPPING
from omopcloudetl.core.compiler.merging import CHANGE, DELETED, WRITTEN
from omopcloudetl.core.compiler.staged import KEYED, Contribution

KEPT = "kept"
"""Rows of ours that are in the table, and that this run did not write."""


def table_entries(contributions: Sequence[Contribution], id_name: str) -> exp.Query:
    """What became of the rows of ours in a CDM table; where a row belongs to a key alone, at the first mapping."""
    first, table = contributions[0], contributions[0].table
    if first.strategy in KEYED:
        name = trees.text(first.mapping)
        deleted = _counted(name, trees.text(DELETED), _changes(table, DELETED), table)
        return trees.union([deleted, _counted(name.copy(), trees.text(KEPT), _kept(table, id_name), table)])
    mapping, change = trees.column(MAPPING, "made"), trees.column(CHANGE, "made")
    unmapped = _changes(table, WRITTEN)
    no_concept = trees.equal(trees.column(CONCEPT, "made"), trees.number(0))
    trees.where(unmapped, trees.all_of([unmapped.args["where"].this, no_concept]))
    queries = [
        trees.group_by(_counted(mapping, change, _changes(table), table), mapping.copy(), change.copy()),
        trees.group_by(_counted(mapping.copy(), trees.text("unmapped"), unmapped, table), mapping.copy()),
        trees.group_by(_counted(mapping.copy(), trees.text(KEPT), _kept(table, id_name), table), mapping.copy()),
    ]
    return trees.union(queries)


def _counted(mapping: exp.Expr, entry: exp.Expr, rows: exp.Select, table: str) -> exp.Select:
    """The number of rows as a line of the ledger."""
    line = {
        "mapping": mapping,
        "entry": entry,
        "target_table": trees.text(table),
        "reason": exp.Null(),
        "row_count": trees.count_rows(),
    }
    rows.set("expressions", [trees.named(value, name) for name, value in line.items()])
    return rows


def _changes(table: str, change: str | None = None) -> exp.Select:
    query = trees.from_(trees.select(), trees.table(f"work.change_{table}", "made"))
    if change is not None:
        trees.where(query, trees.equal(trees.column(CHANGE, "made"), trees.text(change)))
    return query


def _kept(table: str, id_name: str) -> exp.Select:
    """The rows of ours, as `made`, that this run did not write."""
    written = _changes(table, WRITTEN)
    written.set("expressions", [trees.column(id_name, "made")])
    query = trees.from_(trees.select(), trees.table(f"work.key_{table}", "made"))
    return trees.where(query, exp.Not(this=trees.within(trees.column(id_name, "made"), written)))


def written_rows(table: str, id_name: str) -> exp.Select:
    """How many of the rows that this run wrote the CDM table holds, by their ids."""
    query = _changes(table, WRITTEN)
    query.set("expressions", [trees.named(trees.count_rows(), "row_count")])
    same_id = trees.equal(trees.column(id_name, "target"), trees.column(id_name, "made"))
    return trees.join(query, trees.table(f"cdm.{table}", "target"), same_id, side="")


def kept_rows_check(table: str, id_name: str) -> DraftStatement:
    """A row if the CDM table lacks a row that `work.key_<table>` says is in it."""
    query = trees.from_(trees.select(trees.column(id_name, "ours")), trees.table(f"work.key_{table}", "ours"))
    held = trees.from_(trees.select(trees.column(id_name, "target")), trees.table(f"cdm.{table}", "target"))
    trees.where(query, exp.Not(this=trees.within(trees.column(id_name, "ours"), held)))
    return DraftStatement(query, f"cdm.{table} holds the rows that are kept", f"cdm.{table} lacks rows that are kept")
