"""Promises of the workflow's steps: loads, SQL files, and the order that reads and writes give them."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, Retry, SqlStep

Compile = Callable[..., CompiledWorkflowPlan]
Problem = Callable[..., Diagnostic]
Problems = Callable[..., list[Diagnostic]]

HEAD = dedent("""\
    name: w
    variables: {folder: {type: uri}, since: {type: date, default: 2020-01-01}, unset: {type: text}}
    steps:
      - {name: vocab_ddl, kind: ddl, schema: vocab}
      - {name: cdm_ddl, kind: ddl, schema: cdm}
    """)
LOAD = (
    "  - {{name: source, kind: bulk_load, schema: source, from: '{0}', format: csv,"
    " tables: {{patients: '{1}', conditions: b.csv}}}}\n"
)


def workflow(*steps: str) -> dict[str, str]:
    """The project with these steps after the two that make tables; the first stands in line 6."""
    return {"workflow.yaml": HEAD + "".join(f"  - {{{step}}}\n" for step in steps)}


def sql(text: str, more: str = "") -> dict[str, str]:
    """The project with one SQL file."""
    return {**workflow(f"name: s, kind: sql, file: s.sql{more}"), "s.sql": text}


def load(folder: str, file: str = "a.csv") -> dict[str, str]:
    """The project with one load."""
    return {"workflow.yaml": HEAD + LOAD.format(folder, file)}


def order(plan: CompiledWorkflowPlan) -> list[str]:
    """The names of the steps."""
    return [step.name for step in plan.steps]


# -- loads


@pytest.mark.parametrize(
    ("folder", "file", "uri"),
    [
        pytest.param("data", "a.csv", "data/a.csv", id="folder"),
        pytest.param("data/", "sub/*.csv", "data/sub/*.csv", id="glob"),
        pytest.param(".", "a.csv", "a.csv", id="project"),
        pytest.param("s3://bucket/x", "a.csv", "s3://bucket/x/a.csv", id="uri"),
        pytest.param(":folder", "a.csv", "/srv/data/a.csv", id="variable"),
    ],
)
def test_a_load_names_its_files(compile_project: Compile, folder: str, file: str, uri: str) -> None:
    """A load's files are below its `from`; only a variable may lead out of the project."""
    plan = compile_project(load(folder, file), folder="/srv/data")
    step = next(step for step in plan.steps if step.name == "source_patients")
    assert isinstance(step, BulkLoadStep)
    assert (step.uri, step.table, step.mode) == (uri, ("source", "patients"), "create")


@pytest.mark.parametrize(
    "path",
    ["..", "../x", "/etc", "a/../../b", "~", "~/x", "C:/x", r"\\\\server\\x", "file:///etc", "FILE:///etc"],
)
def test_a_load_does_not_leave_the_project(problem: Problem, path: str) -> None:
    """A path written in the workflow stays in the project, however it is spelt."""
    found = problem(load(path))
    assert (found.code, str(found.position)) == ("outside-project", "workflow.yaml:6:59")
    assert "`from: :name`" in (found.help or "")


@pytest.mark.parametrize("file", ["../x.csv", "/etc/passwd", "s3://bucket/x.csv", "~/x"])
@pytest.mark.parametrize("folder", ["data", ":folder"])
def test_a_file_of_a_load_is_below_its_folder(problem: Problem, folder: str, file: str) -> None:
    """A table's file is in the load's folder, also where the folder may be anywhere."""
    found = problem(load(folder, file), folder="/srv")
    assert found.code == "outside-project"
    assert found.message == f"'{file}' is not below the step's `from`"
    assert found.position.line == 6
    assert found.position.column > 80


@pytest.mark.parametrize(
    "folder", ["https://me:pw@host/x", "s3://bucket/x?s3_secret_access_key=k", "https://host/x?sig=s"]
)
def test_a_uri_holds_no_credentials(problem: Problem, folder: str) -> None:
    """What would stand in the plan is refused, and the error does not repeat it."""
    found = problem(load(folder))
    assert (found.code, str(found.position)) == ("credentials-in-uri", "workflow.yaml:6:59")
    assert "${secret:NAME}" in str(found.help)
    assert folder not in str(found)


@pytest.mark.parametrize(
    ("folder", "code", "near"),
    [(":foldr", "unknown-variable", "folder"), (":unset", "missing-variable", None)],
)
def test_the_variable_of_a_load_must_have_a_value(problem: Problem, folder: str, code: str, near: str | None) -> None:
    """A load from a variable that is unknown or has no value is reported at the load, once."""
    found = problem(load(folder))
    column = 61 if near else 59  # the name that was found, or the whole value
    assert (found.code, str(found.position), found.suggestion) == (code, f"workflow.yaml:6:{column}", near)


def test_mistakes_of_loads_and_mappings_are_reported_together(problems: Problems) -> None:
    """A load is checked before the mappings are, not after they are right."""
    broken = "name: x\nkind: table\ntarget: cdm.nope\nkey: '1'\ncolumns: {a: 1}\n"
    files = {"workflow.yaml": HEAD + LOAD.format("..", "a.csv") + "  - {name: m, kind: dml, mappings: x.yaml}\n"}
    assert {d.code for d in problems({**files, "x.yaml": broken})} == {"outside-project", "unknown-table"}


def test_a_load_of_the_vocabulary_is_of_its_tables(problem: Problem) -> None:
    """A vocabulary table that the CDM does not have is refused."""
    step = "name: v, kind: bulk_load, schema: vocab, from: x, format: athena, tables: {concpt: C.csv}"
    found = problem(workflow(step))
    assert (found.code, found.suggestion, found.position.line) == ("unknown-table", "concept", 6)


def test_a_load_demands_the_columns_that_rules_read(compile_project: Compile) -> None:
    """A file lacks a column that a rule needs: the load can say whose rule it is."""
    plan = compile_project()
    step = next(step for step in plan.steps if step.name == "source_conditions")
    assert isinstance(step, BulkLoadStep)
    assert {column.name: column.needed_by for column in step.columns} == {
        "code": "mappings/conditions.yaml:6",
        "patient": "mappings/conditions.yaml:5",
        "start": "mappings/conditions.yaml:7",
    }
    assert not any(column.optional for column in step.columns)


# -- SQL files


@pytest.mark.parametrize(
    ("text", "code", "place", "words"),
    [
        pytest.param("select 1", "sql-statements", "1:1", "must be INSERT", id="select"),
        pytest.param("drop table cdm.person", "sql-statements", "1:1", "must be INSERT", id="drop"),
        pytest.param("create schema foo", "sql-statements", "1:1", "must be INSERT", id="create-schema"),
        pytest.param("", "sql-statements", "1:1", "holds no statement", id="empty"),
        pytest.param("-- nothing", "sql-statements", "1:1", "holds no statement", id="comment"),
        pytest.param("delete from {{ x }}.y", "sql-statements", "1:13", "no text templates", id="template"),
        pytest.param("delete from cdm.person\nwhere (", "sql-syntax", "2:7", "something is missing", id="syntax"),
        pytest.param("delete from\n  'x", "sql-syntax", "2:3", "begins with ' is not closed", id="quote"),
        pytest.param(
            "delete from cdm.person\nwhere x in (select y from z)",
            "unknown-schema",
            "2:27",
            "logical schemas",
            id="schema",
        ),
        pytest.param("delete from\n  cdm.persn", "unknown-table", "2:3", "no table cdm.persn", id="table"),
        pytest.param("delete from cdm.person where x = :nope", "unknown-variable", "1:35", "'nope'", id="variable"),
        pytest.param("delete from cdm.person where x = :unset", "missing-variable", "1:35", "'unset'", id="no-value"),
        pytest.param(
            "insert into cdm.person select * from read_csv('/x')",
            "unknown-schema",
            "1:38",
            "logical",
            id="file-function",
        ),
    ],
)
def test_a_mistake_in_a_sql_file_is_reported_in_that_file(
    problem: Problem, text: str, code: str, place: str, words: str
) -> None:
    """Line and column are those of the SQL file, and the words are ours."""
    found = problem(sql(text))
    assert (found.code, str(found.position)) == (code, f"s.sql:{place}")
    assert words in found.message
    assert "<" not in found.message


@pytest.mark.parametrize("text", ["", "select 1; select 2", "delete from work.s"], ids=["none", "two", "no-select"])
def test_a_table_is_created_from_one_select(problem: Problem, text: str) -> None:
    """With `creates`, the file is the query of that table and nothing else."""
    found = problem(sql(text, ", creates: work.s"))
    assert (found.code, str(found.position)) == ("sql-statements", "s.sql:1:1")
    assert found.message == "the file must hold one SELECT, whose result becomes work.s"


def test_a_created_table_cannot_be_its_own_source(problem: Problem) -> None:
    """Such a table would be another one after every run."""
    assert problem(sql("select * from work.s", ", creates: work.s")).message == "work.s cannot be made from itself"


def test_a_sql_file_knows_what_it_reads_and_writes(compile_project: Compile) -> None:
    """Reads and writes are taken from the SQL; names of its own WITH are neither."""
    text = "with t as (select id from source.patients where d > :since) insert into work.y select * from t, work.x"
    files = workflow("name: s, kind: sql, file: s.sql", "name: x, kind: sql, file: x.sql, creates: work.x")
    files["workflow.yaml"] += "sources: {patients: {}}\n"
    plan = compile_project({**files, "s.sql": text, "x.sql": "select 1 as a"})
    step = next(step for step in plan.steps if step.name == "s")
    assert isinstance(step, SqlStep)
    assert (step.reads, step.writes, step.depends_on) == (("source.patients", "work.x"), ("work.y",), ("x",))
    assert "'2020-01-01'" in step.statements[0].sql


# -- order


def test_steps_come_after_what_they_read(compile_project: Compile) -> None:
    """The order is that of the data, whatever the order in the file; steps without a reason keep theirs."""
    files = workflow(
        "name: c, kind: sql, file: c.sql, creates: work.c",
        "name: b, kind: sql, file: b.sql, creates: work.b",
        "name: a, kind: sql, file: a.sql, creates: work.a",
    )
    texts = {"a.sql": "select 1 as x", "b.sql": "select * from work.a", "c.sql": "select * from work.b"}
    assert order(compile_project({**files, **texts})) == ["schemas", "vocab_ddl", "cdm_ddl", "a", "b", "c"]


def test_depends_on_adds_to_the_order(compile_project: Compile) -> None:
    """Two steps that share no table can still be put in an order."""
    files = workflow(
        "name: late, kind: sql, file: s.sql, creates: work.a, depends_on: early",
        "name: early, kind: sql, file: s.sql, creates: work.b",
    )
    assert order(compile_project({**files, "s.sql": "select 1 as x"}))[-2:] == ["early", "late"]


def test_a_cycle_is_printed(problem: Problem) -> None:
    """A cycle is shown as the steps it goes through, from one of them back to itself."""
    files = workflow(
        "name: a, kind: sql, file: a.sql, creates: work.a",
        "name: b, kind: sql, file: b.sql, creates: work.b",
        "name: c, kind: sql, file: c.sql, creates: work.c",
    )
    texts = {name: f"select * from work.{other}" for name, other in (("a.sql", "b"), ("b.sql", "c"), ("c.sql", "a"))}
    found = problem({**files, **texts})
    assert (found.code, str(found.position)) == ("cycle", "workflow.yaml:6:5")
    assert found.message == "these steps wait for each other: a → b → c → a"


def test_two_steps_that_write_one_table_need_an_order(compile_project: Compile, problem: Problem) -> None:
    """Which of two writers wins must not be a matter of luck; an order settles it."""
    steps = (
        "name: a, kind: sql, file: s.sql, creates: work.x",
        "name: b, kind: sql, file: s.sql, creates: work.x",
    )
    text = {"s.sql": "select 1 as x"}
    found = problem({**workflow(*steps), **text})
    assert (found.code, found.message) == (
        "two-writers",
        "the steps 'a' and 'b' both write work.x, in no order",
    )
    assert found.position.line == 7
    assert order(compile_project({**workflow(steps[0], steps[1] + ", depends_on: a"), **text}))[-2:] == [
        "a",
        "b",
    ]


def test_a_table_of_ours_that_no_step_makes_is_reported(problem: Problem) -> None:
    """A name in the schema work is made by a step, or it is misspelt."""
    files = {
        **workflow(
            "name: a, kind: sql, file: a.sql, creates: work.cohort",
            "name: b, kind: sql, file: b.sql, creates: work.b",
        ),
        "a.sql": "select 1 as x",
        "b.sql": "select * from work.cohrt",
    }
    found = problem(files)
    assert (found.code, str(found.position), found.suggestion) == ("unknown-table", "b.sql:1:15", "work.cohort")


@pytest.mark.parametrize("name", ["stage_person", "write_person", "schemas", "source_patients"])
def test_a_step_cannot_have_the_name_of_a_generated_one(project_workflow: str, problem: Problem, name: str) -> None:
    """Steps of the plan are told apart by their names, those of the compiler too."""
    step = f"  - {{name: {name}, kind: sql, file: s.sql, creates: work.z}}\n"
    found = problem({"workflow.yaml": project_workflow + step, "s.sql": "select 1 as x"})
    assert (found.code, found.found) == ("duplicate-name", name)


def test_two_dml_steps_may_fill_one_table(compile_project: Compile, project_workflow: str) -> None:
    """A table is the union of its mappings, also when two steps bring them, and is written once."""
    lines = project_workflow.replace(
        "mappings: mappings/*.yaml", "mappings: [mappings/person.yaml, mappings/conditions.yaml]"
    )
    more = dedent("""\
        name: more_persons
        kind: table
        target: cdm.person
        from: {p: source.patients}
        key: [p.id]
        columns: {person_id: {id: [p.id]}, gender_concept_id: 0, year_of_birth: 1970}
        """)
    plan = compile_project(
        {"workflow.yaml": lines + "  - {name: more, kind: dml, mappings: more.yaml}\n", "more.yaml": more}
    )
    writers = [step for step in plan.steps if "cdm.person" in step.writes and step.name != "cdm_tables"]
    assert [step.summary for step in writers] == ["write cdm.person from person, more_persons"]


# -- errors

SLOW = "name: slow, kind: sql, file: s.sql, creates: work.slow"
QUICK = "name: quick, kind: sql, file: q.sql, creates: work.quick"


def faulty(head: str, slow: str = "", quick: str = "") -> dict[str, str]:
    """The project with two SQL steps in the lines 6 and 7, after which stands what holds for the whole workflow."""
    files = workflow(SLOW + slow, QUICK + quick)
    return {"workflow.yaml": files["workflow.yaml"] + head, "s.sql": "SELECT 1 AS i", "q.sql": "SELECT 1 AS i"}


def test_what_a_workflow_says_about_errors_is_in_the_plan(compile_project: Compile) -> None:
    """A step's own limit goes before the workflow's, each with its line; what makes schemas has the workflow's."""
    head = "retry: {attempts: 7, first_wait: 1, max_wait: 60}\ntimeout: 60\non_failure: stop\n"
    plan = compile_project(faulty(head, ", timeout: 0.5"))
    limits = {step.name: (step.timeout.seconds, step.timeout.origin.line) for step in plan.steps if step.timeout}
    assert plan.retry == Retry(attempts=7, first_wait=1, max_wait=60)
    assert plan.on_failure == "stop"
    assert (limits["slow"], limits["quick"], limits["cdm_ddl"]) == ((0.5, 6), (60, 9), (60, 9))
    assert len(limits) == len(plan.steps)


def test_what_a_workflow_says_about_errors_is_in_no_fingerprint(compile_project: Compile) -> None:
    """A run goes on with another limit or policy than it began with."""
    plain = compile_project(faulty(""))
    careful = compile_project(faulty("retry: {attempts: 1}\ntimeout: 60\non_failure: stop\n", ", timeout: 2"))
    assert [step.fingerprint for step in plain.steps] == [step.fingerprint for step in careful.steps]
    assert plain.content_hash != careful.content_hash
    assert (plain.retry, {step.timeout for step in plain.steps}) == (None, {None})


def test_a_retry_of_nothing_is_what_is_done_without_one(compile_project: Compile) -> None:
    """The defaults of the keys are those of a run whose workflow has none."""
    assert compile_project(faulty("retry: {}\n")).retry == Retry()
