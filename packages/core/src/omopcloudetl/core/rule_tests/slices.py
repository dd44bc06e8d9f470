"""Compiles one mapping of a project alone, with what its rule tests need around it, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, declared_sources, text_tables
from omopcloudetl.core.compiler.constants import check_constant_concepts
from omopcloudetl.core.compiler.ddl import SCHEMAS_STEP, schemas_step
from omopcloudetl.core.compiler.event_keys import event_steps
from omopcloudetl.core.compiler.graph import infer_dependencies, order_steps
from omopcloudetl.core.compiler.ledger import ledger_step
from omopcloudetl.core.compiler.rule_tests import check_expected_tables, check_rule_tests, known_tables
from omopcloudetl.core.compiler.sql_files import sql_step
from omopcloudetl.core.compiler.workflow import collect_entities, compile_mapping
from omopcloudetl.core.compiler.writes import write_tables
from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.files.project_loader import LoadedMapping, LoadedProject
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.models.loads import Column
from omopcloudetl.core.models.mapping import EventMapping, ProviderOf
from omopcloudetl.core.models.mapping import Mapping as AnyMapping
from omopcloudetl.core.models.rule_tests import RuleTest
from omopcloudetl.core.models.workflow import DmlStep, SqlStep
from omopcloudetl.core.plan import Origin, Statement
from omopcloudetl.core.rule_tests.asked import EVENTS, KEYS, KeyQuery, key_queries
from omopcloudetl.core.specification.concepts import KnownConcepts
from omopcloudetl.core.specification.models import CdmSpecification

STUB_TABLES = ("vocab.concept", "vocab.concept_relationship", "vocab.concept_ancestor")
"""What the concepts of a test fill."""


@dataclass(frozen=True)
class SliceStatement:
    """A statement, rendered for the engine of the tests."""

    statement: Statement
    asks: tuple[KeyQuery, ...] = ()
    """What must be asked before it runs."""


@dataclass(frozen=True)
class SliceStep:
    """A step, rendered for the engine of the tests."""

    name: str
    writes: frozenset[str]
    statements: tuple[SliceStatement, ...]
    is_sql_file: bool = False


@dataclass(frozen=True)
class Slice:
    """One mapping, ready to be tried on given rows."""

    loaded: LoadedMapping
    generator: BaseSQLGenerator
    specification: CdmSpecification
    steps: tuple[SliceStep, ...]
    written: tuple[str, ...]
    """The CDM tables that it writes, as logical names."""
    reads: frozenset[str]
    """The tables that its steps read and do not make."""
    columns: Mapping[str, Mapping[str, str]]
    """Table that is read → its columns, with types of the specification, as far as they are known."""
    text_tables: frozenset[str]
    """The source tables that are loaded from text files."""
    key_parts: Mapping[str, int]
    """CDM table with ids by natural key → number of parts of its natural key."""
    beside_keys: Mapping[str, tuple[str, ...]]
    """CDM table → the tables of whose rows its table of keys has ids, too."""
    key_tables: Mapping[str, str]
    """CDM table that has no table of keys of its own → the one in whose table of keys its ids are found."""
    events: Mapping[str, str]
    """Mapping of events → its default table."""
    is_routed: bool
    """Whether its rows go to one table or another."""

    @cached_property
    def own_entities(self) -> tuple[str, ...]:
        """The tables whose ids by natural key it gives."""
        made = {table for step in self.steps for table in step.writes}
        return tuple(name for name in self.key_parts if f"{KEYS}{self.key_tables.get(name, name)}" in made)


@dataclass
class SliceCompilation(Compilation):
    """A compilation of a part of a project, which notes of each statement what rows of other mappings it asks for."""

    asks: dict[str, tuple[KeyQuery, ...]] = field(default_factory=dict)
    """SQL of a statement → what must be asked before it runs."""

    @property
    def is_whole(self) -> bool:
        """Loads and other mappings are left out, so that what they make is no mistake."""
        return False

    @property
    def knows_made_tables(self) -> bool:
        """See `is_whole`."""
        return False

    def render(self, statements: Sequence[DraftStatement | Statement], place: Origin) -> list[Statement]:
        """As any compilation does."""
        found: list[Statement] = []
        for draft in statements:
            asked = key_queries(draft.tree, self.generator) if isinstance(draft, DraftStatement) else ()
            rendered = super().render([draft], place)
            self.asks |= {statement.sql: asked for statement in rendered if asked}
            found += rendered
        return found


Kind = TypeVar("Kind", bound=Compilation)


@dataclass
class Slicer:
    """Compiles mappings of one project, each alone."""

    project: LoadedProject
    specification: CdmSpecification
    generator: BaseSQLGenerator
    concepts: KnownConcepts
    problems: list[Diagnostic] = field(default_factory=list)
    """What is wrong with the mappings that were compiled, and with their tests."""

    @cached_property
    def sources(self) -> dict[str, dict[str, Column]]:
        """The declared columns of all source tables."""
        return declared_sources(self.project)

    @cached_property
    def texts(self) -> frozenset[str]:
        """The source tables that are loaded from text files."""
        return text_tables(self.project)

    @cached_property
    def everything(self) -> Compilation:
        """What the mappings of the whole project give ids to, and which of them make events."""
        arguments = (self.specification, self.generator, self.sources, self.texts, self.concepts)
        everything = Compilation(self.project, *arguments)
        collect_entities(everything)
        return everything

    def slice(self, loaded: LoadedMapping) -> Slice | None:
        """Compile one mapping; None where it, or one of its tests, is wrong."""
        self._check_tests(loaded)
        compilation = self._compilation(SliceCompilation, _alone(self.project, loaded))
        check_constant_concepts(compilation)
        mapping = compile_mapping(compilation, loaded)
        if mapping is not None:
            check_expected_tables(compilation, mapping)
        if mapping is not None and not compilation.has_errors:
            for step in compilation.steps:
                step.statements = compilation.render(step.statements, step.origin)
            write_tables(compilation, [mapping])
            event_steps(compilation, [mapping])
        if mapping is not None and not compilation.has_errors:
            ledger_step(compilation, [mapping])
            self._add_sql_steps(compilation)
            schemas_step(compilation)  # everything waits for it
        found = None
        if mapping is not None and not compilation.has_errors:
            found = self._made(compilation, loaded)
            self._check_given(compilation, loaded, found)
        self.problems += compilation.problems
        return found if not any(problem.severity == "error" for problem in self.problems) else None

    def _check_tests(self, loaded: LoadedMapping) -> None:
        """What its tests name must be there: in the whole project, not in what is compiled of it."""
        whole = self._compilation(Compilation, replace(self.project, mappings=(loaded,)))
        check_rule_tests(whole)
        self.problems += whole.problems

    def _compilation(self, kind: type[Kind], project: LoadedProject) -> Kind:
        found = kind(project, self.specification, self.generator, self.sources, self.texts, self.concepts)
        found.entities.update(self.everything.entities)
        found.beside_keys.update(self.everything.beside_keys)
        found.key_tables.update(self.everything.key_tables)
        found.events.update(self.everything.events)
        found.event_tables.update(self.everything.event_tables)
        return found

    def _made(self, compilation: SliceCompilation, loaded: LoadedMapping) -> Slice:
        drafts = order_steps(compilation, infer_dependencies(compilation))
        files = {step.name for step in compilation.project.workflow.steps if isinstance(step, SqlStep)}
        made = {table for draft in drafts for table in draft.writes}
        reads = {table for draft in drafts for table in draft.reads} - made
        steps = []
        for draft in drafts:
            rendered = compilation.render(draft.statements, draft.origin)
            statements = tuple(SliceStatement(each, compilation.asks.get(each.sql, ())) for each in rendered)
            steps.append(SliceStep(draft.name, frozenset(draft.writes), statements, draft.name in files))
        written = {table for table in made if table.startswith("cdm.")}
        return Slice(
            loaded=loaded,
            generator=self.generator,
            specification=self.specification,
            steps=tuple(step for step in steps if step.name != SCHEMAS_STEP),
            written=tuple(f"cdm.{t.name}" for t in self.specification.tables if f"cdm.{t.name}" in written),
            reads=frozenset(reads),
            columns=self._columns(compilation, reads),
            text_tables=self.texts,
            key_parts=self.everything.entities,
            beside_keys=self.everything.beside_keys,
            key_tables=self.everything.key_tables,
            events=self._events(),
            is_routed=isinstance(loaded.model, EventMapping),
        )

    def _events(self) -> dict[str, str]:
        models = (loaded.model for loaded in self.project.mappings)
        return {model.name: model.default_table for model in models if isinstance(model, EventMapping)}

    def _columns(self, compilation: Compilation, reads: set[str]) -> dict[str, Mapping[str, str]]:
        """What the workflow and the specification say of each table, and for sources what the rules read."""
        known = known_tables(compilation)
        found: dict[str, Mapping[str, str]] = {}
        for table in sorted(reads):
            if not table.startswith((KEYS, EVENTS)):
                needed = dict.fromkeys(compilation.needs.get(table, ()), "text")
                found[table] = needed | dict(known.get(table) or {})
        return found

    def _add_sql_steps(self, compilation: SliceCompilation) -> None:
        """The SQL files that make tables in `work` or `source` which the mapping reads, and those that these read."""
        steps = {
            step.creates: (index, step)
            for index, step in enumerate(compilation.project.workflow.steps)
            if isinstance(step, SqlStep) and step.creates
        }
        added: set[str] = set()
        while wanted := {table for step in compilation.steps for table in step.reads} & (steps.keys() - added):
            for table in sorted(wanted):
                index, step = steps[table]
                sql_step(compilation, step, index)
            added |= wanted

    def _check_given(self, compilation: Compilation, loaded: LoadedMapping, made: Slice) -> None:
        """Rows of a table that nothing reads are a table misspelt, or a rest; rows of one that is written would go."""
        is_read = made.reads | {table for step in made.steps if step.is_sql_file for table in step.writes}
        for number, test in enumerate(loaded.model.tests):
            for logical in test.given:
                keys = {str(key).lower(): key for key in loaded.document.data["tests"][number]["given"]}
                where = loaded.document.at_key("tests", number, "given", keys[logical])
                if logical in made.written:
                    message = f"the mapping {made.loaded.model.name} writes {logical} itself"
                    compilation.problem("no-effect", message, where, found=logical, help="expect its rows instead")
                elif logical not in is_read and not _is_stub(test, logical) and not _is_taken_of(loaded.model, logical):
                    message = f"the mapping {made.loaded.model.name} does not read {logical}"
                    allowed = sorted(table for table in is_read if not table.startswith((KEYS, EVENTS)))
                    compilation.problem("no-effect", message, where, found=logical, allowed=allowed, severity="warning")


def _alone(project: LoadedProject, loaded: LoadedMapping) -> LoadedProject:
    """The project with this mapping only, under logical names, written in full."""
    steps = [
        step.model_copy(update={"write": "full", "deletes": "keep"}) if isinstance(step, DmlStep) else step
        for step in project.workflow.steps
    ]
    return replace(
        project,
        config=project.config.model_copy(update={"schemas": {}}),
        workflow=project.workflow.model_copy(update={"steps": tuple(steps)}),
        target=replace(project.target, schemas={}),
        mappings=(loaded,),
    )


def _is_taken_of(model: AnyMapping, logical: str) -> bool:
    """Whether rows of the table say what belongs to the rows that the mapping refers to."""
    provider = model.provider if isinstance(model, EventMapping) else None
    return isinstance(provider, ProviderOf) and logical == f"cdm.{provider.of}"


def _is_stub(test: RuleTest, logical: str) -> bool:
    """Whether rows of the table stand beside those that the test's concepts make."""
    return bool(test.concepts) and logical in STUB_TABLES
