"""Promises of `omopcloudetl.core.explain`: where a field, a table and a step come from, and what a name means."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from omopcloudetl.core.errors import UnknownNameError
from omopcloudetl.core.explain.model import (
    FieldExplanation,
    ReadColumn,
    StepExplanation,
    TableExplanation,
    WorkflowStepExplanation,
)
from omopcloudetl.core.session import Session

Explain = Callable[..., Any]

OBSERVATIONS = """\
    name: labs
    kind: event
    from: {l: source.labs}
    joins:
      p: {table: source.patients, on: p.id = l.patient, cardinality: one}
    where: l.code is not null
    key: [l.id]
    person: l.patient
    concept:
      code: l.code
      vocabulary: LOINC
    start: l.day
    end: l.until
    value: {number: l.result}
    type_concept_id: 32856
    routes: {Measurement: condition_occurrence}
    default_table: observation
    columns:
      observation:
        # where the record begins to be ours
        provider_id:
          constant: 7

      condition_occurrence: {visit_occurrence_id: 3}
    """


@pytest.fixture
def explain(acme: object, project: Callable[..., Path], project_workflow: str) -> Explain:
    """Explain a name in the clinic's project, with some of its files and its workflow's steps changed."""

    def find(name: str, files: dict[str, str | bytes] | None = None, *, steps: str = "", write: str = "full") -> Any:
        workflow = project_workflow.replace(
            "conditions: conditions.csv", "conditions: conditions.csv\n      labs: labs.csv"
        )
        workflow = workflow.replace("mappings/*.yaml}", f"mappings/*.yaml, write: {write}}}") + steps
        every = {"workflow.yaml": workflow, "mappings/labs.yaml": OBSERVATIONS, **(files or {})}
        return Session.open(project(every)).explain(name)

    return find


def by(found: FieldExplanation, name: str) -> Any:
    """What a mapping or a SQL file puts into a field."""
    return next(filling for filling in found.filled_by if filling.by == name)


def test_a_field_of_a_table_mapping(explain: Explain) -> None:
    """A field has its facts, its rule with file, line and text, its SQL, and the columns it is made of."""
    found = explain("person.gender_concept_id")
    assert (found.table, found.field, found.type, found.required) == (
        "cdm.person",
        "gender_concept_id",
        "integer",
        True,
    )
    (filling,) = found.filled_by
    assert (filling.by, filling.place, filling.step) == ("person", "mappings/person.yaml:1", "write_person")
    (rule,) = filling.rules
    assert (rule.place, rule.key) == ("mappings/person.yaml:8", "columns.gender_concept_id")
    assert rule.text == "gender_concept_id: {value_map: p.gender, map: {M: 8507, F: 8532}, else: 0}"
    assert filling.sql[0].sql == """CASE "p"."gender" WHEN 'M' THEN 8507 WHEN 'F' THEN 8532 ELSE 0 END"""
    assert filling.reads == (ReadColumn("source.patients", "gender", "text", "workflow.yaml:14", ("source_patients",)),)


def test_a_field_of_an_event_in_each_of_its_tables(explain: Explain) -> None:
    """An event's key fills the field of its role in each table, and says which rows get there."""
    found = by(explain("condition_occurrence.condition_start_date"), "labs")
    assert [(rule.key, rule.line, rule.text) for rule in found.rules] == [("start", 12, "start: l.day")]
    assert found.rows == (
        "rows whose concept is of the domain Condition or Measurement",
        "only where l.code is not null",
    )
    assert "start_date: missing" in found.quarantine
    other = by(explain("observation.observation_date"), "labs")
    assert other.rules == found.rules
    assert other.rows[:2] == (
        "rows whose concept is of a domain that has no table of its own",
        "rows whose code has no concept",
    )


def test_how_the_write_step_carries_a_value_over(explain: Explain) -> None:
    """What the write step makes of a value is told where it does not take it as it is."""
    found = by(explain("condition_occurrence.condition_end_date"), "labs")
    assert found.written_as is None
    assert [rule.key for rule in found.rules] == ["end"]
    spec = "condition_occurrence.condition_concept_id"
    (rule,) = by(explain(spec), "labs").rules
    assert rule.text == "concept:\n  code: l.code\n  vocabulary: LOINC"


def test_codes_and_references_are_followed_to_the_source(explain: Explain) -> None:
    """A concept is read from its code, and a reference from the natural key; both say what they go through."""
    concept = by(explain("observation.observation_concept_id"), "labs")
    assert [(column.table, column.column) for column in concept.reads] == [("source.labs", "code")]
    assert concept.through[0].startswith("work.codes_labs: codes and their concepts, from vocab.concept")
    person = by(explain("observation.person_id"), "labs")
    assert [(column.table, column.column) for column in person.reads] == [("source.labs", "patient")]
    assert person.through == ("work.key_person: ids of cdm.person by its natural key",)


def test_a_further_column_of_an_event(explain: Explain) -> None:
    """A column that a mapping adds for one table is told for it, its text as it stands in the file."""
    (rule,) = by(explain("observation.provider_id"), "labs").rules
    assert (rule.key, rule.line) == ("columns.observation.provider_id", 21)
    assert rule.text == "provider_id:\n  constant: 7"
    (rule,) = by(explain("condition_occurrence.visit_occurrence_id"), "labs").rules
    assert (rule.line, rule.text) == (24, "visit_occurrence_id: 3")


def test_what_a_mapping_leaves_out(explain: Explain) -> None:
    """A field that a mapping does not fill is said to be NULL, and a table that nothing writes to stay as it is."""
    found = explain("person.location_id")
    assert [(filling.is_filled, filling.note) for filling in found.filled_by] == [(False, "left out: NULL")]
    assert found.note == "nothing fills it"
    assert explain("visit_occurrence.person_id").note == "no step writes cdm.visit_occurrence"
    conditions = by(explain("observation.value_as_number"), "conditions")
    assert (conditions.is_filled, conditions.note) == (False, "left out: NULL")


@pytest.mark.parametrize(
    ("name", "mapping", "write", "strategy", "key"),
    [
        ("person.person_id", "person", "full", "registry", "columns.person_id"),
        ("observation.observation_id", "labs", "full", "ordinal", "key"),
        ("observation.observation_id", "labs", "merge", "registry", "key"),
        ("person.person_id", "person", "append_new", "registry", "columns.person_id"),
    ],
)
def test_ids(explain: Explain, name: str, mapping: str, write: str, strategy: str, key: str) -> None:
    """An id says its strategy, the rule of the natural key, its columns, and where the registry is."""
    found = by(explain(name, write=write), mapping)
    table = name.partition(".")[0]
    assert found.id.strategy == strategy
    assert found.id.registry == (f"work.registry_{table}" if strategy == "registry" else None)
    assert [rule.key for rule in found.rules] == [key]
    assert [column.column for column in found.reads] == ["id"]


@pytest.mark.parametrize("write", ["merge", "append_new"])
def test_fields_of_tables_that_are_not_written_anew(explain: Explain, write: str) -> None:
    """Rows, entities and what they are made of are found in merges, too."""
    assert by(explain("observation.value_as_number", write=write), "labs").rules[0].key == "value"
    assert by(explain("person.year_of_birth", write=write), "person").reads[0].column == "birthdate"


DEATHS = """\
-- deaths of the registry
INSERT INTO cdm.death (person_id, death_date)
SELECT k.person_id, d.day
FROM (SELECT c.patient, max(c.start) AS day FROM source.conditions AS c GROUP BY c.patient) AS d
JOIN cdm.person AS k ON k.person_source_value = d.patient;
UPDATE cdm.death SET cause_source_value = 'unknown'
"""
DEATHS_STEP = "  - {name: deaths, kind: sql, file: deaths.sql}\n"


def test_fields_that_a_sql_file_fills(explain: Explain) -> None:
    """A statement of a SQL file is told with its line, its expression and the columns behind subqueries."""
    files = {"deaths.sql": DEATHS}
    insert, update = explain("death.death_date", files, steps=DEATHS_STEP).filled_by
    assert (insert.by, insert.place, insert.sql[0].name) == ("deaths", "deaths.sql:2", "death_date")
    assert [(column.table, column.column) for column in insert.reads] == [("source.conditions", "start")]
    assert "INSERT INTO" in insert.sql[1].sql
    assert (update.place, update.is_filled, update.note) == ("deaths.sql:6", False, "this statement does not write it")
    _, cause = explain("death.cause_source_value", files, steps=DEATHS_STEP).filled_by
    assert cause.sql[0].sql == "'unknown'"


def test_a_column_of_a_table_that_a_sql_file_makes(explain: Explain) -> None:
    """A table of `work` has the columns of the query that makes it; a recursive CTE is followed once."""
    text = "WITH RECURSIVE r AS (SELECT c.code AS n FROM source.conditions AS c UNION ALL SELECT r.n FROM r)\n"
    text += "SELECT n FROM r\n"
    steps = "  - {name: chain, kind: sql, file: chain.sql, creates: work.chain}\n"
    found = explain("work.chain.n", {"chain.sql": text}, steps=steps)
    assert [(column.table, column.column) for column in found.filled_by[0].reads] == [("source.conditions", "code")]


def test_schemas_that_are_one_in_the_database(explain: Explain) -> None:
    """Logical tables are told apart by their names where several schemas are the same physical one."""
    lines = 'name: clinic\ncdm_version: "9.9"\nplugins: [acme]\nschemas: {source: a.b, work: a.b, cdm: cdm}\n'
    files = {"project.yaml": lines + "targets:\n  here: {provider: acme, orchestrator: acme}\n"}
    found = by(explain("observation.person_id", files), "labs")
    assert [column.table for column in found.reads] == ["source.labs"]
    assert found.through == ("work.key_person: ids of cdm.person by its natural key",)


def test_a_table(explain: Explain) -> None:
    """A table says who makes, writes and reads it, and for each field who fills it where."""
    found = explain("cdm.condition_occurrence")
    assert isinstance(found, TableExplanation)
    assert [step.name for step in found.made_by] == ["cdm_tables"]
    assert [(step.name, step.write) for step in found.written_by] == [("write_condition_occurrence", "full")]
    assert found.mappings == (("conditions", "mappings/conditions.yaml:1"), ("labs", "mappings/labs.yaml:1"))
    fields = {field.name: field for field in found.fields}
    assert fields["condition_start_date"].filled_by == (
        ("conditions", "mappings/conditions.yaml:7"),
        ("labs", "mappings/labs.yaml:12"),
    )
    assert (fields["provider_id"].filled_by, fields["provider_id"].note) == ((), "left out: NULL")


def test_a_table_of_the_source(explain: Explain) -> None:
    """A table of the source says which step loads it, who reads it, and where its columns are declared."""
    found = explain("source.patients")
    assert [step.name for step in found.written_by] == ["source_patients"]
    assert [step.name for step in found.read_by] == ["stage_person", "stage_labs", "ledger"]
    assert [(field.name, field.type) for field in found.fields] == [
        ("id", "text"),
        ("gender", "text"),
        ("birthdate", "date"),
    ]
    column = explain("source.patients.gender")
    assert (column.loaded_by[0].name, column.needed_by) == ("source_patients", "mappings/person.yaml:8")


def test_a_step(explain: Explain) -> None:
    """A step says what it reads and from which step, what it makes, what it waits for, and its statements."""
    found = explain("stage_labs")
    assert isinstance(found, StepExplanation)
    assert (found.place, found.mapping) == ("mappings/labs.yaml:1", "labs")
    assert dict(found.reads)["work.key_person"] == ("write_person",)
    assert dict(found.gives)["cdm.observation"][-1] == "only where l.code is not null"
    assert {"write_observation", "write_condition_occurrence"} <= set(found.waited_for_by)
    assert "source_labs" in found.waits_for
    assert any(statement.check for statement in found.statements)
    assert explain("mapping:labs") == found


def test_a_load(explain: Explain) -> None:
    """A load says which file it reads, and which rule needs which column."""
    found = explain("source_labs")
    assert (found.load.uri, found.load.format, found.load.mode) == ("data/labs.csv", "csv", "create")
    assert {column.name: column.note for column in found.load.columns}["day"] == "read first at mappings/labs.yaml:12"


def test_a_step_of_the_workflow(explain: Explain) -> None:
    """A step of the workflow is the steps of the plan that it becomes."""
    found = explain("mappings")
    assert isinstance(found, WorkflowStepExplanation)
    assert [step.name for step in found.steps if step.name.startswith("write_")] == [
        "write_person",
        "write_condition_occurrence",
        "write_observation",
    ]


@pytest.mark.parametrize(
    ("name", "kind", "also"),
    [
        ("person", "table", ("mapping:person",)),
        ("CDM.Person", "table", ()),
        ("mapping:person", "step", ()),
        ("conditions", "step", ("source.conditions",)),
        ("step:source", "workflow_step", ()),
        ("patients.id", "field", ()),
        ("cdm.person.person_id", "field", ()),
    ],
)
def test_what_a_name_means(explain: Explain, name: str, kind: str, also: tuple[str, ...]) -> None:
    """A table of the CDM comes before a step, a step before a mapping, and what else has the name is told."""
    found = explain(name)
    assert (found.kind, found.also) == (kind, also)


@pytest.mark.parametrize(
    ("name", "message", "near"),
    [
        ("persn", "nothing in this project is called 'persn'", "person"),
        ("person.gender", "cdm.person has no field 'gender'", "person.gender_concept_id"),
        ("stage_lab", "nothing in this project is called 'stage_lab'", "stage_labs"),
        ("work.stage_labs.x", "work.stage_labs has no field 'x'", None),
        ("step:person", "nothing in this project is called 'step:person'", "person"),
        ("", "nothing in this project is called ''", None),
        ("a.b.c.d", "nothing in this project is called 'a.b.c.d'", None),
    ],
)
def test_a_name_that_nothing_has(explain: Explain, name: str, message: str, near: str | None) -> None:
    """The error says what is like it."""
    with pytest.raises(UnknownNameError) as caught:
        explain(name)
    assert str(caught.value).startswith(message)
    assert (near in caught.value.near) if near else not caught.value.near


def test_json_with_and_without_sql(explain: Explain) -> None:
    """An explanation is plain values; without SQL no statement is in it."""
    found = explain("person.gender_concept_id")
    assert found.to_json()["kind"] == "field"
    assert "CASE" in str(found.to_json())
    assert "CASE" not in str(found.to_json(sql=False))
    assert "SELECT" not in str(explain("write_person").to_json(sql=False))


def test_a_rule_in_a_file_of_windows_with_an_anchor(explain: Explain) -> None:
    """A rule's text is that of its own lines: no comment that follows, nothing an alias stands for."""
    text = dedent(OBSERVATIONS).replace("end: l.until", "# a comment\nend: &end l.until")
    text = text.replace("visit_occurrence_id: 3", "visit_occurrence_id: *end").replace("\n", "\r\n")
    files = {"mappings/labs.yaml": ("\ufeff" + text).encode()}
    (rule,) = by(explain("condition_occurrence.condition_end_date", files), "labs").rules
    assert rule.text == "end: &end l.until"
    (rule,) = by(explain("condition_occurrence.condition_start_date", files), "labs").rules
    assert rule.text == "start: l.day"
    (rule,) = by(explain("condition_occurrence.visit_occurrence_id", files), "labs").rules
    assert rule.text == "visit_occurrence_id: *end"


def test_a_rule_at_the_end_of_a_file(explain: Explain) -> None:
    """The last rule is whole, also where the file does not end with a line break."""
    text = dedent(OBSERVATIONS).partition("      # where")[0].partition("columns:")[0]
    files = {"mappings/labs.yaml": text + "columns:\n  observation:\n    provider_id:\n      constant: 7"}
    (rule,) = by(explain("observation.provider_id", files), "labs").rules
    assert rule.text == "provider_id:\n  constant: 7"
