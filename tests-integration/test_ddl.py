"""The tables that `ddl` steps make, asked of the database's own catalogue."""

import pytest
from small_project import PERSON, PROJECT, WORKFLOW, Etl, patients

from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.plugins import load_plugins
from omopcloudetl.core.specification.manager import SpecificationManager

TYPES = {"float": "DOUBLE", "datetime": "TIMESTAMP", "date": "DATE", "integer": "INTEGER", "bigint": "BIGINT"}


@pytest.mark.parametrize("version", ["5.3", "5.4", "6.0"])
def test_every_table_field_type_and_not_null_of_the_specification_is_there(etl: Etl, version: str) -> None:
    """DuckDB's catalogue has exactly the specification's tables and fields, in their order."""
    specification = SpecificationManager(load_plugins().resources()).load(version)
    project = PROJECT + f'cdm_version: "{version}"\n'
    etl.write([], {"patients": patients("p1")}, project=project)
    workflow = WORKFLOW.split("  - name: source")[0]
    (etl.root / "workflow.yaml").write_text(workflow, encoding="utf-8")
    ran = etl.run()
    found = ran.query(
        "SELECT schema_name, table_name, column_name, data_type, NOT is_nullable FROM duckdb_columns()"
        " WHERE schema_name IN ('cdm', 'vocab') ORDER BY table_oid, column_index"
    )
    expected = [
        ("vocab" if table.schema_ == "vocab" else "cdm", table.name, field.name, _type(field.type), field.required)
        for schema in ("vocab", "cdm")
        for table in specification.in_schema(schema)
        for field in table.fields
    ]
    assert sorted(found) == sorted(expected)


def _type(name: str) -> str:
    return TYPES.get(name, "VARCHAR")


def test_primary_keys_are_enforced_where_they_are_asked_for(etl: Etl) -> None:
    """With primary_keys the catalogue has them, and a project with them can run again and again."""
    etl.write([PERSON], {"patients": patients("a", "b")})
    workflow = (etl.root / "workflow.yaml").read_text(encoding="utf-8")
    asked = workflow.replace("schema: cdm}", "schema: cdm, primary_keys: true}")
    (etl.root / "workflow.yaml").write_text(asked, encoding="utf-8")
    etl.run()
    ran = etl.run()
    keys = "SELECT constraint_column_names FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'"
    found = {columns[0] for (columns,) in ran.query(keys) if isinstance(columns, list)}
    assert {"person_id", "visit_occurrence_id", "condition_occurrence_id"} <= found
    assert ran.query("SELECT COUNT(*) FROM cdm.person") == [(2,)]


def test_a_run_that_would_break_a_primary_key_leaves_the_table_as_it_was(etl: Etl) -> None:
    """Ids that the source gives twice fail the step inside its transaction; the old rows are still there."""
    mapping = PERSON.replace("person_id: {id: [p.id]}", "person_id: p.number").replace("key: [p.id]", "key: [p.id]")
    rows = [{"id": "a", "number": 7}, {"id": "b", "number": 8}]
    etl.write([mapping], {"patients": rows}).run()
    twice = [{"id": "a", "number": 9}, {"id": "b", "number": 9}]
    ran = etl.write([mapping], {"patients": twice}).run(ok=False)
    (failed,) = ran.record.failed
    assert failed.error is not None
    assert "cdm.person has rows with the same person_id" in failed.error
    assert ran.query("SELECT person_id FROM cdm.person ORDER BY 1") == [(7,), (8,)]


@pytest.mark.parametrize(
    "project",
    [
        PROJECT.replace("omop.duckdb", "cdm.duckdb"),
        PROJECT + "schemas: {cdm: omop, source: src}\n",
        PROJECT + 'schemas: {cdm: "Omop-Cdm", work: select}\n',
    ],
    ids=["file-named-like-a-schema", "schema-named-like-the-file", "odd-names"],
)
def test_names_of_files_and_schemas_are_the_users_choice(etl: Etl, project: str) -> None:
    """Neither a database file nor a schema may have a name that breaks a run."""
    etl.write([PERSON], {"patients": patients("p1")}, project=project)
    assert etl.run().record.table_rows["cdm.person"] == 1


def test_two_logical_tables_in_one_physical_table_are_refused(etl: Etl) -> None:
    """Schemas that would let a load replace a CDM table are a mistake of the project, found before anything runs."""
    project = PROJECT + "schemas: {cdm: main, source: MAIN}\n"
    etl.write([PERSON.replace("source.patients", "source.person")], {"person": patients("p1")}, project=project)
    with pytest.raises(ProjectError, match=r"cdm\.person and source\.person are both the table main\.person"):
        etl.run()
    assert not (etl.root / "omop.duckdb").exists()
