"""Declares the dialect of Spark SQL: its types, what it can do, and how tables are made and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from sqlglot import exp

from omopcloudetl.core.capabilities import FULL, Capability, Support
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.models.layout import TableLayout
from omopcloudetl.core.read_once import OnceReader
from omopcloudetl.core.sql_rewriting import whole
from omopcloudetl.provider_spark import layouts
from omopcloudetl.provider_spark.casts import is_read
from omopcloudetl.provider_spark.numbering import number_by_buckets
from omopcloudetl.provider_spark.rewriting import rewritten

TableFormat = Literal["delta", "iceberg"]
_ONCE = OnceReader(is_read, offset=False)
_NO_KEYS = Support("never", "tables of Delta and Iceberg have none that is kept to")


class SparkGenerator(BaseSQLGenerator):
    """Spark SQL of 3.5 and 4, the same statements whether or not its ANSI mode is on."""

    dialect = "spark"
    types = {
        "integer": "INT",
        "bigint": "BIGINT",
        "float": "DOUBLE",
        "number": "DOUBLE",
        "date": "DATE",
        "datetime": "TIMESTAMP_NTZ",
        "timestamp": "TIMESTAMP_NTZ",
        # The compiler keeps to the lengths of texts; Iceberg has no type for them.
        "varchar": "STRING",
        "text": "STRING",
        "boolean": "BOOLEAN",
    }
    # Spark plans a named query anew in each place that reads it.
    names_once = False
    capabilities = {
        Capability.TRANSACTIONS: Support("never", "each statement is a commit of its own"),
        Capability.TRANSACTIONAL_DDL: Support("never", "each statement is a commit of its own"),
        Capability.CREATE_OR_REPLACE: FULL,
        Capability.TRY_CAST: FULL,
        Capability.NOT_NULL: FULL,
        Capability.PRIMARY_KEYS: _NO_KEYS,
        Capability.ADD_PRIMARY_KEY: Support("not_yet", "of Delta only those of Unity Catalog, which nobody has tried"),
        Capability.FOREIGN_KEYS: _NO_KEYS,
        Capability.FOREIGN_KEYS_ACROSS_SCHEMAS: _NO_KEYS,
        Capability.ADD_FOREIGN_KEY: _NO_KEYS,
        Capability.INDEXES: Support("never", "tables of Delta and Iceberg have none"),
        Capability.COMMENT_ON_COLUMN: FULL,
        Capability.TABLE_LAYOUT: FULL,
        Capability.MERGE: FULL,
        Capability.PARTIAL_INSERT: Support("not_yet", "whether what is left out is NULL depends on the format"),
        Capability.HASH_IDS: FULL,
        Capability.ROW_AS_JSON: FULL,
        Capability.LOAD_CSV: FULL,
        Capability.LOAD_PARQUET: FULL,
        Capability.LOAD_JSON: Support("not_yet", "numbers would lose their spelling"),
        Capability.LOAD_UTF16: Support("not_yet", "nobody has tried it"),
        Capability.LOAD_NULL_TEXTS: Support("not_yet", "Spark knows one text for nothing"),
        Capability.LOAD_REJECTS: FULL,
        Capability.LOAD_IN_PLACE: Support("not_yet", "nobody has asked for it"),
    }

    def __init__(
        self, table_format: TableFormat = "delta", location: str | None = None, *, not_null: bool = True
    ) -> None:
        self.table_format = table_format
        self.location = location
        self.not_null = not_null

    def support(self, capability: Capability) -> Support:
        """That of the target: tables of Iceberg can say which columns identify a row, if those are NOT NULL."""
        if capability is Capability.ADD_PRIMARY_KEY and self.table_format == "iceberg":
            return FULL if self.not_null else Support("never", "the target says not_null: false")
        return super().support(capability)

    def add_primary_key(self, table: exp.Table, columns: Sequence[str]) -> exp.Expr:
        """Iceberg's identifier fields, which nobody holds rows against."""
        names = ", ".join(exp.to_identifier(name, quoted=True).sql("spark") for name in columns)
        # sqlglot has no tree for it; the table has one, because its name is a logical one.
        return exp.Alter(this=table, kind="TABLE", actions=[exp.Var(this=f"SET IDENTIFIER FIELDS {names}")])

    def data_type(self, type_: str) -> exp.DataType:
        """The engine's type; a text has no length."""
        return super().data_type(type_.partition("(")[0] if type_.startswith("varchar") else type_)

    def read_whole(self, value: exp.Expr, type_: exp.DataType) -> exp.Expr:
        """By way of a decimal number, which has every digit."""
        return whole(value, type_)

    def create_schema(self, schema: str) -> exp.Expr:
        """At the target's location, where it says one."""
        create = super().create_schema(schema)
        if self.location is not None:
            place = exp.convert(f"{self.location.rstrip('/')}/{schema.rpartition('.')[2]}")
            create.set("properties", exp.Properties(expressions=[exp.LocationProperty(this=place)]))
        return create

    def create_table(
        self, table: exp.Table, columns: Sequence[exp.ColumnDef | exp.PrimaryKey | exp.ForeignKey]
    ) -> exp.Expr:
        """In the target's table format."""
        made = [column.copy() for column in columns]
        for constraint in [found for column in made for found in column.find_all(exp.NotNullColumnConstraint)]:
            if not self.not_null and constraint.parent is not None:
                constraint.parent.pop()
        return self._in_format(super().create_table(table, made))

    def layout_problems(self, layout: TableLayout) -> Iterable[tuple[str, str]]:
        """Tables of Delta have partitions by columns, or an order, and not both."""
        return layouts.problems_of_delta(layout) if self.table_format == "delta" else ()

    def lay_out(self, create: exp.Expr, layout: TableLayout) -> list[exp.Expr]:
        """Partitions stand in CREATE TABLE; so does the order of Delta, and that of Iceberg in ALTER TABLE."""
        make = layouts.of_delta if self.table_format == "delta" else layouts.of_iceberg
        return make(create, layout)

    def create_table_as(self, table: exp.Table, query: exp.Query) -> list[exp.Expr]:
        """One commit in the target's table format."""
        return [self._in_format(statement) for statement in super().create_table_as(table, query)]

    def write_full(self, table: exp.Table, columns: Sequence[str], query: exp.Query) -> list[exp.Expr]:
        """`INSERT OVERWRITE`: one commit, so that a reader sees the rows of before or the new ones."""
        _, insert = super().write_full(table, columns, query)
        insert.set("overwrite", True)
        return [insert]

    def numbered(self, query: exp.Select, order: Sequence[exp.Expr], name: str) -> exp.Select:
        """By buckets that follow each other, so that no task has all rows; see `numbering`."""
        return number_by_buckets(query, order, name) or super().numbered(query, order, name)

    def hash_id(self, text: exp.Expr) -> exp.Expr:
        """From two halves of the hexadecimal digits: `conv` gives numbers without sign, and BIGINT has one."""
        digits = exp.MD5(this=text)
        high, low = (_of_hexadecimal(digits.copy(), start) for start in (1, 9))
        shifted = exp.Mul(this=high, expression=exp.Literal.number(2**31))
        rest = exp.Anonymous(this="SHIFTRIGHT", expressions=[low, exp.convert(1)])
        return exp.Paren(this=exp.Add(this=shifted, expression=rest))

    def row_as_json(self, alias: str) -> exp.Expr:
        """By way of a struct of the columns."""
        every = exp.Column(this=exp.Star(), table=exp.to_identifier(alias, quoted=True))
        struct = exp.Anonymous(this="STRUCT", expressions=[every])
        options = exp.Anonymous(this="MAP", expressions=[exp.convert("ignoreNullFields"), exp.convert("false")])
        return exp.Anonymous(this="TO_JSON", expressions=[struct, options])

    def render(self, statement: exp.Expr, schemas: Mapping[str, str]) -> str:
        """The statement as SQL text, in words that mean the same as in the compiler's tree."""
        # A copy, because the compiler may have one node in two places, of which a rewriting would reach one.
        found = rewritten(_ONCE.rewrite(statement.copy()))
        if isinstance(found, exp.Comment) and isinstance(found.this, exp.Column):
            return super().render(_commented(found.this, found.expression), {})  # its name is a physical one
        if not isinstance(found, exp.Insert) or found.expression.find(exp.With) is None:
            return super().render(found, schemas)
        # sqlglot would put named queries before INSERT, where not every server of Spark Connect reads them.
        query = super().render(found.expression.pop(), schemas)
        return f"{super().render(found, schemas)}\n{query}"

    def _in_format(self, create: exp.Expr) -> exp.Expr:
        format_ = exp.FileFormatProperty(this=exp.var(self.table_format.upper()))
        create.set("properties", exp.Properties(expressions=[format_]))
        return create


def _of_hexadecimal(digits: exp.Expr, start: int) -> exp.Expr:
    """Eight hexadecimal digits as a number."""
    some = exp.Substring(this=digits, start=exp.convert(start), length=exp.convert(8))
    number = exp.Anonymous(this="CONV", expressions=[some, exp.convert(16), exp.convert(10)])
    return exp.Cast(this=number, to=exp.DataType.build("bigint"))


def _commented(column: exp.Column, text: exp.Expr) -> exp.Alter:
    """A comment of a column, as Spark spells it."""
    table = exp.Table(this=column.args["table"], db=column.args.get("db"), catalog=column.args.get("catalog"))
    action = exp.AlterColumn(this=column.this, comment=text)
    return exp.Alter(this=table, kind="TABLE", actions=[action])
