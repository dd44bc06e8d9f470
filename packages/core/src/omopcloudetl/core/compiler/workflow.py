"""`WorkflowCompiler`: a loaded project in, a plan out, and nothing else goes in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlglot import parse_one

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.checked import Checked
from omopcloudetl.core.compiler.compilation import (
    Compilation,
    DraftStep,
    declared_sources,
    text_tables,
)
from omopcloudetl.core.compiler.concepts import concepts_steps
from omopcloudetl.core.compiler.constants import check_constant_concepts
from omopcloudetl.core.compiler.coverage import CoverageSql, coverage_sql
from omopcloudetl.core.compiler.ddl import ddl_step, rejected_rows_step, schemas_step
from omopcloudetl.core.compiler.derived.builders import derived_mapping
from omopcloudetl.core.compiler.derived.carried_prices import find_carried_prices
from omopcloudetl.core.compiler.derived.visits import DETAIL, VISIT
from omopcloudetl.core.compiler.event_keys import event_steps
from omopcloudetl.core.compiler.event_mapping import event_mapping, possible_tables
from omopcloudetl.core.compiler.faults import TimeLimits, retry_policy
from omopcloudetl.core.compiler.graph import step_order
from omopcloudetl.core.compiler.kept_keys import find_kept_keys
from omopcloudetl.core.compiler.kept_rows import check_kept_rows
from omopcloudetl.core.compiler.layouts import check_layout
from omopcloudetl.core.compiler.ledger import LEDGER_QUERY, ledger_step
from omopcloudetl.core.compiler.load_options import is_in_place, reject_options, table_format, text_options
from omopcloudetl.core.compiler.loads import bulk_load_steps, load_columns, load_uri
from omopcloudetl.core.compiler.names import check_columns
from omopcloudetl.core.compiler.rule_tests import check_expected_tables, check_rule_tests
from omopcloudetl.core.compiler.run_tables import check_run_tables, compile_run_tables
from omopcloudetl.core.compiler.sql_files import sql_step
from omopcloudetl.core.compiler.staged import CompiledMapping, StagedMapping
from omopcloudetl.core.compiler.table_mapping import entity_of, table_mapping
from omopcloudetl.core.compiler.vocabulary import files_of, vocabulary_steps
from omopcloudetl.core.compiler.writes import write_tables
from omopcloudetl.core.errors import in_order
from omopcloudetl.core.files.project_loader import LoadedMapping, LoadedProject
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.memory import collections_paused
from omopcloudetl.core.models.mapping import EventMapping, Mapping, TableMapping
from omopcloudetl.core.models.visits import VisitsMapping
from omopcloudetl.core.models.workflow import BulkLoadStep as BulkLoadConfig
from omopcloudetl.core.models.workflow import ConceptsStep, DdlStep, DmlStep, SqlStep, VocabularyStep
from omopcloudetl.core.plan import (
    BulkLoadStep,
    CompiledWorkflowPlan,
    PlanStep,
    Transaction,
    content_hash,
)
from omopcloudetl.core.plan import SqlStep as PlannedSql
from omopcloudetl.core.run_tables import RUN_TABLES
from omopcloudetl.core.specification.concepts import KnownConcepts
from omopcloudetl.core.specification.models import CdmSpecification


class WorkflowCompiler:
    """Compiles projects for one CDM version and one dialect.

    Compiling is a pure function of the project's files, the specification, the dialect and the variables.
    """

    def __init__(
        self, specification: CdmSpecification, generator: BaseSQLGenerator, concepts: KnownConcepts | None = None
    ) -> None:
        self.specification = specification
        self.generator = generator
        self.concepts = concepts or KnownConcepts()

    def compile(self, project: LoadedProject) -> CompiledWorkflowPlan:
        """The plan of a project; raises `ProjectError` with every mistake that was found."""
        return self.check(project).required()

    def check(self, project: LoadedProject) -> Checked:
        """The plan of a project, if there is one, with every mistake and every warning."""
        with collections_paused():
            return self._check(project)

    def coverage(self, project: LoadedProject, names: Collection[str]) -> dict[str, CoverageSql]:
        """For each of these mappings that looks codes up, the queries of which codes have concepts.

        The project must be one that can be compiled.
        """
        compilation = self._compilation(project)
        compile_workflow_steps(compilation)
        collect_entities(compilation)
        chosen = [loaded for loaded in project.mappings if loaded.model.name in names]
        compiled = [compile_mapping(compilation, loaded) for loaded in chosen]
        staged = [mapping for mapping in compiled if isinstance(mapping, StagedMapping) and mapping.builder.lookups]
        return {mapping.name: coverage_sql(compilation, mapping) for mapping in staged}

    def _compilation(self, project: LoadedProject) -> Compilation:
        return Compilation(
            project,
            self.specification,
            self.generator,
            declared_sources(project),
            text_tables(project),
            self.concepts,
        )

    def _check(self, project: LoadedProject) -> Checked:
        compilation = self._compilation(project)
        for compile_pass in PASSES:
            compile_pass(compilation)
        depends, ordered = step_order(compilation)
        check_physical_names(compilation, compilation.schemas)
        check_run_tables(compilation)
        plan = None if compilation.has_errors else self._plan(compilation, ordered, depends)
        if compilation.has_errors:
            plan = None  # a statement could not be rendered
        return Checked(plan, tuple(in_order(compilation.problems)))

    def _plan(
        self, compilation: Compilation, ordered: list[DraftStep], depends: dict[str, set[str]]
    ) -> CompiledWorkflowPlan:
        project = compilation.project
        schemas = compilation.schemas
        limits = TimeLimits(project)
        fingerprints: dict[str, str] = {}
        steps: list[PlanStep] = []
        for draft in ordered:
            step = _planned(compilation, draft, sorted(depends[draft.name]))
            content = step.model_dump(mode="json", exclude=NOT_WHAT_IT_DOES)
            earlier = [fingerprints[name] for name in step.depends_on]
            fingerprints[step.name] = content_hash([content, earlier])
            more = {"fingerprint": fingerprints[step.name], "timeout": limits.of(draft.workflow_steps)}
            steps.append(step.model_copy(update=more))
        written = sorted(t for step in steps for t in step.writes if t.startswith("cdm."))
        count = "SELECT COUNT(*) AS row_count FROM "
        return CompiledWorkflowPlan(
            name=project.config.name,
            cdm_version=self.specification.version,
            provider=project.target.provider,
            dialect=self.generator.dialect,
            concurrency=project.workflow.concurrency,
            retry=retry_policy(project.workflow),
            on_failure=project.workflow.on_failure,
            schemas=schemas,
            steps=tuple(steps),
            ledger=self.generator.render(parse_one(LEDGER_QUERY), schemas) if _has_mappings(compilation) else None,
            run_tables=compile_run_tables(
                self.generator, schemas, project=project.config.name, workflow=project.workflow.name
            ),
            counted_tables={t: self.generator.render(parse_one(count + t), schemas) for t in written},
        ).sealed()


NOT_WHAT_IT_DOES: dict[str, Any] = {
    "fingerprint": True,
    "origin": True,
    "summary": True,
    "statements": {"__all__": {"purpose", "check", "counted", "reports"}},
    "columns": {"__all__": {"needed_by"}},
    "beside": True,
    "creates": True,
    "amends": True,
}
"""What a fingerprint leaves out: a comment above a rule moves lines, but changes nothing that is done."""


def compile_workflow_steps(compilation: Compilation) -> None:
    """The steps that do not depend on mappings: schemas, tables, loads and SQL files."""
    schemas_step(compilation)
    for index, step in enumerate(compilation.project.workflow.steps):
        match step:
            case DdlStep():
                ddl_step(compilation, step, index)
            case BulkLoadConfig():
                bulk_load_steps(compilation, step, index)
            case VocabularyStep():
                vocabulary_steps(compilation, step, index)
            case ConceptsStep():
                concepts_steps(compilation, step, index)
            case SqlStep():
                sql_step(compilation, step, index)
            case DmlStep():
                check_kept_rows(compilation, step, index)
    rejected_rows_step(compilation)
    check_columns(compilation)


def collect_entities(compilation: Compilation) -> None:
    """Which tables get ids by natural key, and which mappings make events, so that others can refer to their rows."""
    for loaded in compilation.project.mappings:
        if isinstance(loaded.model, EventMapping):
            compilation.events[loaded.model.name] = len(loaded.model.key)
            compilation.event_tables |= possible_tables(loaded.model)
        for name, arity in _entities(compilation, loaded.model):
            if compilation.entities.setdefault(name, arity) != arity:
                compilation.problem(
                    "key-arity",
                    f"the natural key of '{name}' has {compilation.entities[name]} parts in another mapping",
                    loaded.document.at("columns" if isinstance(loaded.model, TableMapping) else "key"),
                    found=f"{arity} parts",
                    help="the mappings of a table number its rows by one natural key",
                )
    _share_keys_of_visits(compilation)


def _share_keys_of_visits(compilation: Compilation) -> None:
    """Where one mapping makes all visits and their details, one table of keys has the ids of both, and of providers."""
    makers = [
        loaded.model
        for loaded in compilation.project.mappings
        if any(name == DETAIL for name, _ in _entities(compilation, loaded.model))
    ]
    if len(makers) == 1 and isinstance(makers[0], VisitsMapping):
        compilation.key_tables[VISIT] = DETAIL
        compilation.beside_keys[DETAIL] = (VISIT, "provider") if makers[0].provider else (VISIT,)


def _entities(compilation: Compilation, model: Mapping) -> list[tuple[str, int]]:
    """The tables to whose rows a mapping gives ids by natural key, and how many parts that has."""
    match model:
        case TableMapping():
            entity = entity_of(compilation, model)
            return [entity] if entity else []
        case VisitsMapping():
            return [(name, len(model.key)) for name in (VISIT, DETAIL)]
        case _:
            return []


def compile_mappings(compilation: Compilation) -> None:
    """Stages, writes and the ledger of all mappings."""
    staged: list[CompiledMapping] = []
    for loaded in compilation.project.mappings:
        found = compile_mapping(compilation, loaded)
        if found is not None:
            staged.append(found)
            check_expected_tables(compilation, found)
        if not compilation.has_errors:
            stage = compilation.steps[-1]
            stage.statements = compilation.render(stage.statements, stage.origin)
    if not staged or not all(mapping.loaded.is_whole for mapping in staged):
        return  # what is left of a mapping has no key, perhaps, and there will be no plan
    if not compilation.has_errors:
        late_stages(compilation, staged)
        write_tables(compilation, staged)
        event_steps(compilation, staged)
    if not compilation.has_errors:
        ledger_step(compilation, staged)


def late_stages(compilation: Compilation, staged: Sequence[CompiledMapping]) -> None:
    """Add the steps of stages that are made from those of other mappings."""
    for mapping in staged:
        if isinstance(mapping, StagedMapping) and mapping.late_stage is not None:
            step = mapping.late_stage(staged)
            step.statements = compilation.render(step.statements, step.origin)
            compilation.steps.append(step)


def compile_mapping(compilation: Compilation, loaded: LoadedMapping) -> CompiledMapping | None:
    """Add the steps of one mapping up to its stage, unless that is a late one; None when its target is no CDM table."""
    match loaded.model:
        case TableMapping() as model:
            return table_mapping(compilation, loaded, model)
        case EventMapping() as model:
            return event_mapping(compilation, loaded, model)
        case model:
            return derived_mapping(compilation, loaded, model)


PASSES: tuple[Callable[[Compilation], None], ...] = (
    check_layout,
    compile_workflow_steps,
    collect_entities,
    find_carried_prices,
    find_kept_keys,
    check_constant_concepts,
    check_rule_tests,
    compile_mappings,
)


def check_physical_names(compilation: Compilation, schemas: dict[str, str]) -> None:
    """Two logical tables must not be one physical table, or one step would destroy what another made."""
    named = {table for step in compilation.steps for table in step.reads | step.writes | step.creates}
    names = sorted(named | set(RUN_TABLES))
    owners: dict[str, str] = {}
    for logical in names:
        schema, _, table = logical.partition(".")
        if schema not in schemas:
            continue  # told where it is written
        physical = f"{schemas[schema]}.{table}".lower()
        if owners.setdefault(physical, logical) != logical:
            compilation.problem(
                "two-tables-in-one",
                f"{owners[physical]} and {logical} are both the table {physical}",
                compilation.project.config_document.at("schemas"),
                help="give the logical schemas different physical ones",
            )


def _has_mappings(compilation: Compilation) -> bool:
    return bool(compilation.project.mappings)


def _planned(compilation: Compilation, draft: DraftStep, depends_on: list[str]) -> PlanStep:
    """A draft as a step of the plan: rendered, with physical names."""
    if draft.load is not None and draft.load_table is not None:
        return _planned_load(compilation, draft, draft.load, draft.load_table, depends_on)
    return PlannedSql(
        name=draft.name,
        summary=draft.summary,
        reads=tuple(sorted(draft.reads | draft.looks_at)),
        writes=tuple(sorted(draft.writes | draft.creates)),
        creates=tuple(sorted(draft.creates - draft.writes)),
        amends=draft.amends,
        depends_on=tuple(depends_on),
        transaction=_transaction(compilation, draft),
        origin=draft.origin,
        statements=tuple(compilation.render(draft.statements, draft.origin)),
    )


def _transaction(compilation: Compilation, draft: DraftStep) -> Transaction:
    """An engine without transactions runs each statement for itself; what steps do is safe to repeat."""
    return draft.transaction if compilation.generator.has(Capability.TRANSACTIONS) else "none"


def _planned_load(
    compilation: Compilation,
    draft: DraftStep,
    load: BulkLoadConfig,
    table: str,
    depends_on: list[str],
) -> BulkLoadStep:
    uri = load_uri(compilation, load, table, draft.load_number)
    schema, _, name = (draft.load_into or f"{load.schema_}.{table}").partition(".")
    return BulkLoadStep(
        name=draft.name,
        summary=draft.summary,
        writes=tuple(sorted(draft.writes)),
        depends_on=tuple(depends_on),
        transaction=_transaction(compilation, draft),
        origin=draft.origin,
        uri=uri,
        format=table_format(load, table),
        text=text_options(load, table),
        table=(*compilation.schemas[schema].split("."), name),
        mode="replace_rows" if load.schema_ == "vocab" else "view" if is_in_place(load, table) else "create",
        columns=draft.load_columns or load_columns(compilation, load, table),
        rejects=reject_options(load, table, compilation.schemas["work"]),
        **files_of(compilation, draft, uri),
    )
