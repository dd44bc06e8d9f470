"""The capabilities that a generator declares: each is tried, and one that is declared missing has to be missing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sqlglot import exp

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.compiler import trees
from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import StatementError
from omopcloudetl.core.merge_sql import merge_into
from omopcloudetl.core.models.layout import TableLayout
from omopcloudetl.testkit.bench import NUMBERS, Bench
from omopcloudetl.testkit.outcome import ConformanceError, expect, expect_equal
from omopcloudetl.testkit.promises.promise import promises

PARENT, CHILD = "work.kit_parent", "work.kit_child"


def transactional_ddl(bench: Bench) -> None:
    """A table that is made in a transaction is gone when that is rolled back."""
    with bench.session() as connection:
        bench.numbers(connection, 1)
        table = trees.table("work.kit_new")
        create = bench.generator.create_table(table, [_column(bench, "n")])
        with suppress(LookupError), connection.transaction():
            connection.execute(bench.render(create))
            raise LookupError
        expect(not connection.table_exists(bench.physical("work.kit_new")), "the table is there after the rollback")


def create_or_replace(bench: Bench) -> None:
    """`CREATE OR REPLACE TABLE … AS` replaces a table."""
    with bench.session() as connection:
        bench.numbers(connection, 1)
        for name in ("a", "b"):
            query = exp.select(exp.alias_(trees.column("n"), name, quoted=True)).from_(trees.table(NUMBERS))
            create = exp.Create(this=trees.table("work.kit_new"), kind="TABLE", replace=True, expression=query)
            connection.execute(bench.render(create))
        found = [name for name, _ in connection.columns(bench.physical("work.kit_new"))]
        expect_equal(found, ["b"], "columns of the table that was replaced")


def try_cast(bench: Bench) -> None:
    """The engine's own TRY_CAST gives NULL for what cannot be read."""
    with bench.session() as connection:
        found = []
        for text in ("7", "x"):
            cast = exp.alias_(trees.try_cast(trees.text(text), bench.generator.data_type("integer")), "n", quoted=True)
            query = exp.Select(expressions=[cast])
            sql = bench.render(query)
            expect("TRY_CAST" in sql.upper(), f"the dialect spells it without TRY_CAST: {sql}")
            found.append(connection.fetch(sql)[0][0])
        expect_equal(found, [7, None], "casts of '7' and 'x'")


def not_null(bench: Bench) -> None:
    """A column that is NOT NULL refuses NULL."""
    constraint = exp.ColumnConstraint(kind=exp.NotNullColumnConstraint())
    with bench.session() as connection:
        _make(bench, connection, CHILD, [_column(bench, "n", constraint)])
        _refused(connection, bench.render(_insert(CHILD, exp.Null())), "NULL")


def primary_keys(bench: Bench) -> None:
    """A table may be made with a primary key, and takes rows of different keys."""
    with bench.session() as connection:
        _make(bench, connection, PARENT, [_column(bench, "n", _primary())])
        for value in (1, 2):
            connection.execute(bench.render(_insert(PARENT, exp.convert(value))))
        expect_equal(sorted(bench.rows(connection, PARENT, ["n"])), [(1,), (2,)], "rows of the table")


def add_primary_key(bench: Bench) -> None:
    """A primary key may be added to a table that is there, and takes rows of different keys."""
    required = exp.ColumnConstraint(kind=exp.NotNullColumnConstraint())
    with bench.session() as connection:
        _make(bench, connection, PARENT, [_column(bench, "n", required)])
        connection.execute(bench.render(_insert(PARENT, exp.convert(1))))
        connection.execute(bench.render(bench.generator.add_primary_key(trees.table(PARENT), ["n"])))
        connection.execute(bench.render(_insert(PARENT, exp.convert(2))))
        expect_equal(sorted(bench.rows(connection, PARENT, ["n"])), [(1,), (2,)], "rows of the table")


def foreign_keys(bench: Bench) -> None:
    """A table may be made with a foreign key to a table of the same schema."""
    with bench.session() as connection:
        _make(bench, connection, PARENT, [_column(bench, "n", _primary())])
        _make(bench, connection, CHILD, [_column(bench, "n"), _foreign(PARENT)])


def foreign_keys_across_schemas(bench: Bench) -> None:
    """A table may be made with a foreign key to a table of another schema."""
    with bench.session() as connection:
        _make(bench, connection, "cdm.kit_parent", [_column(bench, "n", _primary())])
        _make(bench, connection, CHILD, [_column(bench, "n"), _foreign("cdm.kit_parent")])


def add_foreign_key(bench: Bench) -> None:
    """A foreign key may be added to a table that is there."""
    with bench.session() as connection:
        _make(bench, connection, PARENT, [_column(bench, "n", _primary())])
        _make(bench, connection, CHILD, [_column(bench, "n")])
        action = exp.AddConstraint(expressions=[_foreign(PARENT)])
        connection.execute(bench.render(exp.Alter(this=trees.table(CHILD), kind="TABLE", actions=[action])))


def comment_on_column(bench: Bench) -> None:
    """A column of the catalogue takes a comment."""
    with bench.session() as connection:
        _make(bench, connection, CHILD, [_column(bench, "n")])
        *catalog, schema, table = bench.physical(CHILD)
        column = exp.Column(
            this=trees.identifier("n"),
            table=trees.identifier(table),
            db=trees.identifier(schema),
            catalog=trees.identifier(catalog[0]) if catalog else None,
        )
        comment = exp.Comment(this=column, kind="COLUMN", expression=trees.text('it\'s "n"'))
        connection.execute(bench.render(comment))


def table_layout(bench: Bench) -> None:
    """A table in partitions is replaced as a whole, its partitions that get no rows included."""
    with bench.session() as connection:
        bench.numbers(connection, 1, 2)
        bench.make_schema(connection, CHILD)
        create = bench.generator.create_table(trees.table(CHILD), [_column(bench, "n"), _column(bench, "same")])
        for tree in bench.generator.lay_out(create, TableLayout(partition=("n",))):
            connection.execute(bench.render(tree))
        for least in (1, 2):
            kept = exp.GTE(this=trees.column("n"), expression=exp.convert(least))
            values = trees.column("n"), exp.alias_(trees.column("n"), "same", quoted=True)
            query = exp.select(*values).from_(trees.table(NUMBERS)).where(kept)
            for tree in bench.generator.write_full(trees.table(CHILD), ["n", "same"], query):
                connection.execute(bench.render(tree))
        expect_equal(bench.rows(connection, CHILD, ["n", "same"]), [(2, 2)], "rows of the table")


def merge(bench: Bench) -> None:
    """MERGE INTO changes what differs and inserts what is new."""
    with bench.session() as connection:
        numbers = bench.numbers(connection, 1, 2)
        query = exp.select(exp.alias_(exp.convert(3), "n", quoted=True))
        connection.execute(bench.render(merge_into(trees.table(NUMBERS), "n", ["n"], query)))
        expect_equal(numbers(), [1, 2, 3], "numbers after the merge")


def _make(bench: Bench, connection: BaseConnection, table: str, columns: Sequence[exp.Expr]) -> None:
    bench.make_schema(connection, table)
    definitions = [c for c in columns if isinstance(c, exp.ColumnDef | exp.PrimaryKey | exp.ForeignKey)]
    connection.execute(bench.render(bench.generator.create_table(trees.table(table), definitions)))


def _column(bench: Bench, name: str, *constraints: exp.ColumnConstraint) -> exp.ColumnDef:
    kind = bench.generator.data_type("integer")
    return exp.ColumnDef(this=trees.identifier(name), kind=kind, constraints=list(constraints))


def _primary() -> exp.ColumnConstraint:
    return exp.ColumnConstraint(kind=exp.PrimaryKeyColumnConstraint())


def _foreign(parent: str) -> exp.ForeignKey:
    target = exp.Schema(this=trees.table(parent), expressions=[trees.identifier("n")])
    return exp.ForeignKey(expressions=[trees.identifier("n")], reference=exp.Reference(this=target))


def _insert(table: str, value: exp.Expr) -> exp.Insert:
    rows = exp.Values(expressions=[exp.Tuple(expressions=[value])])
    return exp.Insert(this=exp.Schema(this=trees.table(table), expressions=[trees.identifier("n")]), expression=rows)


def _refused(connection: BaseConnection, sql: str, what: str) -> None:
    try:
        connection.execute(sql)
    except StatementError:
        return
    raise ConformanceError(f"{what} is not refused: {sql}")


PROMISES = tuple(
    promise
    for capability, function in {
        Capability.TRANSACTIONAL_DDL: transactional_ddl,
        Capability.CREATE_OR_REPLACE: create_or_replace,
        Capability.TRY_CAST: try_cast,
        Capability.NOT_NULL: not_null,
        Capability.PRIMARY_KEYS: primary_keys,
        Capability.ADD_PRIMARY_KEY: add_primary_key,
        Capability.FOREIGN_KEYS: foreign_keys,
        Capability.FOREIGN_KEYS_ACROSS_SCHEMAS: foreign_keys_across_schemas,
        Capability.ADD_FOREIGN_KEY: add_foreign_key,
        Capability.COMMENT_ON_COLUMN: comment_on_column,
        Capability.TABLE_LAYOUT: table_layout,
        Capability.MERGE: merge,
    }.items()
    for promise in promises("capabilities", (capability,), function)
)
