"""Declares DuckDB's dialect: its types and what it can do."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from omopcloudetl.core.capabilities import FULL, Capability, Support
from omopcloudetl.core.generator import BaseSQLGenerator


class DuckDBGenerator(BaseSQLGenerator):
    """DuckDB needs little beyond the declaration.

    Primary keys get no index: deleting and inserting 3 million rows took 9.0 s with one and 1.06 s
    without. Keys are verified by a query of the step that writes the table.
    """

    dialect = "duckdb"
    types = {
        "integer": "INTEGER",
        "bigint": "BIGINT",
        "float": "DOUBLE",
        "number": "DOUBLE",
        "date": "DATE",
        "datetime": "TIMESTAMP",
        "timestamp": "TIMESTAMP",
        "varchar": "VARCHAR",
        "text": "VARCHAR",
        "boolean": "BOOLEAN",
    }
    capabilities = {
        Capability.TRANSACTIONS: FULL,
        Capability.TRANSACTIONAL_DDL: FULL,
        Capability.CREATE_OR_REPLACE: FULL,
        Capability.TRY_CAST: FULL,
        Capability.NOT_NULL: FULL,
        Capability.PRIMARY_KEYS: FULL,
        Capability.ADD_PRIMARY_KEY: FULL,
        Capability.FOREIGN_KEYS: FULL,
        Capability.FOREIGN_KEYS_ACROSS_SCHEMAS: Support("not_yet", "DuckDB 1.5 refuses keys across schemas"),
        Capability.ADD_FOREIGN_KEY: Support("not_yet", "ALTER TABLE of DuckDB 1.5 adds no foreign key"),
        Capability.INDEXES: FULL,
        Capability.COMMENT_ON_COLUMN: FULL,
        Capability.TABLE_LAYOUT: Support("never", "DuckDB keeps the rows of a table in the order they are written"),
        Capability.MERGE: FULL,
        Capability.PARTIAL_INSERT: FULL,
        Capability.HASH_IDS: FULL,
        Capability.ROW_AS_JSON: FULL,
        Capability.LOAD_CSV: FULL,
        Capability.LOAD_PARQUET: FULL,
        Capability.LOAD_JSON: FULL,
        Capability.LOAD_UTF16: FULL,
        Capability.LOAD_NULL_TEXTS: FULL,
        Capability.LOAD_REJECTS: FULL,
        Capability.LOAD_IN_PLACE: FULL,
    }

    def enumeration(self, texts: Sequence[str]) -> exp.DataType:
        """A million such values take 0.03 s of processor time to be written, a million texts 0.16 s."""
        return exp.DataType(this=exp.DType.ENUM, expressions=[exp.Literal.string(text) for text in texts])

    def numbered(self, query: exp.Select, order: Sequence[exp.Expr], name: str) -> exp.Select:
        """The sorted rows, counted as they come, in 0.6 of the time of a window that sorts them.

        An empty window keeps the order of its rows, whatever `preserve_insertion_order` is:
        https://duckdb.org/docs/stable/sql/dialect/order_preservation
        """
        query.set("order", exp.Order(expressions=[exp.Ordered(this=item, nulls_first=False) for item in order]))
        columns = [exp.alias_(exp.column(column, "ordered"), column, quoted=True) for column in query.named_selects]
        number = exp.alias_(exp.Window(this=exp.RowNumber(), over="OVER"), name, quoted=True)
        source = exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier("ordered")))
        return exp.Select(expressions=[number, *columns], from_=exp.From(this=source))

    def hash_id(self, text: exp.Expr) -> exp.Expr:
        """From the hexadecimal digits: `md5_number_upper` takes the bytes in the other order."""
        digits = exp.Substring(this=exp.MD5(this=text), start=exp.convert(1), length=exp.convert(16))
        bits = exp.cast(exp.DPipe(this=exp.convert("0x"), expression=digits), "UBIGINT", dialect=self.dialect)
        return exp.cast(exp.BitwiseRightShift(this=bits, expression=exp.convert(1)), "BIGINT", dialect=self.dialect)

    def row_as_json(self, alias: str) -> exp.Expr:
        """By way of a struct of the columns: `to_json` of an alias takes a column of that name, where there is one."""
        every = exp.Column(this=exp.Star(), table=exp.to_identifier(alias, quoted=True))
        row = exp.Anonymous(this="struct_pack", expressions=[exp.Columns(this=every, unpack=True)])
        return exp.cast(exp.Anonymous(this="to_json", expressions=[row]), "VARCHAR", dialect=self.dialect)

    def join_latest(
        self, query: exp.Select, rows: str, others: str, by: tuple[str, str], at: tuple[str, str]
    ) -> exp.Select:
        """By `ASOF JOIN`: for 663,000 prices and 637,000 periods a third of what the general way takes."""
        row_by, row_at = exp.column(by[0], rows, quoted=True), exp.column(at[0], rows, quoted=True)
        other_by, other_at = exp.column(by[1], others, quoted=True), exp.column(at[1], others, quoted=True)
        condition = exp.and_(exp.EQ(this=other_by, expression=row_by), exp.GTE(this=row_at, expression=other_at))
        joined = exp.Join(this=exp.to_table(others, quoted=True), method="ASOF", side="LEFT", on=condition)
        query.append("joins", joined)
        return query
