"""Promises of the checks of a database: what is tried, and that it goes away on every kind of engine."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from omopcloudetl.core.capabilities import Capability, Support
from omopcloudetl.core.connection import ExecutionMetrics
from omopcloudetl.core.doctor.database import check_database, diagnosed
from omopcloudetl.core.errors import DatabaseConnectionError, StatementError
from omopcloudetl.core.findings import Diagnosis, Finding
from omopcloudetl.core.session import Session

Project = Callable[..., Path]
SCRATCH = re.compile(r"omopcloudetl_doctor_[0-9a-f]{12}")


class Database:
    """A session of acme's provider, changed for a test, with one log for all its connections."""

    def __init__(self, acme: ModuleType, root: Path, **methods: Any) -> None:
        self.log: list[str] = []

        class Connection(acme.AcmeConnection):  # type: ignore[name-defined,misc]  # a module made at run time
            pass

        for name, method in methods.items():
            setattr(Connection, name, method)

        def connect(settings: object, base: Path) -> Any:
            made = Connection(settings, base)
            made.log = self.log
            return made

        session = Session.open(root)
        self.session = replace(session, provider=replace(session.provider, connection=connect))

    def check(self) -> list[tuple[str, str]]:
        """The findings about each schema, with one schema in all."""
        return [(finding.check, finding.outcome) for finding in self.findings()]

    def findings(self) -> list[Finding]:
        """All findings about the database."""
        found = diagnosed(self.session)
        return [found] if isinstance(found, Finding) else list(check_database(self.session, None, *found))


def refuse(word: str) -> Callable[[Any, str], ExecutionMetrics]:
    """An `execute` that refuses statements that begin so."""

    def execute(self: Any, sql: str) -> ExecutionMetrics:
        self.log.append(sql)
        if sql.startswith(word):
            raise StatementError(f"permission denied: {word}")
        return ExecutionMetrics(0.0, 1)

    return execute


@pytest.fixture
def one_schema(acme: ModuleType, project: Project) -> Path:
    """A project all whose schemas are the same physical one."""
    names = ", ".join(f"{name}: lake.omop" for name in ("source", "vocab", "cdm", "work"))
    text = f"""\
        name: clinic
        cdm_version: "9.9"
        plugins: [acme]
        schemas: {{{names}}}
        targets:
          here: {{provider: acme, orchestrator: acme}}
        """
    return project({"project.yaml": text})


@pytest.fixture
def without_transactions(acme: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that makes tables outside of transactions."""
    lacking = {**acme.AcmeGenerator.capabilities, Capability.TRANSACTIONAL_DDL: Support("never", "a test")}
    monkeypatch.setattr(acme.AcmeGenerator, "capabilities", lacking)


def test_a_table_is_made_used_and_dropped_inside_a_transaction(acme: ModuleType, one_schema: Path) -> None:
    """A physical schema is tried once, whatever logical names it has, and the transaction is never committed."""
    database = Database(acme, one_schema)
    assert database.check() == [("connection", "ok"), ("schema lake.omop (source, vocab, cdm, work)", "ok")]
    words = [statement.split()[0] for statement in database.log]
    assert words == ["connect", "begin", "CREATE", "INSERT", "SELECT", "DROP", "close"]
    assert all('"lake"."omop"."omopcloudetl_doctor_' in statement for statement in database.log[2:6])
    assert len({name for statement in database.log for name in SCRATCH.findall(statement)}) == 1


def test_a_schema_that_is_not_there_is_made_and_rolled_back(acme: ModuleType, one_schema: Path) -> None:
    """What fails in the schema as it is, is tried again in a new one, in another transaction."""
    made: list[str] = []

    def execute(self: Any, sql: str) -> ExecutionMetrics:
        self.log.append(sql)
        made.extend([sql] if sql.startswith("CREATE SCHEMA") else [])
        if sql.startswith("CREATE TABLE") and not made:
            raise StatementError("no such schema")
        return ExecutionMetrics(0.0, 1)

    database = Database(acme, one_schema, execute=execute)
    assert database.check()[1][1] == "ok"
    assert "commit" not in database.log
    assert database.log.count("begin") == 2


def test_a_right_that_is_missing_is_a_problem_in_the_engines_words(acme: ModuleType, one_schema: Path) -> None:
    """The finding has the engine's text, and whom to ask for what."""
    database = Database(acme, one_schema, execute=refuse("INSERT"))
    *_, found = database.findings()
    assert (found.outcome, found.found) == ("problem", "permission denied: INSERT")
    assert "ask for the right" in (found.help or "")


def test_without_transactional_ddl_the_table_is_dropped(
    acme: ModuleType, one_schema: Path, without_transactions: None
) -> None:
    """An engine that commits each statement is left as it was: the last thing is the DROP, and no schema is made."""
    database = Database(acme, one_schema)
    assert database.check()[1][1] == "ok"
    assert [statement.split()[0] for statement in database.log][-2:] == ["DROP", "close"]
    assert not [statement for statement in database.log if "begin" in statement or "SCHEMA" in statement]


def test_without_transactional_ddl_a_failure_drops_the_table_too(
    acme: ModuleType, one_schema: Path, without_transactions: None
) -> None:
    """A table that was made before something else failed does not stay."""
    database = Database(acme, one_schema, execute=refuse("INSERT"))
    assert database.check()[1][1] == "warning"
    assert database.log[-2].startswith("DROP TABLE IF EXISTS")


def test_a_connection_that_cannot_be_opened_is_a_problem(acme: ModuleType, one_schema: Path) -> None:
    """The reason is the finding; the schemas are not looked at."""

    def connect(self: Any) -> None:
        raise DatabaseConnectionError("no route to host")

    assert Database(acme, one_schema, connect=connect).check() == [("connection", "problem")]


def test_a_database_that_opening_would_make_is_not_opened(acme: ModuleType, one_schema: Path) -> None:
    """What the connection says of itself is told, and nothing is done."""
    said = Diagnosis((Finding("database file", "ok", "will be made"),), would_create=True)
    database = Database(acme, one_schema, diagnose=lambda self: said)
    assert database.check() == [("database file", "ok"), ("connection", "skipped")]
    assert database.log == []


def test_the_engines_version_is_told(acme: ModuleType, one_schema: Path) -> None:
    """Where a connection knows it; else the provider's name stands for it."""
    database = Database(acme, one_schema, engine_version=lambda self: "Acme 3.1")
    first, *_ = database.findings()
    assert first.found == "opened: Acme 3.1"
    first, *_ = Database(acme, one_schema).findings()
    assert first.found == "opened: acme"
