"""The SQL of every case in golden/, before and after: what the compiler makes must be what was read and agreed."""

import json
from pathlib import Path

import duckdb
import pytest
import sqlglot
from small_project import PERSON, PROJECT, Etl

from omopcloudetl.core.errors import ProjectError
from omopcloudetl.core.plan import CompiledWorkflowPlan, SqlStep
from omopcloudetl.core.session import Session

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir())
PROJECTS = {
    "duckdb": PROJECT,
    "postgres": PROJECT.replace("duckdb", "postgres").replace(
        "{path: omop.postgres, threads: 1}", "{host: localhost, dbname: omop, user: etl}"
    ),
    "spark": PROJECT.replace("duckdb", "spark").replace("{path: omop.spark, threads: 1}", '{remote: "sc://localhost"}'),
}
"""Dialect → a project that is compiled for it. A dialect more is a line here and `--update-golden`."""
WITHOUT_TRANSACTIONS = {"spark"}
"""Dialects that refuse to merge."""
# What every case can read; `start` and `stop` are declared, so that casts are seen.
SOURCE = {
    "patients": [{"id": "p1", "x": ""}],
    "places": [{"name": "a", "city": "b", "kind": "open"}],
    "events": [
        {
            "patient": "p1",
            "code": "1",
            "start": "2020-01-02",
            "stop": "",
            "place": "a",
            "value": "1.5",
            "unit": "kg",
            "high": "2",
            "system": "loinc",
        }
    ],
}
DECLARED = {"events": "{patient: text, code: text, start: timestamp, stop: date, place: text, value: text, "
"unit: text, high: number, system: text}"}  # fmt: skip


def is_refused(case: str, dialect: str) -> bool:
    """Whether a case shows a refusal: its mistakes, or its way to write on an engine that has no transactions."""
    return case.startswith("refuses") or (dialect in WITHOUT_TRANSACTIONS and (GOLDEN / case / "write").exists())


COMPILED = [(case, dialect) for case in CASES for dialect in PROJECTS if not is_refused(case, dialect)]
REFUSED = [(case, dialect) for case in CASES for dialect in PROJECTS if is_refused(case, dialect)]


def compile_case(etl: Etl, case: str, dialect: str) -> CompiledWorkflowPlan:
    """The plan of a case's mapping beside the mapping of persons, and the one that it refers to if there is any."""
    mappings = [path.read_text(encoding="utf-8") for path in sorted((GOLDEN / case).glob("*.yaml"))]
    how = GOLDEN / case / "write"
    write = how.read_text(encoding="utf-8").strip() if how.exists() else "write: full"
    etl.write([PERSON, *mappings], SOURCE, columns=DECLARED, write=write, project=PROJECTS[dialect])
    return Session.open(etl.root).compile()


def own_steps(plan: CompiledWorkflowPlan) -> list[SqlStep]:
    """The steps that the case's mapping makes, in the plan's order; writes of tables only it could fill."""
    stage = [step.name for step in plan.steps if step.name.startswith("stage_")][-1]  # after what it refers to
    found = [step for step in plan.steps if step.name == stage or stage.replace("stage_", "work.stage_") in step.reads]
    kept = [step for step in found if isinstance(step, SqlStep) and step.name != "ledger"]
    return [
        step for step in kept if step.name not in {"write_specimen", "write_device_exposure", "write_drug_exposure"}
    ]


def as_sql(steps: list[SqlStep]) -> str:
    """The steps as a script that a person can read."""
    blocks = []
    for step in steps:
        blocks.append(f"-- {step.name}: {step.summary}")
        blocks += [f"-- {s.check or s.purpose}\n{s.sql};" for s in step.statements]
    return "\n\n".join(blocks) + "\n"


def as_outline(steps: list[SqlStep]) -> str:
    """What the plan says of the steps beside their SQL."""
    outline = [step.model_dump(mode="json", exclude={"statements", "fingerprint"}) for step in steps]
    return json.dumps(outline, indent=2) + "\n"


def same_as_file(path: Path, text: str, *, update: bool) -> None:
    """The text must be the file's; with `update` it becomes the file's."""
    if update:
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(("case", "dialect"), COMPILED)
def test_the_sql_of_a_case_is_the_one_that_was_read(
    etl: Etl, case: str, dialect: str, pytestconfig: pytest.Config
) -> None:
    """The SQL of a mapping's steps equals the golden file and parses in its dialect."""
    steps = own_steps(compile_case(etl, case, dialect))
    update = bool(pytestconfig.getoption("--update-golden"))
    same_as_file(GOLDEN / case / f"{dialect}.sql", as_sql(steps), update=update)
    for step in steps:
        for statement in step.statements:
            sqlglot.parse_one(statement.sql, read=dialect)


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("refuses")])
def test_the_plan_of_a_case_is_the_one_that_was_read(etl: Etl, case: str, pytestconfig: pytest.Config) -> None:
    """The outline of a mapping's steps equals the golden file, and they run on DuckDB."""
    steps = own_steps(compile_case(etl, case, "duckdb"))
    update = bool(pytestconfig.getoption("--update-golden"))
    same_as_file(GOLDEN / case / "plan.json", as_outline(steps), update=update)
    etl.run()
    with duckdb.connect(str(etl.root / "omop.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT COUNT(*) FROM work.ledger WHERE entry = 'written'").fetchall() != [(0,)]


@pytest.mark.parametrize(("case", "dialect"), REFUSED)
def test_a_mapping_that_must_be_refused_is_refused_in_these_words(
    etl: Etl, case: str, dialect: str, pytestconfig: pytest.Config
) -> None:
    """Every mistake is told at once, each at its place."""
    with pytest.raises(ProjectError) as refused:
        compile_case(etl, case, dialect)
    update = bool(pytestconfig.getoption("--update-golden"))
    same_as_file(GOLDEN / case / f"{dialect}.refuses", f"{refused.value}\n", update=update)
