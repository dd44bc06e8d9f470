"""Loads by the engine: all of the files in one transaction, or what was there; Parquet."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.connection import BaseConnection, LoadMetrics
from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep, LoadColumn, Origin, RejectOptions
from omopcloudetl.testkit.bench import Bench
from omopcloudetl.testkit.outcome import ConformanceError, expect, expect_equal
from omopcloudetl.testkit.profile import Feature
from omopcloudetl.testkit.promises.promise import promises

TABLE = "source.kit_values"
PARQUET = files("omopcloudetl.testkit") / "files" / "values.parquet"


class _Stopped(Exception):  # noqa: N818  # no error of anybody: it ends a load
    """Raised at the end of a load."""


def a_failed_load_leaves_what_was(bench: Bench) -> None:
    """A load that fails leaves the table's earlier rows, and one that succeeds leaves none of them."""
    with bench.session() as connection:
        bench.make_schema(connection, TABLE)
        _load(bench, connection, "id,text\n1,a\n2,b\n")
        try:
            _load(bench, connection, "id,text\n3,c\n4,d,too many\n")
        except LoadError:
            pass
        else:
            raise ConformanceError("a record with too many values is loaded")
        expect_equal(_rows(bench, connection), [("1", "a"), ("2", "b")], "rows after a load that failed")
        _load(bench, connection, "id,text\n3,c\n")
        expect_equal(_rows(bench, connection), [("3", "c")], "rows after a load that succeeded")


def a_quoted_value_that_does_not_end(bench: Bench) -> None:
    """A file that ends within a quoted value is refused, though its last column could take all that follows."""
    with bench.session() as connection:
        bench.make_schema(connection, TABLE)
        expect_equal(_load(bench, connection, 'id,text\n1,"a\n2"\n').rows_loaded, 1, "rows of a value of two lines")
        try:
            loaded = _load(bench, connection, 'id,text\n1,"a\n2,b\n3,c\n')
        except LoadError:
            return
        raise ConformanceError(f"a quote that nobody has closed takes two records, and {loaded.rows_loaded} is loaded")


def done_is_within_the_transaction(bench: Bench) -> None:
    """`done` is called once with what was loaded, and what it records is committed with the rows, or neither is."""
    told: list[LoadMetrics] = []
    with bench.session() as connection:
        bench.make_schema(connection, TABLE)
        bench.make_table(connection, "work.kit_done", {"rows": "bigint"})
        record = bench.physical("work.kit_done")

        def done(metrics: LoadMetrics) -> None:
            told.append(metrics)
            connection.record(record, ["rows"], [[metrics.rows_loaded]])

        def stop(metrics: LoadMetrics) -> None:
            done(metrics)
            raise _Stopped

        step = _step(bench, "id,text\n1,a\n2,b\n")
        connection.bulk_load(step, base=bench.target.base, done=done)
        expect_equal([metrics.rows_loaded for metrics in told], [2], "what `done` is told")
        try:
            connection.bulk_load(_step(bench, "id,text\n3,c\n"), base=bench.target.base, done=stop)
        except _Stopped:
            pass
        else:
            raise ConformanceError("the exception of `done` did not come out")
        expect_equal(_rows(bench, connection), [("1", "a"), ("2", "b")], "rows after `done` raised")
        expect_equal(bench.rows(connection, "work.kit_done", ["rows"]), [(2,)], "records after `done` raised")


def metrics_of_loads(bench: Bench) -> None:
    """A load says how many rows, files and bytes it read, and a digest that changes with the files."""
    with bench.session() as connection:
        bench.make_schema(connection, TABLE)
        first = _load(bench, connection, "id,text\n1,a\n2,b\n")
        found = (first.rows_loaded, first.rows_rejected, first.files)
        expect_equal(found, (2, 0, 1), "rows loaded, rows rejected and files")
        expect(first.bytes_read in (None, 16), f"a file of 16 bytes has {first.bytes_read}")
        expect(first.seconds > 0, "the load took no time")
        second = _load(bench, connection, "id,text\n1,a\n2,b\n3,c\n")
        same = first.files_digest is not None and first.files_digest == second.files_digest
        expect(not same, "another file has the same digest")


def lines(bench: Bench) -> None:
    """Records that are set aside are told with their lines, as if no value had line breaks."""
    types = dict.fromkeys(("load_step", "table_name", "file", "reason", "text"), "text") | {"line": "bigint"}
    with bench.session() as connection:
        bench.make_schema(connection, TABLE)
        bench.make_table(connection, "work.rejected_rows", types)
        rejects = RejectOptions(max_rejected=2, table=tuple(bench.physical("work.rejected_rows")))
        step = _step(bench, 'id,text\n1,a\n2,b,c\n3,"two\nlines"\n4\n5,e\n').model_copy(update={"rejects": rejects})
        connection.bulk_load(step, base=bench.target.base)
        expect_equal(sorted(bench.rows(connection, "work.rejected_rows", ["line"])), [(3,), (5,)], "lines")


def parquet(bench: Bench) -> None:
    """Columns of Parquet keep their types and their NULLs."""
    with bench.session() as connection:
        _load_parquet(bench, connection, bench.target.base, "create")


def parquet_in_place(bench: Bench) -> None:
    """A view of a Parquet file has its rows."""
    with bench.session() as connection:
        _load_parquet(bench, connection, bench.target.base, "view")


def _load_parquet(bench: Bench, connection: BaseConnection, base: Path, mode: str) -> None:
    bench.make_schema(connection, TABLE)
    (base / "values.parquet").write_bytes(PARQUET.read_bytes())
    content = _step(bench, "").model_dump()
    step = BulkLoadStep.model_validate(content | {"uri": "values.parquet", "format": "parquet", "mode": mode})
    metrics = connection.bulk_load(step, base=base)
    expect_equal(metrics.rows_loaded, 3, "rows loaded")
    found = sorted(bench.rows(connection, TABLE, ["id", "text", "number"]), key=repr)
    expect_equal(found, [(1, "a", 1.5), (2, None, -0.25), (9007199254740993, "é😀", None)], "rows of the file")


def _load(bench: Bench, connection: BaseConnection, content: str) -> LoadMetrics:
    return connection.bulk_load(_step(bench, content), base=bench.target.base)


def _step(bench: Bench, content: str) -> BulkLoadStep:
    """A load of a file with this content."""
    (bench.target.base / "values.csv").write_bytes(content.encode())
    return BulkLoadStep(
        name="source_kit_values",
        summary="load the kit's values",
        writes=(TABLE,),
        origin=Origin(file="workflow.yaml", line=1),
        uri="values.csv",
        format="csv",
        table=tuple(bench.physical(TABLE)),
        mode="create",
        columns=(LoadColumn(name="id"), LoadColumn(name="text")),
    )


def _rows(bench: Bench, connection: BaseConnection) -> list[tuple[object, ...]]:
    return sorted(bench.rows(connection, TABLE, ["id", "text"]), key=repr)


PROMISES = promises(
    "loads",
    (Feature.LOADS, Capability.LOAD_CSV),
    a_failed_load_leaves_what_was,
    a_quoted_value_that_does_not_end,
    metrics_of_loads,
)
PROMISES += promises(
    "loads", (Feature.LOADS, Capability.LOAD_CSV, Capability.TRANSACTIONS), done_is_within_the_transaction
)
PROMISES += promises("loads", (Capability.LOAD_PARQUET,), parquet)
PROMISES += promises("loads", (Capability.LOAD_IN_PLACE,), parquet_in_place)
PROMISES += promises("rejects", (Feature.REJECTS, Feature.REJECTED_LINES, Capability.LOAD_REJECTS), lines)
