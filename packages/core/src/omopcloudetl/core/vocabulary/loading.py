"""Loads a vocabulary into a project's target outside of its workflow, by the plan of a workflow of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from omopcloudetl.core.compiler.vocabulary import OWN
from omopcloudetl.core.errors import UnknownNameError
from omopcloudetl.core.files.validation import validate_document
from omopcloudetl.core.files.yaml_document import parse_yaml
from omopcloudetl.core.models.workflow import ConceptsStep, VocabularyStep, WorkflowConfig

if TYPE_CHECKING:
    from omopcloudetl.core.files.project_loader import LoadedProject
    from omopcloudetl.core.plan import CompiledWorkflowPlan
    from omopcloudetl.core.runs import RunRecord
    from omopcloudetl.core.specification.models import CdmSpecification

STEP = "athena"
WORKFLOW = "vocab_load"
"""Another workflow than the project's own: `run --resume` must not go on with it, and must see what it changed."""
VARIABLE = "vocabulary_uri"
STATE_FOLDER = "vocabulary"
"""Below the project's state: these runs are none of its workflow, and `run --resume` must not go on with one."""
_NOTE = "vocabulary "


@dataclass(frozen=True)
class VocabularyLoad:
    """What was loaded."""

    record: RunRecord
    """The record of the run, with its notes and warnings."""
    rows: Mapping[str, int]
    """Vocabulary table → rows that were loaded."""
    without_file: tuple[str, ...]
    """Tables of which there was no file; they are empty now."""

    @property
    def version(self) -> str | None:
        """The vocabulary's own version, such as `v5.0 29-FEB-24`; None where it says none."""
        notes = (note for note in self.record.notes() if note.startswith(_NOTE))
        return next((note.removeprefix(_NOTE) for note in notes), None)

    @classmethod
    def of(cls, record: RunRecord) -> VocabularyLoad:
        """What the run of a `vocabulary_project` did."""
        loads = {
            step.name.removeprefix(f"{STEP}_"): step
            for step in record.steps
            if step.kind == "bulk_load" and step.name.startswith(f"{STEP}_")
        }
        return cls(
            record,
            {table: step.rows_loaded or 0 for table, step in loads.items() if step.files},
            tuple(table for table, step in loads.items() if step.files == 0),
        )


def vocabulary_project(
    project: LoadedProject,
    specification: CdmSpecification,
    plan: CompiledWorkflowPlan | None,
    uri: str,
    tables: Sequence[str],
) -> LoadedProject:
    """The project with a workflow that makes the vocabulary's tables, loads them from `uri` and looks at them.

    The project's own concepts are added again.

    Args:
        project: Whose target is filled.
        specification: Which tables there are.
        plan: The project's own, which says what its rules read; None where it cannot be compiled.
        uri: A folder or a zip; a relative path is relative to the current folder.
        tables: Which tables; all without any.

    Raises:
        UnknownNameError: There is no vocabulary table of a name.
    """
    known = [table.name for table in specification.in_schema("vocab") if table.name not in OWN]
    for name in tables:
        if name not in known:
            raise UnknownNameError(name, f"Athena has no file of a table '{name}'", get_close_matches(name, known))
    own = [step for step in project.workflow.steps if isinstance(step, VocabularyStep)]
    read = _tables_read(project, plan) & set(tables or known)
    step = {
        "name": STEP,
        "kind": "vocabulary",
        "from": f":{VARIABLE}",
        "tables": list(tables),
        "required": sorted(read - {name for one in own for name in one.optional}),
    }
    workflow = {
        "name": WORKFLOW,
        "variables": {VARIABLE: {"type": "uri"}},
        "concurrency": project.workflow.concurrency,
        **({"retry": project.workflow.retry.model_dump()} if project.workflow.retry is not None else {}),
        "steps": [{"name": f"{STEP}_tables", "kind": "ddl", "schema": "vocab"}, step, *_own_concepts(project)],
    }
    document = parse_yaml("vocab load", json.dumps(workflow, default=str))  # JSON is YAML
    return replace(
        project,
        workflow=validate_document(document, TypeAdapter(WorkflowConfig)),
        workflow_document=document,
        mappings=(),
        sql_files={},
        variables={VARIABLE: _placed(uri)},
    )


def _own_concepts(project: LoadedProject) -> list[dict[str, object]]:
    """The steps that add the project's own concepts, as they are written: they have to be added again."""
    steps = enumerate(project.workflow.steps)
    written = [project.workflow_document.data["steps"][i] for i, step in steps if isinstance(step, ConceptsStep)]
    # Nothing that it waits for is in this workflow; a name of its own, so that it is none of the others'. A limit of
    # time is one of the workflow's runs, and would be said to stand in a file that there is not.
    return [
        {key: value for key, value in step.items() if key not in {"depends_on", "timeout"}} | {"name": f"own_{number}"}
        for number, step in enumerate(written, 1)
    ]


def _tables_read(project: LoadedProject, plan: CompiledWorkflowPlan | None) -> set[str]:
    """The vocabulary's tables that rules of a plan read; what only looks at them is no rule."""
    own = project.workflow.steps
    looking = {f"{step.name}_check" for step in own if isinstance(step, VocabularyStep)}
    looking |= {step.name for step in own if isinstance(step, ConceptsStep)}
    steps = [step for step in plan.steps if step.name not in looking] if plan is not None else []
    return {table.removeprefix("vocab.") for step in steps for table in step.reads if table.startswith("vocab.")}


def _placed(uri: str) -> str:
    """A relative path is relative to the current folder."""
    return uri if "://" in uri else str(Path.cwd() / uri)
