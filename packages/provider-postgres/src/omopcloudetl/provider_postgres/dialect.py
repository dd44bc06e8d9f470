"""Declares PostgreSQL's dialect: its types, what it can do, and how tables are made and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp
from sqlglot.errors import UnsupportedError

from omopcloudetl.core.capabilities import FULL, Capability, Support
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.read_once import OnceReader
from omopcloudetl.core.sql_rewriting import whole
from omopcloudetl.provider_postgres.casts import is_read
from omopcloudetl.provider_postgres.collation import collated
from omopcloudetl.provider_postgres.rewriting import rewritten

LONGEST_NAME = 63
"""What the server keeps of a name, in bytes; it cuts the rest off without a word."""


class PostgresGenerator(BaseSQLGenerator):
    """PostgreSQL 15 to 18, with the same statements on each.

    Texts are in the order of their code points: columns that are made are of the collation "C", and so is every text
    that a query gives.
    """

    dialect = "postgres"
    types = {
        "integer": "INTEGER",
        "bigint": "BIGINT",
        "float": "DOUBLE PRECISION",
        "number": "DOUBLE PRECISION",
        "date": "DATE",
        "datetime": "TIMESTAMP",
        "timestamp": "TIMESTAMP",
        "varchar": "VARCHAR",
        "text": "TEXT",
        "boolean": "BOOLEAN",
    }
    capabilities = {
        Capability.TRANSACTIONS: FULL,
        Capability.TRANSACTIONAL_DDL: FULL,
        Capability.CREATE_OR_REPLACE: Support(
            "never", "PostgreSQL drops the table and makes it anew, in one transaction"
        ),
        Capability.TRY_CAST: Support("never", "PostgreSQL has none: a regular expression decides before the cast"),
        Capability.NOT_NULL: FULL,
        Capability.PRIMARY_KEYS: FULL,
        Capability.ADD_PRIMARY_KEY: FULL,
        Capability.FOREIGN_KEYS: FULL,
        Capability.FOREIGN_KEYS_ACROSS_SCHEMAS: FULL,
        Capability.ADD_FOREIGN_KEY: FULL,
        Capability.INDEXES: FULL,
        Capability.COMMENT_ON_COLUMN: FULL,
        Capability.TABLE_LAYOUT: Support("not_yet", "nobody has asked for partitions of PostgreSQL"),
        Capability.MERGE: FULL,
        Capability.PARTIAL_INSERT: FULL,
        Capability.HASH_IDS: FULL,
        Capability.ROW_AS_JSON: FULL,
        Capability.LOAD_CSV: FULL,
        Capability.LOAD_PARQUET: Support("never", "COPY reads delimited text"),
        Capability.LOAD_JSON: Support("not_yet", "COPY reads delimited text"),
        Capability.LOAD_UTF16: Support("never", "PostgreSQL knows no UTF-16"),
        Capability.LOAD_NULL_TEXTS: Support("not_yet", "COPY knows one text for nothing, and an empty value is one"),
        Capability.LOAD_REJECTS: Support("not_yet", "COPY does not say which records it would leave out"),
        Capability.LOAD_IN_PLACE: Support("never", "there are no views of files"),
    }

    def read_whole(self, value: exp.Expr, type_: exp.DataType) -> exp.Expr:
        """By way of a decimal number, which has every digit."""
        return whole(value, type_)

    def create_table_as(self, table: exp.Table, query: exp.Query) -> list[exp.Expr]:
        """Drop and make, and look at what it holds: nobody else does before the next step reads it."""
        drop = exp.Drop(tables=[table.copy()], kind="TABLE", exists=True)
        return [drop, exp.Create(this=table.copy(), kind="TABLE", expression=query), _analyze(table)]

    def write_full(self, table: exp.Table, columns: Sequence[str], query: exp.Query) -> list[exp.Expr]:
        """TRUNCATE in the transaction leaves no dead rows behind, and takes no time that grows with them."""
        _, insert = super().write_full(table.copy(), columns, query)
        return [exp.TruncateTable(expressions=[table.copy()]), insert, _analyze(table)]

    def hash_id(self, text: exp.Expr) -> exp.Expr:
        """By way of a string of bits: the first 16 hexadecimal digits, shifted as a number without sign."""
        digits = exp.Substring(this=exp.MD5(this=text), start=exp.convert(1), length=exp.convert(16))
        bits = exp.DPipe(this=exp.convert("x"), expression=digits)
        number = exp.Cast(this=exp.Cast(this=bits, to=exp.DataType.build("bit(64)", dialect="postgres")), to=_BIGINT)
        shifted = exp.BitwiseRightShift(this=number, expression=exp.convert(1))
        # The shift brings the sign along; the mask takes it away.
        return exp.BitwiseAnd(this=exp.Paren(this=shifted), expression=exp.convert(2**63 - 1))

    def row_as_json(self, alias: str) -> exp.Expr:
        """`to_jsonb` would sort the keys; `row_to_json` keeps the table's order.

        In the list of a query alone is the alias never taken for a column of that name.
        """
        every = exp.Column(this=exp.Star(), table=exp.to_identifier(alias, quoted=True))
        inner = exp.Subquery(this=exp.Select(expressions=[every]), alias=exp.TableAlias(this=_WHOLE_ROW.copy()))
        call = exp.Anonymous(this="ROW_TO_JSON", expressions=[_WHOLE_ROW.copy()])
        json = exp.Subquery(this=exp.Select(expressions=[call], from_=exp.From(this=inner)))
        return exp.cast(json, "text", dialect=self.dialect)

    def render(self, statement: exp.Expr, schemas: Mapping[str, str]) -> str:
        """The statement as SQL text; raises `UnsupportedError` also for a name that the server would cut off."""
        # A copy, because the compiler may have one node in two places, of which a rewriting would reach one.
        statement = collated(rewritten(_ONCE.rewrite(statement.copy())))
        for name in statement.find_all(exp.Identifier):
            if len(name.name.encode()) > LONGEST_NAME:
                raise UnsupportedError(
                    f"the name {name.name} has more than {LONGEST_NAME} bytes, of which it keeps no more"
                )
        return super().render(statement, schemas)


_ONCE = OnceReader(is_read, offset=True)
_WHOLE_ROW = exp.to_identifier("the whole row", quoted=True)
_BIGINT = exp.DataType.build("bigint")


def _analyze(table: exp.Table) -> exp.Expr:
    return exp.Analyze(tables=[table.copy()])
