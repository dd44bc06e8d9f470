"""Holds tables of the CDM against what the ledger says of them."""

from __future__ import annotations

from sqlglot import exp, parse_one

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import DraftStatement


def table_check(table: str, holds: exp.Select | None = None) -> DraftStatement:
    """A row if the CDM table does not hold what the ledger says; `holds` counts its rows, else all are counted."""
    said = parse_one("SELECT COALESCE(SUM(row_count), 0) AS row_count FROM work.ledger WHERE entry = 'written'")
    assert isinstance(said, exp.Select)
    said.args["where"].set(
        "this",
        trees.all_of([said.args["where"].this, trees.equal(trees.column("target_table"), trees.text(table))]),
    )
    if holds is None:
        holds = trees.from_(trees.select(trees.named(trees.count_rows(), "row_count")), trees.table(f"cdm.{table}"))
    query = trees.from_(
        trees.select(trees.column("row_count", "said"), trees.column("row_count", "holds")),
        trees.subquery(said, "said"),
    )
    query.append("joins", exp.Join(this=trees.subquery(holds, "holds"), kind="CROSS"))
    trees.where(
        query,
        exp.NEQ(this=trees.column("row_count", "said"), expression=trees.column("row_count", "holds")),
    )
    return DraftStatement(
        query,
        f"cdm.{table} holds what the ledger says",
        f"cdm.{table} does not hold what the ledger says; rows in the ledger, rows in the table",
    )
