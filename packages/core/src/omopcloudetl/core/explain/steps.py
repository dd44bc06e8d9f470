"""Explains a step: what it does and reads, what it waits for and what waits for it."""

from __future__ import annotations

from typing import assert_never

from omopcloudetl.core.explain.context import STAGE, WRITE, Context, place_of
from omopcloudetl.core.explain.model import (
    FieldLine,
    Load,
    StatementOfStep,
    StepExplanation,
    WorkflowStepExplanation,
)
from omopcloudetl.core.explain.rules import rows_of
from omopcloudetl.core.models.workflow import BulkLoadStep as BulkLoadConfig
from omopcloudetl.core.models.workflow import ConceptsStep, DmlStep, VocabularyStep, WorkflowStep
from omopcloudetl.core.plan import BulkLoadStep, PlanStep, SqlStep


def explain_step(context: Context, step: PlanStep, also: tuple[str, ...] = ()) -> StepExplanation:
    """What a step of the plan does."""
    mapping = step.name.removeprefix(STAGE) if step.name.startswith(STAGE) else None
    loaded = context.mappings.get(mapping or "")
    gives = []
    if loaded is not None:
        tables = [write.name.removeprefix(WRITE) for write in context.write_steps(loaded.model.name)]
        gives = [(f"cdm.{table}", rows_of(loaded.model, table)) for table in tables]
    return StepExplanation(
        name=step.name,
        summary=step.summary,
        place=place_of(step),
        mapping=mapping if loaded is not None else None,
        gives=tuple(gives),
        reads=tuple((table, tuple(other.name for other in context.writers(table))) for table in step.reads),
        writes=step.writes,
        waits_for=step.depends_on,
        waited_for_by=tuple(other.name for other in context.plan.steps if step.name in other.depends_on),
        transaction=step.transaction,
        statements=_statements(step),
        load=_load(step),
        also=also,
    )


def explain_workflow_step(
    context: Context, step: WorkflowStep, also: tuple[str, ...] = ()
) -> StepExplanation | WorkflowStepExplanation:
    """The steps of the plan that a step of the workflow becomes; of a single one what it does."""
    index = context.project.workflow.steps.index(step)
    names = _planned(context, step)
    if len(names) == 1:
        return explain_step(context, context.steps[names[0]], also)
    position = context.project.workflow_document.at("steps", index)
    return WorkflowStepExplanation(
        name=step.name,
        summary=step.description or f"a step of the workflow, of the kind {step.kind}",
        place=f"{position.file}:{position.line}",
        steps=context.lines(planned for planned in context.plan.steps if planned.name in names),
        also=also,
    )


def _planned(context: Context, step: WorkflowStep) -> list[str]:
    match step:
        case BulkLoadConfig():
            return [f"{step.name}_{table}" for table in step.tables]
        case VocabularyStep():
            place = context.project.workflow_document.at("steps", context.project.workflow.steps.index(step))
            mine = (planned for planned in context.plan.steps if planned.name.startswith(f"{step.name}_"))
            return [planned.name for planned in mine if planned.origin.line == place.line]
        case ConceptsStep():
            return [f"{step.name}_file", step.name]
        case DmlStep():
            mappings = [name for name, loaded in context.mappings.items() if loaded.step == step.name]
            writes = [write.name for name in mappings for write in context.write_steps(name)]
            return [*(f"{STAGE}{name}" for name in mappings), *dict.fromkeys(writes)]
        case _:
            return [step.name]


def _statements(step: PlanStep) -> tuple[StatementOfStep, ...]:
    match step:
        case SqlStep():
            return tuple(StatementOfStep(s.purpose, s.sql, s.check) for s in step.statements)
        case BulkLoadStep():
            return ()
        case _:
            assert_never(step)


def _load(step: PlanStep) -> Load | None:
    if not isinstance(step, BulkLoadStep):
        return None
    options = step.text.model_dump(mode="json", exclude_defaults=True)
    if step.rejects is not None:
        options["max_rejected"] = step.rejects.max_rejected
    if step.others:
        options["or else"] = list(step.others)
    if step.optional:
        options["may be missing"] = True
    columns = [
        FieldLine(
            name=column.name,
            type=column.type,
            required=not column.optional,
            filled_by=(),
            note=f"read first at {column.needed_by}" if column.needed_by else None,
        )
        for column in step.columns
    ]
    return Load(step.uri, step.format, step.mode, ".".join(step.table), options, tuple(columns))
