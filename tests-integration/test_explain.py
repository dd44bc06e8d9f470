"""Explanations of the whole Synthea project: every field, with rules and columns that really are where they say."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from omopcloudetl.core import CompiledWorkflowPlan, Session, UnknownNameError, create_project, open_project
from omopcloudetl.core.explain.model import FieldExplanation, Filling, ReadColumn, StepExplanation, TableExplanation
from omopcloudetl.core.files.yaml_document import parse_yaml


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Session, CompiledWorkflowPlan]:
    """The Synthea project and its plan."""
    folder = tmp_path_factory.mktemp("explained") / "project"
    create_project(folder, "synthea", variables={"source_uri": "exports", "vocabulary_uri": "athena"})
    session = open_project(folder)
    return session, session.compile()


def written_tables(session: Session, plan: CompiledWorkflowPlan) -> list[str]:
    """The CDM tables that mappings write."""
    steps = [step.name.removeprefix("write_") for step in plan.steps if step.name.startswith("write_")]
    return [name for name in session.specification().by_name if name in steps]


def explained(session: Session, plan: CompiledWorkflowPlan) -> Iterator[FieldExplanation]:
    """Every field of every CDM table that is written."""
    for table in written_tables(session, plan):
        for field in session.specification().by_name[table].fields:
            found = session.explain(f"cdm.{table}.{field.name}", plan)
            assert isinstance(found, FieldExplanation)
            assert (found.table, found.field, found.type) == (f"cdm.{table}", field.name, field.type)
            yield found


@cache
def content(file: str, text: str) -> Any:
    """What a file says."""
    return parse_yaml(file, text).data


def check_rules(root: Path, filling: Filling) -> None:
    """Each rule's line begins with its key, its text is in the file, and it is the value that YAML reads there."""
    for rule in filling.rules:
        text = (root / rule.file).read_text(encoding="utf-8")
        first, *rest = rule.text.split("\n")
        assert first in text.splitlines()[rule.line - 1]
        assert first.startswith(f"{rule.key.rpartition('.')[2]}:")
        assert all(line.strip() in text for line in rest)
        value = content(rule.file, text)
        for key in rule.key.split("."):
            value = value[int(key) if key.isdigit() else key]
        assert content(rule.file, rule.text) == {rule.key.rpartition(".")[2]: value}


def check_column(session: Session, column: ReadColumn) -> None:
    """A column that a value is read from is one that the workflow declares, the specification has or a file makes."""
    schema, _, table = column.table.partition(".")
    if schema in {"vocab", "cdm"}:
        assert column.column in session.specification().by_name[table].by_name
    else:
        assert schema == "source"
        assert column.made_by
        assert column.declared_at is not None
        file, _, line = column.declared_at.partition(":")
        declared = (session.root / file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
        assert f"{column.column}: " in declared


def test_every_field_of_the_synthea_project_is_explained(project: tuple[Session, CompiledWorkflowPlan]) -> None:
    """Each field of each table that the plan writes has its rules, or is said to be left out, by every mapping."""
    session, plan = project
    filled = 0
    for found in explained(session, plan):
        table = found.table.partition(".")[2]
        step = plan.step(f"write_{table}")
        mappings = {name.removeprefix("work.stage_") for name in step.reads if name.startswith("work.stage_")}
        assert {filling.by for filling in found.filled_by} == mappings
        for filling in found.filled_by:
            filled += filling.is_filled
            assert bool(filling.rules) == bool(filling.sql) == (filling.note is None), (table, found.field, filling)
            check_rules(session.root, filling)
            for column in filling.reads:
                check_column(session, column)
            if found.required:
                assert filling.is_filled or filling.note == "left out: 0, as the CDM requires a concept"
    assert filled > 400


def test_what_is_written_is_what_is_explained(project: tuple[Session, CompiledWorkflowPlan]) -> None:
    """A field that any mapping fills is in the INSERT of its table, and one that none fills holds no value of it."""
    session, plan = project
    for found in explained(session, plan):
        sql = plan.step(f"write_{found.table.partition('.')[2]}").sql()
        columns = sql.partition(f'INSERT INTO "cdm"."{found.table.partition(".")[2]}" (')[2].partition(")")[0]
        if any(filling.is_filled for filling in found.filled_by):
            assert f'"{found.field}"' in columns
        for filling in found.filled_by:
            stage = plan.step(filling.stage or "").sql()
            for part in filling.sql:
                assert f'AS "{part.name.partition(" of ")[0]}"' in stage
                assert part.sql.split("\n")[0] in stage


def test_events_ids_and_merged_places(project: tuple[Session, CompiledWorkflowPlan]) -> None:
    """A known event, a required end date, an id of an event, and an id of a place of several mappings."""
    session, plan = project
    end = session.explain("drug_exposure.drug_exposure_end_date", plan)
    assert isinstance(end, FieldExplanation)
    medications = next(filling for filling in end.filled_by if filling.by == "medications")
    assert [rule.key for rule in medications.rules] == ["end", "start"]
    assert medications.written_as == 'COALESCE("stage"."end_date", "stage"."start_date")'
    assert {column.column for column in medications.reads} == {"start", "stop"}
    ids = session.explain("measurement.measurement_id", plan)
    assert isinstance(ids, FieldExplanation)
    assert {filling.id.strategy for filling in ids.filled_by if filling.id} == {"ordinal"}
    places = session.explain("location.location_id", plan)
    assert isinstance(places, FieldExplanation)
    assert {filling.by for filling in places.filled_by if filling.id and filling.id.strategy == "registry"} == {
        "location_organizations",
        "location_patients",
        "location_providers",
    }


def test_a_price_is_explained_by_the_rows_of_its_event(project: tuple[Session, CompiledWorkflowPlan]) -> None:
    """What a cost is made of is told to the source, though the stage of its events has it."""
    session, plan = project
    found = session.explain("cost.total_cost", plan)
    assert isinstance(found, FieldExplanation)
    (medications,) = (filling for filling in found.filled_by if filling.by == "cost_medications")
    assert [(column.table, column.column) for column in medications.reads] == [("source.medications", "totalcost")]
    assert [text.partition(":")[0] for text in medications.through] == ["work.stage_medications"]
    priced = session.explain("cost.cost_event_id", plan)
    assert isinstance(priced, FieldExplanation)
    (medications,) = (filling for filling in priced.filled_by if filling.by == "cost_medications")
    assert medications.quarantine == ("cost_event_id: unknown medications", "cost_event_id: missing")


def test_every_table_and_step_of_the_synthea_project_is_explained(
    project: tuple[Session, CompiledWorkflowPlan],
) -> None:
    """Each step is told as the plan has it, and each table that a step reads or writes."""
    session, plan = project
    for step in plan.steps:
        found = session.explain(f"step:{step.name}", plan)
        assert isinstance(found, StepExplanation)
        assert (found.name, found.waits_for) == (step.name, step.depends_on)
        assert all(step.name in plan.step(other).depends_on for other in found.waited_for_by)
    for name in sorted({table for step in plan.steps for table in (*step.reads, *step.writes)}):
        table = session.explain(name, plan)
        assert isinstance(table, TableExplanation)
        assert table.table == name
        assert table.written_by or table.made_by


def test_each_plan_is_explained_by_itself(project: tuple[Session, CompiledWorkflowPlan]) -> None:
    """A plan that was changed by hand, its hash still that of before, is not told as the one that it was made of."""
    session, plan = project
    assert isinstance(session.explain("step:write_person", plan), StepExplanation)
    shorter = plan.model_copy(update={"steps": tuple(step for step in plan.steps if step.name != "write_person")})
    with pytest.raises(UnknownNameError):
        session.explain("step:write_person", shorter)
