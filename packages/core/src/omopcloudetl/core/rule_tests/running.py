"""Runs the tests of one mapping on a connection, each in a transaction that is rolled back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.ledger import QUARANTINE
from omopcloudetl.core.connection import BaseConnection
from omopcloudetl.core.errors import CheckError, DatabaseError
from omopcloudetl.core.models.base import LOGICAL_SCHEMAS
from omopcloudetl.core.models.rule_tests import RuleTest
from omopcloudetl.core.plan import Statement
from omopcloudetl.core.rule_tests import data
from omopcloudetl.core.rule_tests.asked import KEYS, LOGICAL
from omopcloudetl.core.rule_tests.comparison import Found, compare, compare_quarantined
from omopcloudetl.core.rule_tests.data import Columns
from omopcloudetl.core.rule_tests.ids import Ids, ids_of, learn
from omopcloudetl.core.rule_tests.report import Difference, RuleTestResult
from omopcloudetl.core.rule_tests.slices import Slice, SliceStep

ROWS_SHOWN = 3


class _Enough(Exception):  # noqa: N818  # no error: it ends the transaction of a test
    """Everything that a test asks for was read; what it wrote can go."""


@dataclass
class _Outcome:
    """What a mapping made of a test's rows."""

    ids: Ids
    tables: dict[str, list[Found]] = field(default_factory=dict)
    quarantined: list[Found] = field(default_factory=list)


@dataclass
class Bench:
    """A database of its own, with the tables of one mapping at a time; between tests they are empty."""

    connection: BaseConnection
    tables: tuple[str, ...] = ()
    """The statements that made the tables there are."""

    def prepare(self, made: Slice, columns: Columns) -> None:
        """Make a mapping's tables, unless they are there already, and nothing else."""
        statements = data.table_statements(made, columns)
        if statements != self.tables:
            self.tables = ()
            for name in LOGICAL_SCHEMAS:
                for sql in data.schema_statements(made.generator, name):
                    self.connection.execute(sql)
            for sql in statements:
                self.connection.execute(sql)
            self.tables = statements


def run_tests(made: Slice, bench: Bench) -> Iterator[RuleTestResult]:
    """Run each test of a mapping; what it does is rolled back."""
    tests = made.loaded.model.tests
    columns = data.columns_of(made, tests)
    bench.prepare(made, columns)
    for number, test in enumerate(tests):
        start = time.perf_counter()
        error: str | None = None
        differences: tuple[Difference, ...] = ()
        try:
            differences = tuple(_differences(made, test, _outcome(made, test, columns, bench.connection)))
        except DatabaseError as problem:
            error = str(problem)
        if test.fails is not None:
            error = _other_error(test.fails, error)
            differences = ()
        place = made.loaded.document.at("tests", number, "name")
        yield RuleTestResult(
            mapping=made.loaded.model.name,
            name=test.name,
            file=place.file,
            line=place.line,
            state="failed" if error is not None or differences else "passed",
            seconds=time.perf_counter() - start,
            error=error,
            differences=differences,
        )


def _other_error(expected: str, error: str | None) -> str | None:
    """What is wrong with the error of a test that expects one; None if nothing is."""
    if error is None:
        return f"nothing stops the run; expected was: {expected}"
    return None if expected in error else f"expected was: {expected}\nbut what stops the run is: {error}"


def _differences(made: Slice, test: RuleTest, outcome: _Outcome) -> Iterator[Difference]:
    """What is not as expected; rows that are routed to a table which the test does not name are not, either."""
    for table in made.written:
        if table in test.expect or made.is_routed:
            found = compare(table, test.expect.get(table, ()), outcome.tables[table], outcome.ids)
            if found is not None:
                yield found
    set_aside = compare_quarantined(test.quarantined, outcome.quarantined, outcome.ids)
    if set_aside is not None:
        yield set_aside


def _outcome(made: Slice, test: RuleTest, columns: Columns, connection: BaseConnection) -> _Outcome:
    outcome = _Outcome(ids_of(made, test))
    with suppress(_Enough), connection.transaction():
        ids = outcome.ids
        for sql in data.insert_statements(made, test, columns, ids):
            connection.execute(sql)
        for step in made.steps:
            if not (step.is_sql_file and step.writes <= test.given.keys()):
                _run_step(made, step, test, ids, connection)
        for entity in made.own_entities:
            _learn_own_keys(made, entity, ids, connection)
        outcome.tables |= {table: _rows(made, table, connection) for table in made.written}
        outcome.quarantined += _quarantined(made, connection)
        raise _Enough
    return outcome


def _run_step(made: Slice, step: SliceStep, test: RuleTest, ids: Ids, connection: BaseConnection) -> None:
    """Run a step; the rows of other mappings that a statement asks for are made before it."""
    for each in step.statements:
        asked = [query for query in each.asks if query.table in made.reads]
        for query in asked:
            for row in sorted(connection.fetch(query.sql), key=lambda row: [(p is not None, str(p)) for p in row]):
                learn(query.table, row, ids)
        for table in dict.fromkeys(query.table for query in asked):
            connection.execute(made.generator.render(trees.delete(table, trees.literal(True)), LOGICAL))
            for sql in data.key_rows(made, table, test, ids):
                connection.execute(sql)
        if each.statement.check is None:
            connection.execute(each.statement.sql)
        else:
            _check(each.statement, connection)


def _check(statement: Statement, connection: BaseConnection) -> None:
    rows = connection.fetch(statement.sql, limit=ROWS_SHOWN)
    if rows:
        shown = "; ".join(", ".join(map(str, row)) for row in rows)
        raise CheckError(f"{statement.check}: {shown}")


def _learn_own_keys(made: Slice, entity: str, ids: Ids, connection: BaseConnection) -> None:
    """The ids that the mapping itself gave."""
    ids.forget(entity)
    names = [f"{entity}_id", *(f"key_{i}" for i in range(1, made.key_parts[entity] + 1))]
    keys = trees.table(f"{KEYS}{made.key_tables.get(entity, entity)}")
    query = trees.from_(trees.select(*(trees.column(name) for name in names)), keys)
    for id_, *key in connection.fetch(made.generator.render(query, LOGICAL)):
        ids.of[entity, tuple(None if part is None else str(part) for part in key)] = int(str(id_))


def _rows(made: Slice, table: str, connection: BaseConnection) -> list[Found]:
    """All rows of a CDM table, by its first field, which numbers them."""
    names = [field.name for field in made.specification.by_name[table.partition(".")[2]].fields]
    rows = connection.fetch(_select(made, table, names))
    return [dict(zip(names, row, strict=True)) for row in sorted(rows, key=lambda row: list(map(str, row)))]


def _quarantined(made: Slice, connection: BaseConnection) -> list[Found]:
    rows = connection.fetch(_select(made, QUARANTINE, ["source_key", "reason"]))
    return [{"key": key, "reason": reason} for key, reason in sorted(rows, key=lambda row: list(map(str, row)))]


def _select(made: Slice, table: str, names: list[str]) -> str:
    query = trees.from_(trees.select(*(trees.column(name) for name in names)), trees.table(table))
    return made.generator.render(query, LOGICAL)
