"""Has what a stage reads in several places made a table first, where the engine would compute it in each of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement
from omopcloudetl.core.shared_rows import ROWS, take_apart


@dataclass(frozen=True)
class RowsApart:
    """What has to come before the statement that makes a stage."""

    statements: list[DraftStatement] = field(default_factory=list)
    writes: set[str] = field(default_factory=set)


def rows_apart(compilation: Compilation, name: str, query: exp.Query) -> RowsApart:
    """The statements that make `work.rows_<name>`; the query is changed, and reads it."""
    generator, table = compilation.generator, f"{ROWS}{name}"
    made = None if generator.names_once else take_apart(query, trees.table(table))
    if made is None:
        return RowsApart()
    purpose = f"what the rows of {name} are read from in several places"
    statements = [
        DraftStatement(tree, purpose, counted=False) for tree in generator.create_table_as(trees.table(table), made)
    ]
    return RowsApart(statements, {table})
