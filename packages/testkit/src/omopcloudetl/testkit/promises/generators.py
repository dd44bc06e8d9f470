"""What a generator's methods make: numbers of rows, merges, hashes, JSON, joins with the latest row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from sqlglot import exp

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.compiler import trees
from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.testkit.bench import Bench
from omopcloudetl.testkit.outcome import expect_equal
from omopcloudetl.testkit.profile import Feature
from omopcloudetl.testkit.promises.promise import promises

VALUES = "work.kit_values"
TYPES: Mapping[str, str] = {"id": "bigint", "text": "text", "number": "float", "day": "date"}
ROWS = "id,text,number,day\n1,b,2.5,2020-01-02\n2,a,,2020-01-01\n3,,1.5,\n4,B,0.1,2020-01-01\n5,é,-1,2019-12-31\n"


def rows_are_numbered_in_their_order(bench: Bench) -> None:
    """`numbered` gives 1, 2, 3 … in the order of columns that need not be among the results, NULL last."""
    with bench.session() as connection:
        _fill(bench, connection)
        query = exp.select(trees.column("id", "v")).from_(trees.table(VALUES, "v"))
        by_text = bench.generator.numbered(query.copy(), [trees.column("text", "v")], "n")
        expect_equal(_sorted(bench, connection, by_text), [(1, 4), (2, 2), (3, 1), (4, 5), (5, 3)], "numbers by text")
        order = [trees.column("day", "v"), trees.column("number", "v")]
        by_day = bench.generator.numbered(query.copy(), order, "n")
        expect_equal(_sorted(bench, connection, by_day), [(1, 5), (2, 4), (3, 2), (4, 1), (5, 3)], "numbers by day")


def a_table_becomes_a_query(bench: Bench) -> None:
    """`create_table_as` makes a table exactly the query's result, also where it was there with other columns."""
    with bench.session() as connection:
        _fill(bench, connection)
        bench.numbers(connection, 7)
        target = "work.kit_copy"
        for columns in (["id", "text"], ["day"]):
            query = exp.select(*map(trees.column, columns)).from_(trees.table(VALUES))
            for tree in bench.generator.create_table_as(trees.table(target), query):
                connection.execute(bench.render(tree))
            found = [name for name, _ in connection.columns(bench.physical(target))]
            expect_equal(found, columns, "columns of the table")
            expect_equal(len(bench.rows(connection, target, columns)), 5, "rows of the table")


def a_table_is_written_in_full(bench: Bench) -> None:
    """`write_full` leaves exactly the query's rows, by the names of the columns, in whatever order."""
    found = _written_in_full(bench, ["number", "text", "day", "id"])
    expect_equal(found, [(1, "b", 2.5), (2, "a", None), (3, None, 1.5), (4, "B", 0.1), (5, "é", -1.0)], "rows")


def columns_that_are_left_out_are_null(bench: Bench) -> None:
    """`write_full` of some columns leaves NULL in the others."""
    found = _written_in_full(bench, ["text", "id"])
    expect_equal(found, [(1, "b", None), (2, "a", None), (3, None, None), (4, "B", None), (5, "é", None)], "rows")


def _written_in_full(bench: Bench, columns: list[str]) -> list[tuple[object, ...]]:
    """Id, text and number of the rows of a table that held another one."""
    with bench.session() as connection:
        _fill(bench, connection)
        bench.make_table(connection, "work.kit_target", TYPES)
        bench.add_rows(connection, "work.kit_target", TYPES, "id,text,number,day\n9,gone,,\n")
        query = exp.select(*map(trees.column, columns)).from_(trees.table(VALUES))
        with connection.transaction():
            for tree in bench.generator.write_full(trees.table("work.kit_target"), columns, query):
                connection.execute(bench.render(tree))
        return sorted(bench.rows(connection, "work.kit_target", ["id", "text", "number"]), key=repr)


def each_row_has_the_latest_of_others(bench: Bench) -> None:
    """`join_latest` joins the row with the greatest time that is not after; NULL where there is none."""
    types = {"who": "bigint", "at": "datetime", "name": "text"}
    with bench.session() as connection:
        bench.make_table(connection, "work.kit_rows", types)
        rows = (
            "who,at,name\n1,2020-01-01,r1\n1,2020-01-05,r2\n1,2020-01-09,r3\n2,2020-01-05,r4\n,2020-01-05,r5\n1,,r6\n"
        )
        bench.add_rows(connection, "work.kit_rows", types, rows)
        bench.make_table(connection, "work.kit_others", types)
        others = "who,at,name\n1,2020-01-02,o1\n1,2020-01-05,o2\n1,2020-01-20,o3\n2,2020-01-06,o4\n,2020-01-01,o5\n"
        bench.add_rows(connection, "work.kit_others", types, others)
        query = exp.select(trees.column("name", "r"), trees.column("name", "o")).from_(exp.to_table("r"))
        query = bench.generator.join_latest(query, "r", "o", ("who", "who"), ("at", "at"))
        for cte, table in (("r", "work.kit_rows"), ("o", "work.kit_others")):
            everything = exp.select(*map(trees.column, types)).from_(trees.table(table))
            query = query.with_(exp.to_identifier(cte, quoted=True), as_=everything)
        found = sorted([tuple(row) for row in connection.fetch(bench.render(query))], key=repr)
        expected = [("r1", None), ("r2", "o2"), ("r3", "o2"), ("r4", None), ("r5", None), ("r6", None)]
        expect_equal(found, expected, "rows with the latest of others")


def hashes_are_the_same_everywhere(bench: Bench) -> None:
    """`hash_id` is the first 63 bits of the MD5 of the text in UTF-8, the high byte first."""
    texts = ["", "a", "p|1", "~N", "é😀", "x" * 1000, "0", "patient 4711"]
    with bench.session() as connection:
        for text in texts:
            query = exp.Select(expressions=[exp.alias_(bench.generator.hash_id(trees.text(text)), "id", quoted=True)])
            ((found,),) = connection.fetch(bench.render(query))
            expected = int.from_bytes(hashlib.md5(text.encode()).digest()[:8], "big") >> 1
            expect_equal(found, expected, f"the hash of {text[:20]!r}")


def rows_become_json(bench: Bench) -> None:
    """`row_as_json` has every column of a row in the table's order, NULL as null, also a column of the alias's name."""
    types = {"id": "text", "v": "text", 'a "b"': "text", "last": "text"}
    with bench.session() as connection:
        bench.make_table(connection, VALUES, types)
        bench.add_rows(connection, VALUES, types, 'id,v,"a ""b""",last\n1,it\'s,"é ""q"" \\",\n')
        query = exp.Select(expressions=[exp.alias_(bench.generator.row_as_json("v"), "json", quoted=True)])
        query.set("from_", exp.From(this=trees.table(VALUES, "v")))
        ((found,),) = connection.fetch(bench.render(query))
        expected = {"id": "1", "v": "it's", 'a "b"': 'é "q" \\', "last": None}
        expect_equal(list(json.loads(str(found)).items()), list(expected.items()), "the row as JSON")


def _fill(bench: Bench, connection: BaseConnection) -> None:
    bench.make_table(connection, VALUES, TYPES)
    bench.add_rows(connection, VALUES, TYPES, ROWS)


def _sorted(bench: Bench, connection: BaseConnection, query: exp.Select) -> list[tuple[object, ...]]:
    return sorted(tuple(row) for row in connection.fetch(bench.render(query)))


PROMISES = promises("order", (Feature.ORDER,), rows_are_numbered_in_their_order)
PROMISES += promises("writes", (Feature.WRITES,), a_table_becomes_a_query, a_table_is_written_in_full)
PROMISES += promises("writes", (Feature.WRITES, Capability.PARTIAL_INSERT), columns_that_are_left_out_are_null)
PROMISES += promises("derived", (Feature.DERIVED,), each_row_has_the_latest_of_others)
PROMISES += promises("ids", (Capability.HASH_IDS,), hashes_are_the_same_everywhere)
PROMISES += promises("texts", (Capability.ROW_AS_JSON,), rows_become_json)
