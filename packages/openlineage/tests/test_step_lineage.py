"""What the steps of a plan make."""

import pytest
from openlineage_lab import a_plan, load_step, sql_step

from omopcloudetl.core.plan import SqlStep, Statement
from omopcloudetl.openlineage.step_lineage import FILE, PlanLineage, StepLineage


def lineage(*statements: str, reads: tuple[str, ...] = (), writes: tuple[str, ...] = ("cdm.person",)) -> StepLineage:
    """The lineage of one step."""
    plan = a_plan(sql_step("step", *statements, reads=reads, writes=writes))
    return PlanLineage(plan).of(plan.steps[0])


def told(found: StepLineage, table: str) -> dict[str, list[str]]:
    """Column → the columns it is made of."""
    return {column: sorted(f"{t}.{c}" for t, c in inputs) for column, inputs in found.tables[table].inputs.items()}


READS = ("source.patients", "work.x")
CASES = {
    "insert": "INSERT INTO omop.person (person_id, name) SELECT p.id, p.n FROM raw.patients AS p",
    "create": "CREATE OR REPLACE TABLE omop.person AS SELECT p.id AS person_id, p.n AS name FROM raw.patients AS p",
    "with": "WITH q AS (SELECT id, n FROM raw.patients) INSERT INTO omop.person (person_id, name) SELECT id, n FROM q",
    "update": "UPDATE omop.person SET person_id = p.id, name = p.n FROM raw.patients AS p WHERE p.id = person.k",
    "merge": (
        "MERGE INTO omop.person AS o USING (SELECT id, n FROM raw.patients) AS p ON o.person_id = p.id "
        "WHEN MATCHED THEN UPDATE SET name = p.n "
        "WHEN NOT MATCHED THEN INSERT (person_id, name) VALUES (p.id, p.n)"
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_way_to_write_a_table_is_read(case: str) -> None:
    """INSERT, CREATE TABLE AS, UPDATE and MERGE tell the logical tables and columns that fill a table."""
    assert told(lineage(CASES[case], reads=READS), "cdm.person") == {
        "person_id": ["source.patients.id"],
        "name": ["source.patients.n"],
    }


def test_an_insert_without_columns_fills_them_in_order() -> None:
    """The columns are those of the table as an earlier step made it."""
    ddl = sql_step("ddl", "CREATE TABLE omop.person (person_id INT NOT NULL, name TEXT)", writes=("cdm.person",))
    insert = "INSERT INTO omop.person SELECT p.id, p.n FROM raw.patients AS p"
    write = sql_step("write", insert, reads=("source.patients",), writes=("cdm.person",))
    found = PlanLineage(a_plan(ddl, write))
    assert told(found.of(write), "cdm.person") == {"person_id": ["source.patients.id"], "name": ["source.patients.n"]}
    assert found.columns("cdm.person") == {"person_id": "INT", "name": "TEXT"}


def test_tables_that_the_step_makes_on_its_way_are_seen_through() -> None:
    """Lineage is from what the step reads, not from a table of its own or a temporary one."""
    found = lineage(
        "CREATE TEMP TABLE t AS SELECT id AS i FROM raw.patients",
        "CREATE OR REPLACE TABLE scratch.keys AS SELECT i + 1 AS k FROM t",
        "INSERT INTO omop.person (person_id) SELECT k FROM scratch.keys",
        reads=("source.patients",),
        writes=("cdm.person", "work.keys"),
    )
    assert told(found, "cdm.person") == {"person_id": ["source.patients.id"]}
    assert set(found.tables) == {"cdm.person", "work.keys"}


def test_rows_of_several_statements_are_one_result() -> None:
    """Two inserts into a table are a union: a column is made of what either says."""
    insert = "INSERT INTO omop.person (person_id) SELECT {0} FROM raw.patients"
    assert told(lineage(insert.format("a"), insert.format("b"), reads=READS), "cdm.person") == {
        "person_id": ["source.patients.a", "source.patients.b"]
    }


def test_a_load_takes_columns_by_their_names() -> None:
    """A column of a load is that of its files; one that files may call otherwise is not told."""
    plan = a_plan(load_step())
    table = PlanLineage(plan).of(plan.steps[0]).tables["source.patients"]
    assert table.columns == {"id": "text", "gender": None}
    assert table.inputs == {"id": {(FILE, "id"): frozenset({"IDENTITY"})}}


def test_what_cannot_be_read_is_said() -> None:
    """SQL that is not understood, or whose columns are not known, is told with what it was for."""
    found = lineage("CREATE OR REPLACE TABLE omop.person AS SELECT * FROM raw.patients", reads=READS)
    assert found.unknown == ["test: all columns of cdm.person"]
    assert lineage("SELECT FROM WHERE ((").unknown == ["test: its SQL cannot be read here"]
    insert = "INSERT INTO omop.person (person_id) SELECT z FROM raw.patients JOIN scratch.x ON TRUE"
    assert lineage(insert, reads=READS).unknown == ["test: what cdm.person.person_id is made of"]


def test_checks_and_reports_make_nothing() -> None:
    """Only statements that write are read."""
    check = Statement(sql="not even SQL", purpose="test", check="wrong")
    step = SqlStep.model_validate(sql_step("step").model_dump() | {"statements": [check.model_dump()]})
    assert PlanLineage(a_plan(step)).of(step) == StepLineage()


def test_reading_ends_when_its_time_is_over() -> None:
    """After the limit a step has no columns, and that is said; what was read before stays."""
    steps = [sql_step(f"s{i}", CASES["create"], reads=READS, writes=("cdm.person",)) for i in range(2)]
    found = PlanLineage(a_plan(*steps), seconds=1e-9)
    assert found.of(steps[0]).tables
    assert found.of(steps[1]).tables == {}
    assert found.of(steps[1]).unknown == ["this step was left out: reading the plan's SQL took longer than 1e-09 s"]
