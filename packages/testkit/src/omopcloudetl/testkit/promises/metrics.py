"""Metrics: how many rows a statement changed."""

from __future__ import annotations

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.testkit.bench import NUMBERS, Bench
from omopcloudetl.testkit.outcome import expect, expect_equal
from omopcloudetl.testkit.profile import Feature
from omopcloudetl.testkit.promises.promise import promises


def inserted_rows_are_counted(bench: Bench) -> None:
    """Rows that are inserted are counted, also where there are none."""
    with bench.session() as connection:
        bench.numbers(connection, 1, 2, 3)
        for least, expected in ((2, 2), (9, 0)):
            rows = exp.select(trees.column("n")).from_(trees.table(NUMBERS))
            rows = rows.where(exp.GTE(this=trees.column("n"), expression=exp.convert(least)))
            sql = bench.render(exp.Insert(this=trees.table(NUMBERS), expression=rows))
            expect_equal(connection.execute(sql).rows_affected, expected, f"rows of {sql}")


def rows_are_counted(bench: Bench) -> None:
    """Rows that are updated and deleted are counted, also where there are none."""
    n = trees.column("n")
    update = exp.update(trees.table(NUMBERS), {"n": exp.Add(this=n, expression=exp.convert(10))})
    with bench.session() as connection:
        bench.numbers(connection, 1, 2, 3, 1, 2, 3)
        for tree, expected in (
            (update.where(exp.LT(this=n.copy(), expression=exp.convert(3))), 4),
            (update.copy().where(exp.LT(this=n.copy(), expression=exp.convert(0))), 0),
            (exp.delete(trees.table(NUMBERS)).where(exp.GT(this=n.copy(), expression=exp.convert(5))), 4),
        ):
            sql = bench.render(tree)
            expect_equal(connection.execute(sql).rows_affected, expected, f"rows of {sql}")


def time_is_measured(bench: Bench) -> None:
    """A statement says how many seconds it took."""
    with bench.session() as connection:
        seconds = connection.execute(bench.render(bench.generator.create_schema(bench.schemas()["work"]))).seconds
        expect(0 < seconds < 600, f"a small statement took {seconds} seconds")


def a_merge_counts_what_it_changes(bench: Bench) -> None:
    """Of equal, changed and new rows only the last two are written."""
    with bench.session() as connection:
        bench.make_table(connection, "work.kit_target", {"id": "bigint", "text": "text"})
        bench.add_rows(connection, "work.kit_target", {"id": "bigint", "text": "text"}, "id,text\n1,a\n2,b\n3,\n4,d\n")
        bench.make_table(connection, "work.kit_source", {"id": "bigint", "text": "text"})
        new = "id,text\n1,a\n2,x\n3,\n5,e\n"
        bench.add_rows(connection, "work.kit_source", {"id": "bigint", "text": "text"}, new)
        query = exp.select(trees.column("id"), trees.column("text")).from_(trees.table("work.kit_source"))
        table = trees.table("work.kit_target")
        with connection.transaction():
            found = [
                connection.execute(bench.render(tree)).rows_affected
                for tree in bench.generator.merge(table, "id", ["id", "text"], query)
            ]
        expect_equal(found[-1], 2, "rows that a merge of one changed and one new row wrote")
        rows = sorted(bench.rows(connection, "work.kit_target", ["id", "text"]), key=repr)
        expect_equal(rows, [(1, "a"), (2, "x"), (3, None), (4, "d"), (5, "e")], "rows after a merge")


PROMISES = promises(
    "metrics",
    (Feature.METRICS,),
    inserted_rows_are_counted,
    rows_are_counted,
    time_is_measured,
    a_merge_counts_what_it_changes,
)
