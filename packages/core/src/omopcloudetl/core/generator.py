"""The contract of a dialect: mostly a declaration, plus how it casts, creates and writes."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

from sqlglot import ErrorLevel, exp
from sqlglot.errors import UnsupportedError

from omopcloudetl.core.capabilities import FULL, UNDECLARED, Capability, Support
from omopcloudetl.core.latest_sql import join_latest
from omopcloudetl.core.merge_sql import delete_and_insert, merge_into
from omopcloudetl.core.models.layout import TableLayout

TableName = tuple[str, ...]
"""A logical name (schema, table) or a physical one of two or three parts."""


class BaseSQLGenerator(ABC):
    """Turns ASTs over logical names into one engine's SQL.

    A provider subclasses it once and fills in the class variables; the methods are for what an engine
    does differently. Identifiers are always quoted; what the engine cannot say raises.
    """

    dialect: ClassVar[str]
    """sqlglot's name of the dialect."""
    types: ClassVar[Mapping[str, str]]
    """Specification type (`integer`, `float`, `datetime`, `varchar`, `text` …) → the engine's type."""
    capabilities: ClassVar[Mapping[Capability, Support]]
    names_once: ClassVar[bool] = True
    """Whether the engine computes once what a query names (`WITH`) and reads in several places.

    Where it does not, stages are made in two statements: `work.rows_<mapping>` first."""

    def support(self, capability: Capability) -> Support:
        """How the engine has a capability; what an older provider does not declare yet, it has not."""
        return self.capabilities.get(capability, UNDECLARED)

    def has(self, capability: Capability) -> bool:
        """Whether the engine has a capability in full."""
        return self.support(capability).level == "full"

    def data_type(self, type_: str) -> exp.DataType:
        """The engine's type for a specification type such as `varchar(50)` or `datetime`."""
        base, _, length = type_.partition("(")
        if length.rstrip(")").isdigit():
            return _parsed_type(f"{self.types['varchar']}({length}", self.dialect).copy()
        return _parsed_type(self.types["text" if length else base], self.dialect).copy()

    def enumeration(self, texts: Sequence[str]) -> exp.DataType | None:
        """A type for columns that hold one of these texts or NULL, cheaper than a text; None where there is none.

        It compares with texts, and goes into columns of text, as if it were one.
        """
        return None

    def read_time(self, text: exp.Expr, format_: str) -> exp.Expr:
        """A text as the timestamp it is in a format of strptime's directives, NULL where it is none."""
        return exp.Try(this=exp.StrToTime(this=text, format=exp.Literal.string(format_)))

    def read_whole(self, value: exp.Expr, type_: exp.DataType) -> exp.Expr:
        """The value as a whole number of a type, NULL where it is none: `2.7` is none, `2.0` is 2."""
        cast = exp.TryCast(this=value, to=type_)
        number = exp.TryCast(this=value.copy(), to=self.data_type("float"))
        exact = exp.EQ(this=number, expression=cast)
        return exp.Case(ifs=[exp.If(this=exact, true=cast.copy())])

    def create_schema(self, schema: str) -> exp.Expr:
        """`CREATE SCHEMA IF NOT EXISTS`."""
        parts = schema.split(".")
        name = exp.Table(
            db=exp.to_identifier(parts[-1]),
            catalog=exp.to_identifier(parts[0]) if len(parts) > 1 else None,
        )
        return exp.Create(this=name, kind="SCHEMA", exists=True)

    def create_table(
        self, table: exp.Table, columns: Sequence[exp.ColumnDef | exp.PrimaryKey | exp.ForeignKey]
    ) -> exp.Expr:
        """`CREATE TABLE IF NOT EXISTS` with the given columns and then the table's constraints."""
        return exp.Create(this=exp.Schema(this=table, expressions=list(columns)), kind="TABLE", exists=True)

    def add_primary_key(self, table: exp.Table, columns: Sequence[str]) -> exp.Expr:
        """`ALTER TABLE … ADD PRIMARY KEY`, for a table that is there, and filled; columns are NOT NULL.

        An engine that declares `Capability.ADD_PRIMARY_KEY` and no `PRIMARY_KEYS` is given it behind CREATE TABLE;
        repeated, it changes nothing there.
        """
        key = exp.PrimaryKey(expressions=[exp.to_identifier(name, quoted=True) for name in columns])
        return exp.Alter(this=table, kind="TABLE", actions=[exp.AddConstraint(expressions=[key])])

    def layout_problems(self, layout: TableLayout) -> Iterable[tuple[str, str]]:
        """What the engine cannot do of how a table is to lie in its files: (`partition` or `cluster`, what and why).

        Its columns are those of the table, and partitions by years, months and days are of dates or times.
        """
        return ()

    def lay_out(self, create: exp.Expr, layout: TableLayout) -> list[exp.Expr]:
        """The statements that make a table as `create`, of `create_table`, does, and say how it lies in its files.

        Repeated, they change nothing. Engines that can say it declare `Capability.TABLE_LAYOUT` and override this.
        """
        raise NotImplementedError(f"{self.dialect} declares no {Capability.TABLE_LAYOUT.name}")

    def create_table_as(self, table: exp.Table, query: exp.Query) -> list[exp.Expr]:
        """Make `table` exactly the query's result, whatever it was before."""
        return [exp.Create(this=table, kind="TABLE", replace=True, expression=query)]

    def write_full(self, table: exp.Table, columns: Sequence[str], query: exp.Query) -> list[exp.Expr]:
        """Make an existing table hold exactly the query's rows; the statements run in one transaction."""
        target = exp.Schema(this=table.copy(), expressions=[exp.to_identifier(c, quoted=True) for c in columns])
        return [exp.Delete(this=table), exp.Insert(this=target, expression=query)]

    def numbered(self, query: exp.Select, order: Sequence[exp.Expr], name: str) -> exp.Select:
        """The query with a first column `name`: the number of its row in an order of its own sources' columns.

        The numbers begin with 1 and have no gaps; NULLs come last. Rows that are equal in the order may be numbered in
        any order. A column of the order has its type where the compiler knows it.
        """
        ordered = exp.Order(expressions=[exp.Ordered(this=item, nulls_first=False) for item in order])
        number = exp.Window(this=exp.RowNumber(), order=ordered, over="OVER")
        query.set("expressions", [exp.alias_(number, name, quoted=True), *query.expressions])
        return query

    def merge(self, table: exp.Table, key: str, columns: Sequence[str], query: exp.Query) -> list[exp.Expr]:
        """Update the rows whose `key` the query has and that differ from its row; insert those the table lacks.

        Equal rows and rows whose key the query does not have are not touched. `columns` are those of the query,
        `key` among them, NULL in neither; the statements run in one transaction. Without `Capability.MERGE`,
        rows that differ are deleted and inserted again.
        """
        if self.has(Capability.MERGE):
            return [merge_into(table, key, columns, query)]
        return delete_and_insert(table, key, columns, query)

    def hash_id(self, text: exp.Expr) -> exp.Expr:
        """The first 63 bits of the MD5 of the text in UTF-8, big-endian, as a number that is not negative.

        Engines that can say it declare `Capability.HASH_IDS` and override this.
        """
        raise NotImplementedError(f"{self.dialect} declares no {Capability.HASH_IDS.name}")

    def row_as_json(self, alias: str) -> exp.Expr:
        """Every column of the table of an alias as one JSON object in a text, in the table's order.

        A column that has the alias's own name is one of them like any other. Engines that can say it declare
        `Capability.ROW_AS_JSON` and override this.
        """
        raise NotImplementedError(f"{self.dialect} declares no {Capability.ROW_AS_JSON.name}")

    def join_latest(
        self, query: exp.Select, rows: str, others: str, by: tuple[str, str], at: tuple[str, str]
    ) -> exp.Select:
        """The query, each row of `rows` joined to the row of `others` with the greatest time that is not after its own.

        `rows` is what the query reads; it and `others` are CTEs of it, and their names the aliases. `by` and `at` name
        the columns of both, in this order, that must be equal and that have the time; no two of `others` are equal in
        both. Without such a row, or where one of its own columns is NULL, a row is joined to NULLs.

        Engines that have a join for it, as `ASOF JOIN`, override this.
        """
        return join_latest(query, rows, others, by, at)

    def render(self, statement: exp.Expr, schemas: Mapping[str, str]) -> str:
        """The statement as SQL text, its logical schemas replaced by physical ones.

        Raises `sqlglot.errors.UnsupportedError` for what the dialect cannot express.
        """
        if statement.find(exp.TryCast) is not None:
            self._refuse_try_cast()
        for table in statement.find_all(exp.Table):
            _to_physical(table, schemas)
        return statement.sql(
            dialect=self.dialect,
            pretty=True,
            identify=True,
            copy=False,
            unsupported_level=ErrorLevel.RAISE,
        )

    def _refuse_try_cast(self) -> None:
        """Raise where the engine has none: sqlglot would spell a plain cast, which fails, or makes 0 of a text."""
        support = self.capabilities.get(Capability.TRY_CAST, FULL)
        if support.level != "full":
            raise UnsupportedError(f"{self.dialect} has no TRY_CAST: {support.reason}")


@lru_cache(maxsize=1024)
def _parsed_type(text: str, dialect: str) -> exp.DataType:
    """A type's tree, to be copied: a plan asks for a dozen types more than a thousand times."""
    return exp.DataType.build(text, dialect=dialect)


def _to_physical(table: exp.Table, schemas: Mapping[str, str]) -> None:
    physical = schemas.get(table.db)
    # A schema without a table, as in CREATE SCHEMA, is physical; its name may be a logical one by chance.
    if physical is None or table.catalog or not table.name:
        return
    *catalog, schema = physical.split(".")
    table.set("db", exp.to_identifier(schema, quoted=True))
    if catalog:
        table.set("catalog", exp.to_identifier(catalog[0], quoted=True))
