"""Files of rows, and how they are written into tables by `INSERT` of literals."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.specification.models import CdmTable

Cell = str | None
EMPTY = "''"
"""How a file of rows writes the text that has no characters; an empty cell is NULL."""
ROWS_AT_ONCE = 200


@dataclass(frozen=True)
class RowFile:
    """The rows of a file whose first record names the columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @classmethod
    def read(cls, text: str) -> RowFile:
        """The rows of a CSV file."""
        csv.field_size_limit(max(csv.field_size_limit(), len(text)))
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        for number, row in enumerate(rows, start=2):
            if len(row) != len(header):
                raise ValueError(f"record {number} has {len(row)} values for {len(header)} columns")
        return cls(tuple(header), tuple(tuple(map(_cell, row)) for row in rows))


def _cell(text: str) -> Cell:
    return "" if text == EMPTY else text or None


def replace_table(
    generator: BaseSQLGenerator, table: str, columns: Mapping[str, str], given: RowFile, schemas: Mapping[str, str]
) -> Iterator[str]:
    """Statements that make a logical table with columns of these specification types and fill it with rows."""
    kinds = {name: generator.data_type(type_) for name, type_ in columns.items()}
    definitions = [exp.ColumnDef(this=trees.identifier(name), kind=kind) for name, kind in kinds.items()]
    yield generator.render(exp.Drop(tables=[trees.table(table)], kind="TABLE", exists=True), schemas)
    yield generator.render(generator.create_table(trees.table(table), definitions), schemas)
    # Some engines leave the files of a table that is dropped, and find them again.
    yield generator.render(exp.Delete(this=trees.table(table)), schemas)
    yield from insert_rows(generator, table, columns, given, schemas)


def refill_table(
    generator: BaseSQLGenerator, table: CdmTable, given: RowFile, schemas: Mapping[str, str]
) -> Iterator[str]:
    """Statements after which a table of the CDM holds exactly these rows."""
    logical = f"{'vocab' if table.schema_ == 'vocab' else 'cdm'}.{table.name}"
    yield generator.render(exp.Delete(this=trees.table(logical)), schemas)
    types = {field.name: field.type for field in table.fields}
    yield from insert_rows(generator, logical, types, given, schemas)


def insert_rows(
    generator: BaseSQLGenerator, table: str, types: Mapping[str, str], given: RowFile, schemas: Mapping[str, str]
) -> Iterator[str]:
    """Statements that add rows of literals to a logical table; `types` has all of its columns, and each is given."""
    rest = [name for name in types if name not in given.columns]
    columns = [trees.identifier(name) for name in (*given.columns, *rest)]
    nothing = [exp.Null() for _ in rest]
    for start in range(0, len(given.rows), ROWS_AT_ONCE):
        tuples = [
            exp.Tuple(
                expressions=[
                    *(_literal(types[name], cell) for name, cell in zip(given.columns, row, strict=True)),
                    *(null.copy() for null in nothing),
                ]
            )
            for row in given.rows[start : start + ROWS_AT_ONCE]
        ]
        target = exp.Schema(this=trees.table(table), expressions=[column.copy() for column in columns])
        yield generator.render(exp.Insert(this=target, expression=exp.Values(expressions=tuples)), schemas)


def _literal(type_: str, cell: Cell) -> exp.Expr:
    if cell is None:
        return exp.Null()
    match type_.partition("(")[0]:
        case "integer" | "bigint":
            return trees.literal(int(cell))
        case "float":
            return exp.Literal.number(cell)
        case "date":
            return trees.literal(date.fromisoformat(cell))
        case "datetime":
            return trees.literal(datetime.fromisoformat(cell))
        case _:
            return trees.text(cell)
