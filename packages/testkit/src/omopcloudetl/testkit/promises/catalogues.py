"""The catalogue: which tables there are, with which columns; and texts of a megabyte."""

from __future__ import annotations

from omopcloudetl.testkit.bench import Bench
from omopcloudetl.testkit.outcome import expect, expect_equal
from omopcloudetl.testkit.profile import Feature
from omopcloudetl.testkit.promises.promise import promises

NAMES = ("plain", "MixedCase", "UPPER", "select", "two words", 'say "hi"', "âge", "a.b", "x; DROP TABLE y --", "it's")
LONG = 1_000_000


def tables_are_found_by_any_name(bench: Bench) -> None:
    """A table of any name exists once it was made, with its columns in order and as they were written."""
    for name in NAMES:
        with bench.session() as connection:
            table = f"work.{name.replace('.', '_')}"  # a logical name has one point
            columns = {name: "integer", f"{name} 2": "text", "b": "date"}
            expect(not connection.table_exists(bench.physical(table)), f"{table!r} exists before it was made")
            bench.make_table(connection, table, columns)
            expect(connection.table_exists(bench.physical(table)), f"{table!r} does not exist after it was made")
            found = [column for column, _ in connection.columns(bench.physical(table))]
            expect_equal(found, list(columns), f"columns of {table!r}")


def names_of_63_characters_are_whole(bench: Bench) -> None:
    """Columns that differ in the last of 63 characters are two, and neither is cut."""
    columns = {f"{'n' * 62}{last}": "integer" for last in "ab"}
    with bench.session() as connection:
        bench.make_table(connection, f"work.{'t' * 63}", columns)
        found = [name for name, _ in connection.columns(bench.physical(f"work.{'t' * 63}"))]
        expect_equal(found, list(columns), "columns with long names")


def no_table_has_no_columns(bench: Bench) -> None:
    """A table that is not there does not exist and has no columns, also in a schema that is not there."""
    with bench.session() as connection:
        bench.numbers(connection)
        for table in (bench.physical("work.nothing"), ["no_such_schema", "kit_numbers"]):
            expect(not connection.table_exists(table), f"{table} exists")
            expect_equal(connection.columns(table), [], f"columns of {table}")


PROMISES = promises(
    "identifiers",
    (Feature.IDENTIFIERS,),
    tables_are_found_by_any_name,
    names_of_63_characters_are_whole,
    no_table_has_no_columns,
)


def a_megabyte(bench: Bench) -> None:
    """A text of a megabyte is inserted, recorded and read whole."""
    text = "é😀'\\ x" * (LONG // 6)
    with bench.session() as connection:
        bench.make_table(connection, "work.kit_texts", {"text": "text"})
        connection.record(bench.physical("work.kit_texts"), ["text"], [[text]])
        bench.add_rows(connection, "work.kit_texts", {"text": "text"}, f'text\n"{text}"\n')
        found = bench.rows(connection, "work.kit_texts", ["text"])
        expect_equal([len(str(row[0])) for row in found], [len(text)] * 2, "lengths of the texts")
        expect(all(row[0] == text for row in found), "a text of a megabyte is not what it was")


PROMISES += promises("texts", (Feature.TEXTS,), a_megabyte)
