"""Promises of the DDL script: an order that runs, and each key said as the engine can say it."""

from __future__ import annotations

import pytest

from omopcloudetl.core.capabilities import FULL, Capability, Support
from omopcloudetl.core.compiler.ddl_script import DdlStatement, ddl_script
from omopcloudetl.core.errors import SpecificationError
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.specification.models import CdmSpecification

SCHEMAS = {"cdm": "cdm", "vocab": "vocab"}
NONE = dict.fromkeys(Capability, Support("never", "not in this test"))


class Able(BaseSQLGenerator):
    """An engine that can do everything with keys."""

    dialect = "postgres"
    types = {"integer": "INTEGER", "bigint": "BIGINT", "varchar": "VARCHAR", "text": "TEXT"}
    capabilities = dict.fromkeys(Capability, FULL)


class Unable(Able):
    """An engine that knows no keys and keeps no comments."""

    capabilities = NONE


class PrimaryOnly(Able):
    """An engine that knows primary keys and keeps comments."""

    capabilities = NONE | {Capability.PRIMARY_KEYS: FULL, Capability.COMMENT_ON_COLUMN: FULL}


def specification(text: str, type_: str = "integer") -> CdmSpecification:
    """Tables from lines `schema.table: field field>target.field *key`."""
    tables = []
    for line in text.strip().splitlines():
        name, _, content = line.strip().partition(": ")
        fields = []
        for word in content.split():
            field, _, target = word.strip("*").partition(">")
            table, _, target_field = target.partition(".")
            key = {"table": table, "field": target_field} if target else None
            kind = type_ if field.startswith("other") else "integer"
            fields.append({"name": field, "type": kind, "primary_key": word.startswith("*"), "foreign_key": key})
        schema, _, table = name.partition(".")
        tables.append({"name": table, "schema": schema, "fields": fields})
    return CdmSpecification.model_validate({"version": "5.4", "tables": tables})


CYCLE = """
    vocab.domain: *domain_id concept>concept.concept_id
    vocab.concept: *concept_id domain>domain.domain_id class>class.class_id up>concept.concept_id
    vocab.class: *class_id concept>concept.concept_id
    cdm.visit: *visit_id person>person.person_id kind>concept.concept_id
    cdm.person: *person_id
"""


def script(generator: BaseSQLGenerator, text: str = CYCLE, type_: str = "integer") -> list[DdlStatement]:
    """The script of a small specification."""
    return ddl_script(specification(text, type_), generator, SCHEMAS)


def sql(statements: list[DdlStatement]) -> str:
    """The statements on one line each."""
    lines = [" ".join((one.sql or f"-- {one.purpose}").split()) for one in statements]
    return "\n".join(lines).replace("( ", "(").replace(" )", ")")


def made(statements: list[DdlStatement]) -> list[str]:
    """The names of the tables, in the order in which they are made."""
    creates = [line for line in sql(statements).splitlines() if line.startswith("CREATE TABLE")]
    return [line.split('"')[3] for line in creates]


def test_targets_come_before_the_tables_that_point_to_them() -> None:
    """Where the keys form a cycle, what closes it comes after all tables."""
    found = script(Able())
    order = made(found)
    assert order.index("person") < order.index("visit")
    assert order.index("concept") < order.index("visit")
    lines = sql(found).splitlines()
    added = [line for line in lines if line.startswith("ALTER TABLE")]
    assert added == [
        'ALTER TABLE "vocab"."domain" ADD FOREIGN KEY ("concept") REFERENCES "vocab"."concept" ("concept_id")',
        'ALTER TABLE "vocab"."concept" ADD FOREIGN KEY ("class") REFERENCES "vocab"."class" ("class_id")',
    ]
    assert lines.index(added[0]) > max(i for i, line in enumerate(lines) if line.startswith("CREATE TABLE"))


def test_every_key_is_said_once() -> None:
    """Five keys in CREATE TABLE, one of them to its own table, and two added."""
    found = sql(script(Able()))
    assert found.count("FOREIGN KEY") == 7
    assert 'FOREIGN KEY ("up") REFERENCES "vocab"."concept" ("concept_id")' in found
    assert "COMMENT ON" not in found


def test_an_engine_without_foreign_keys_keeps_them_as_comments() -> None:
    """Each is in the catalogue, with its physical names; the tables keep the specification's order."""
    found = ddl_script(specification(CYCLE), PrimaryOnly(), {"cdm": "db.omop", "vocab": "voc"})
    text = sql(found)
    assert """COMMENT ON COLUMN "db"."omop"."visit"."kind" IS 'references voc.concept(concept_id)'""" in text
    assert (text.count("COMMENT ON"), text.count("FOREIGN KEY")) == (7, 0)
    assert '"visit_id" INT PRIMARY KEY' in text


def test_an_engine_without_keys_and_comments_gets_remarks() -> None:
    """What the engine cannot hold is at least in the script."""
    found = sql(script(Unable()))
    assert "PRIMARY KEY" not in found
    assert "-- cdm.visit.kind references vocab.concept(concept_id): no constraint: the engine has no foreign" in found


def test_keys_across_schemas_need_their_own_capability() -> None:
    """An engine may have foreign keys inside a schema only; two logical schemas may be one physical one."""

    class Inside(Able):
        capabilities = Able.capabilities | {Capability.FOREIGN_KEYS_ACROSS_SCHEMAS: Support("never", "in this test")}

    recorded = 'COMMENT ON COLUMN "cdm"."visit"."kind" IS \'references vocab.concept(concept_id)\''
    assert recorded in sql(script(Inside()))
    together = ddl_script(specification(CYCLE), Inside(), {"cdm": "omop", "vocab": "omop"})
    assert "COMMENT ON" not in sql(together)
    assert sql(together).count("CREATE SCHEMA") == 1


@pytest.mark.parametrize(
    ("text", "type_", "reason"),
    [
        pytest.param("cdm.a: *id\ncdm.b: other>a.id", "bigint", "its target is of another type", id="type"),
        pytest.param("cdm.a: id\ncdm.b: *b x>a.id", "integer", "its target is no primary key", id="no-key"),
        pytest.param("cdm.a: *id *part\ncdm.b: *b x>a.id", "integer", "its target is no primary key", id="part-of-key"),
    ],
)
def test_a_key_that_no_engine_takes_is_recorded(text: str, type_: str, reason: str) -> None:
    """The specification may point to what is no key, or to another type."""
    (recorded,) = [one for one in script(Able(), text, type_) if one.purpose]
    assert recorded.purpose == f"no constraint: {reason}"
    assert recorded.sql is not None
    assert "references cdm.a(id)" in recorded.sql


def test_a_primary_key_of_several_fields_is_one_key() -> None:
    """As the specification has it."""
    assert 'PRIMARY KEY ("id", "part")' in sql(script(Able(), "cdm.a: *id *part other"))


def test_a_type_that_the_dialect_lacks_is_an_error() -> None:
    """Not a traceback."""
    with pytest.raises(SpecificationError, match=r"postgres cannot express the CDM 5\.4: 'float'"):
        script(Able(), "cdm.a: *id other", "float")
