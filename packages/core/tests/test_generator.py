"""Promises of the generator's base: types, physical names, and refusing what a dialect cannot say."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
from sqlglot import exp, parse_one
from sqlglot.errors import UnsupportedError

from omopcloudetl.core.capabilities import Capability, Support
from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.plan import CompiledWorkflowPlan, SqlStep


@pytest.fixture
def generator(acme: ModuleType) -> BaseSQLGenerator:
    """The plugin's dialect."""
    made = acme.AcmeGenerator()
    assert isinstance(made, BaseSQLGenerator)
    return made


class Postgres(BaseSQLGenerator):
    """A dialect that keeps the length of a text."""

    dialect = "postgres"
    types = {"integer": "INTEGER", "datetime": "TIMESTAMP", "varchar": "VARCHAR", "text": "TEXT"}


@pytest.mark.parametrize(
    ("type_", "sql"),
    [
        ("integer", "INT"),
        ("datetime", "TIMESTAMP"),
        ("varchar(50)", "VARCHAR(50)"),
        ("varchar(max)", "TEXT"),
        ("text", "TEXT"),
    ],
)
def test_a_specification_type_is_the_engine_s_type(type_: str, sql: str) -> None:
    """A type of the specification has its word in the dialect; a length is kept, `max` is a text."""
    assert Postgres().data_type(type_).sql(dialect="postgres") == sql


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        pytest.param("select id from cdm.person", '"db"."omop"."person"', id="catalog"),
        pytest.param("select id from source.person", '"raw"."person"', id="schema"),
        pytest.param("select id from vocab.person", '"source"."person"', id="a-physical-name-is-final"),
        pytest.param("select id from other.person", '"other"."person"', id="unknown"),
        pytest.param("select id from x.cdm.person", '"x"."cdm"."person"', id="physical-already"),
        pytest.param("select cdm.id from source.person as cdm", '"raw"."person" AS "cdm"', id="an-alias-is-no-schema"),
    ],
)
def test_logical_schemas_become_physical_ones(generator: BaseSQLGenerator, sql: str, expected: str) -> None:
    """Only tables under a logical schema are renamed, once, and every name is quoted."""
    schemas = {"cdm": "db.omop", "source": "raw", "vocab": "source"}
    found = generator.render(parse_one(sql, read="duckdb"), schemas)
    assert found.endswith(f"FROM {expected}")


def test_a_cast_that_may_fail_is_no_way_out_of_a_missing_try_cast() -> None:
    """An engine without it must say by itself how a text is read; a plain cast would fail where a value is none."""

    class Sqlite(BaseSQLGenerator):
        dialect = "sqlite"
        capabilities = {Capability.TRY_CAST: Support("never", "SQLite reads any text as a number")}

    with pytest.raises(UnsupportedError, match="SQLite reads any text as a number"):
        Sqlite().render(parse_one("select try_cast(a as integer) from source.a", read="duckdb"), {})


def test_what_a_dialect_cannot_say_is_refused() -> None:
    """An expression that the target has no words for raises instead of being dropped."""

    class Mysql(BaseSQLGenerator):
        dialect = "mysql"

    query = parse_one("select * from source.a tablesample (10 percent)")
    with pytest.raises(UnsupportedError):
        Mysql().render(query, {})


def test_a_full_write_empties_the_table_first(generator: BaseSQLGenerator) -> None:
    """The default is DELETE and INSERT with named columns, for one transaction."""
    query = parse_one("select 1 as a, 2 as b")
    assert isinstance(query, exp.Select)
    statements = generator.write_full(exp.to_table("cdm.person"), ["a", "b"], query)
    first, second = (" ".join(generator.render(statement, {}).split()) for statement in statements)
    assert first == 'DELETE FROM "cdm"."person"'
    assert second.startswith('INSERT INTO "cdm"."person" ( "a", "b" ) SELECT')


def test_schemas_may_be_named_crosswise(compile_project: Callable[..., CompiledWorkflowPlan]) -> None:
    """A physical schema may have the name of another logical one, and is made under its own name."""
    config = (
        "name: clinic\ncdm_version: '9.9'\nplugins: [acme]\ntargets: {here: {provider: acme}}\n"
        "schemas: {cdm: work, work: scratch}\n"
    )
    first = compile_project({"project.yaml": config}).steps[0]
    assert isinstance(first, SqlStep)
    assert [statement.sql.split()[-1] for statement in first.statements] == [
        '"source"',
        '"vocab"',
        '"work"',
        '"scratch"',
    ]


def test_a_provider_declares_every_capability(generator: BaseSQLGenerator) -> None:
    """Nothing an engine may or may not do is left to be guessed."""
    assert set(generator.capabilities) == set(Capability)


OLDER = """\
name: person
kind: table
target: cdm.person
from: {p: source.patients}
columns:
  person_id: {id: [p.id]}
  gender_concept_id: 0
  year_of_birth: 1970
  person_source_value: p.id
"""


WRITTEN = """\
name: w
sources: {patients: {}, conditions: {}}
steps:
  - {name: m, kind: dml, mappings: mappings/*.yaml, write: HOW}
"""


@pytest.fixture
def older(acme: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that was made before any capability of today had a name."""
    monkeypatch.setattr(acme.AcmeGenerator, "capabilities", {})


@pytest.mark.usefixtures("older")
def test_a_provider_from_before_a_capability_still_compiles(
    compile_project: Callable[..., CompiledWorkflowPlan],
) -> None:
    """What an older provider says nothing about, its engine has not; what needs none of it goes on."""
    plan = compile_project({"mappings/person.yaml": OLDER, "workflow.yaml": WRITTEN.replace("HOW", "full")})
    statements = [s.sql for step in plan.steps if isinstance(step, SqlStep) for s in step.statements]
    assert any('INTO "cdm"."person"' in statement for statement in statements)


@pytest.mark.usefixtures("older")
def test_merging_needs_a_provider_that_speaks_of_transactions(problem: Callable[..., Diagnostic]) -> None:
    """Several statements that are not one transaction may have done half of it when they are repeated."""
    found = problem({"mappings/person.yaml": OLDER, "workflow.yaml": WRITTEN.replace("HOW", "merge")})
    assert found.code == "unsupported"
    assert "its provider says nothing about it" in found.message
    assert found.help is not None
    assert "`write: full`" in found.help


@pytest.mark.usefixtures("older")
def test_an_engine_that_makes_no_hashes_says_so_at_the_rule(problem: Callable[..., Diagnostic]) -> None:
    """A hash id is a mistake there, with a way out, and not a failure of the compiler."""
    found = problem({"mappings/person.yaml": OLDER.replace("{id: [p.id]}", "{id: [p.id], strategy: hash}")})
    assert (found.code, found.help) == ("unsupported", "use `strategy: registry`")
    assert "its provider says nothing about it" in found.message


def test_rows_are_numbered_by_a_window_where_the_engine_says_nothing_else() -> None:
    """The number comes first; NULLs are last in the order."""
    query = parse_one("SELECT a, b AS c FROM t")
    assert isinstance(query, exp.Select)
    numbered = Postgres().numbered(query, [exp.column("b"), exp.column("a")], "n")
    assert numbered.sql(dialect="postgres") == 'SELECT ROW_NUMBER() OVER (ORDER BY b, a) AS "n", a, b AS c FROM t'


def test_an_engine_without_enumerations_keeps_its_texts() -> None:
    """Nothing is cast where there is no cheaper type."""
    assert Postgres().enumeration(["a"]) is None
