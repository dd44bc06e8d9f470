"""Looks at a target's database: it opens, its schemas are there, and tables can be made, written, read and dropped."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.errors import DatabaseError, OmopCloudEtlError
from omopcloudetl.core.findings import Diagnosis, Finding
from omopcloudetl.core.models.base import LOGICAL_SCHEMAS
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.core.secret_files import SecretWarning
from omopcloudetl.core.text import one_line

if TYPE_CHECKING:
    from sqlglot import exp

    from omopcloudetl.core.connection import BaseConnection
    from omopcloudetl.core.generator import BaseSQLGenerator
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.session import Session

CONNECTION = "connection"


class _NothingIsKeptError(Exception):
    """Ends a transaction whose work was only a test."""


def diagnosed(session: Session) -> tuple[BaseConnection, Diagnosis] | Finding:
    """The target's connection, not open, and what it says then; or what is wrong with its settings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecretWarning)  # that was told before
            connection = session.connection()
        return connection, connection.diagnose()
    except OmopCloudEtlError as error:
        return Finding(CONNECTION, "problem", str(error), "change the target's `connection:`")


def check_database(
    session: Session, plan: CompiledWorkflowPlan | None, connection: BaseConnection, diagnosis: Diagnosis
) -> Iterator[Finding]:
    """Open the target's database and try what a run will do in it; nothing that is made stays."""
    yield from diagnosis.findings
    if any(finding.outcome == "problem" for finding in diagnosis.findings):
        yield Finding(CONNECTION, "skipped", "it could not be opened")
        return
    if diagnosis.would_create:
        yield Finding(CONNECTION, "skipped", "there is no database yet: the first run makes it with its schemas")
        return
    try:
        connection.connect()
    except DatabaseError as error:
        yield Finding(CONNECTION, "problem", str(error), "check the settings, the network and your rights")
        return
    try:
        yield Finding(CONNECTION, "ok", f"opened: {connection.engine_version() or session.provider.name}")
        if diagnosis.reads_files and plan is not None:
            loads = [step for step in plan.steps if isinstance(step, BulkLoadStep)]
            yield from connection.diagnose_loads(loads, base=session.root)
        yield from _check_schemas(session, plan, connection)
    finally:
        connection.close()


def _check_schemas(
    session: Session, plan: CompiledWorkflowPlan | None, connection: BaseConnection
) -> Iterator[Finding]:
    physical = session.project.config.physical_schemas(session.project.target)
    logical: dict[str, list[str]] = {}
    for name in _written(plan):
        logical.setdefault(physical[name], []).append(name)
    generator = session.generator()
    for schema, names in logical.items():
        yield _check_schema(schema, names, _Scratch(generator, connection, schema))


def _written(plan: CompiledWorkflowPlan | None) -> list[str]:
    """The logical schemas in which the plan makes tables; all of them where there is no plan."""
    if plan is None:
        return list(LOGICAL_SCHEMAS)
    written = {table.partition(".")[0] for step in plan.steps for table in step.writes}
    written |= {"work"} if plan.run_tables is not None else set()
    return [name for name in LOGICAL_SCHEMAS if name in written]


def _check_schema(schema: str, names: list[str], scratch: _Scratch) -> Finding:
    check = f"schema {schema}" if names == [schema] else f"schema {schema} ({', '.join(names)})"
    try:
        scratch.try_in_existing()
    except DatabaseError as first:
        if not scratch.transactional:
            found = f"no table could be made in it: {one_line(str(first))}"
            return Finding(
                check, "warning", found, "the first run makes the schema; if it is there, ask for the right to"
            )
    else:
        return Finding(check, "ok", "a table can be made, written, read and dropped")
    try:
        scratch.try_in_new()
    except DatabaseError as error:
        help_ = f"ask for the right to make the schema {schema} and tables in it, or name another under `schemas:`"
        return Finding(check, "problem", str(error), help_)
    return Finding(check, "ok", "is not there yet; the first run can make it and its tables")


class _Scratch:
    """A table that is made to see whether one can be made, and that never stays."""

    def __init__(self, generator: BaseSQLGenerator, connection: BaseConnection, schema: str) -> None:
        self.transactional = all(
            generator.has(capability) for capability in (Capability.TRANSACTIONS, Capability.TRANSACTIONAL_DDL)
        )
        self._generator = generator
        self._connection = connection
        self._schema = schema
        self._name = f"omopcloudetl_doctor_{secrets.token_hex(6)}"

    def try_in_existing(self) -> None:
        """Use a table in the schema as it is; raises `DatabaseError`."""
        if self.transactional:
            self._rolled_back(make_schema=False)
            return
        try:
            self._use()
        except DatabaseError:
            self._drop_if_there()
            raise

    def try_in_new(self) -> None:
        """Make the schema, then a table, and roll both back; raises `DatabaseError`."""
        self._rolled_back(make_schema=True)

    def _rolled_back(self, *, make_schema: bool) -> None:
        try:
            with self._connection.transaction():
                if make_schema:
                    self._connection.execute(self._sql(self._generator.create_schema(self._schema)))
                self._use()
                raise _NothingIsKeptError
        except _NothingIsKeptError:
            return

    def _use(self) -> None:
        from sqlglot import exp

        column = exp.ColumnDef(this=exp.to_identifier("n", quoted=True), kind=self._generator.data_type("integer"))
        self._connection.execute(self._sql(self._generator.create_table(self._table(), [column])))
        insert = exp.Insert(
            this=exp.Schema(this=self._table(), expressions=[exp.to_identifier("n", quoted=True)]),
            expression=exp.select(exp.Literal.number(1)),
        )
        self._connection.execute(self._sql(insert))
        self._connection.fetch(self._sql(exp.select(exp.column("n", quoted=True)).from_(self._table())), limit=1)
        self._connection.execute(self._sql(self._drop(exists=False)))

    def _drop_if_there(self) -> None:
        try:
            self._connection.execute(self._sql(self._drop(exists=True)))
        except DatabaseError:
            return  # it was not made

    def _drop(self, *, exists: bool) -> exp.Expr:
        from sqlglot import exp

        return exp.Drop(tables=[self._table()], kind="TABLE", exists=exists)

    def _table(self) -> exp.Table:
        from sqlglot import exp

        *catalog, schema = self._schema.split(".")
        return exp.Table(
            this=exp.to_identifier(self._name, quoted=True),
            db=exp.to_identifier(schema, quoted=True),
            catalog=exp.to_identifier(catalog[0], quoted=True) if catalog else None,
        )

    def _sql(self, statement: exp.Expr) -> str:
        return self._generator.render(statement, {})
