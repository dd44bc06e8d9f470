"""What a case is given: a target, its profile, and means to open sessions and to run projects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import CheckError, DatabaseError, ProjectError
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.testkit.cases import DataCase
from omopcloudetl.testkit.executor import Executed
from omopcloudetl.testkit.outcome import ConformanceError, expect, expect_equal
from omopcloudetl.testkit.projects import Database, ProjectFiles, as_if_it_loaded, compile_project
from omopcloudetl.testkit.rows import RowFile, insert_rows, replace_table
from omopcloudetl.testkit.target import Target

NUMBERS = "work.kit_numbers"
Refusal = (ProjectError, CheckError, DatabaseError)


@dataclass(frozen=True)
class Bench:
    """An empty database and what runs on it."""

    target: Target
    generator: BaseSQLGenerator

    @contextmanager
    def session(self) -> Iterator[BaseConnection]:
        """An open session."""
        with self.target.connection() as connection:
            yield connection

    def schemas(self) -> dict[str, str]:
        """Logical schema → physical schema."""
        return {name: name for name in ("source", "vocab", "cdm", "work")} | dict(self.target.schemas)

    def render(self, tree: exp.Expr) -> str:
        """A statement over logical names as the engine's SQL."""
        return self.generator.render(tree, self.schemas())

    def make_schema(self, connection: BaseConnection, table: str) -> None:
        """Make the schema of a logical table where it is not there."""
        connection.execute(self.render(self.generator.create_schema(self.schemas()[table.partition(".")[0]])))

    def make_table(self, connection: BaseConnection, table: str, columns: Mapping[str, str]) -> None:
        """Make a logical table, and its schema, with columns of these specification types."""
        self.make_schema(connection, table)
        for sql in replace_table(self.generator, table, columns, RowFile((), ()), self.schemas()):
            connection.execute(sql)

    def numbers(self, connection: BaseConnection, *values: int) -> Callable[[], list[object]]:
        """Make a table of numbers; the result reads them."""
        self.make_table(connection, NUMBERS, {"n": "bigint"})
        for value in values:
            connection.execute(self.insert_number(value))
        return lambda: self.read_numbers(connection)

    def insert_number(self, value: int) -> str:
        """A statement that adds a number."""
        rows = RowFile(("n",), ((str(value),),))
        return next(insert_rows(self.generator, NUMBERS, {"n": "bigint"}, rows, self.schemas()))

    def select_numbers(self) -> str:
        """A query for the numbers there are, the lowest first."""
        query = exp.select(trees.column("n")).from_(trees.table(NUMBERS)).order_by(trees.column("n"))
        return self.render(query)

    def read_numbers(self, connection: BaseConnection) -> list[object]:
        """The numbers there are, the lowest first."""
        return [row[0] for row in connection.fetch(self.select_numbers())]

    def set_numbers(self, value: int) -> str:
        """A statement that changes every number to one value."""
        change = exp.EQ(this=trees.column("n"), expression=exp.convert(value))
        return self.render(exp.Update(this=trees.table(NUMBERS), expressions=[change]))

    def add_rows(self, connection: BaseConnection, table: str, types: Mapping[str, str], csv: str) -> None:
        """Add rows, written as a file of rows, to a logical table."""
        for sql in insert_rows(self.generator, table, types, RowFile.read(csv), self.schemas()):
            connection.execute(sql)

    def rows(self, connection: BaseConnection, table: str, columns: Iterable[str]) -> list[tuple[object, ...]]:
        """Some columns of all rows of a logical table."""
        query = exp.Select(expressions=[trees.column(name) for name in columns])
        query.set("from_", exp.From(this=trees.table(table)))
        return [tuple(row) for row in connection.fetch(self.render(query), limit=100_000)]

    def physical(self, table: str) -> list[str]:
        """The physical name of a logical table."""
        schema, _, name = table.partition(".")
        return [*self.schemas()[schema].split("."), name]


def run_data_case(case: DataCase, bench: Bench) -> None:
    """Compile and run a case; raises `ConformanceError` where its rows, or its refusal, are not as expected."""
    if not case.refuses:
        _run(case, bench)
        return
    try:
        _run(case, bench)
    except Refusal as refusal:
        for text in case.refuses:
            expect(text in str(refusal), f"the refusal does not say '{text}':\n{refusal}")
    else:
        raise ConformanceError(f"it is not refused; expected was: {case.refuses[0]}")


def _run(case: DataCase, bench: Bench) -> None:
    deliveries = [case.rows(folder) for folder in case.deliveries]
    files = _project(case, deliveries[0])
    generator = bench.generator if case.data else as_if_it_loaded(bench.generator)
    plan = compile_project(files, bench.target, generator)
    for name, content in case.data.items():
        path = bench.target.base / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    done = Executed()
    with bench.session() as connection:
        database = Database(connection, bench.generator, plan.schemas, bench.target.base if case.data else None)
        for delivery in deliveries + deliveries[-1:] * bool(case.options.get("again")):
            done = database.run(plan, delivery, {} if case.data else case.vocabulary() | case.rows("cdm"))
        for name, expected in case.rows("expected").items():
            database.compare(name, expected)
    for step, metrics in case.options.get("metrics", {}).items():
        found = {name: getattr(done.loads[step], name) for name in metrics}
        expect_equal(found, metrics, f"what the load {step} says of itself")


def _project(case: DataCase, delivery: Mapping[str, RowFile]) -> ProjectFiles:
    declared = case.options.get("columns", {})
    return ProjectFiles(
        mappings=case.mappings(),
        sources=declared if case.data else {name: declared.get(name, {}) for name in delivery},
        write=str(case.options.get("write", "full")),
        deletes=case.options.get("deletes"),
        schema=str(case.options.get("schema", "source")),
        load=case.options.get("load", {}),
        files=case.options.get("files", {}),
        project=case.options.get("project", {}),
    )
