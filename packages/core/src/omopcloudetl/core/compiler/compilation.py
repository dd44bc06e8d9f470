"""What the passes of one compilation share: the project, the specification, and what they found so far."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from sqlglot import exp
from sqlglot.errors import UnsupportedError

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.errors import Diagnostic, Position, Severity
from omopcloudetl.core.files.project_loader import LoadedProject
from omopcloudetl.core.files.validation import close_match
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.models.layout import TableLayout
from omopcloudetl.core.models.loads import Column
from omopcloudetl.core.models.workflow import BulkLoadStep, DmlStep, SqlStep, VocabularyStep
from omopcloudetl.core.plan import LoadColumn, Origin, Reports, Statement, Transaction
from omopcloudetl.core.specification.concepts import KnownConcepts
from omopcloudetl.core.specification.models import CdmSpecification

_WHOLE = (exp.Extract, exp.DateDiff, exp.Length, exp.Count, exp.RowNumber)
"""Expressions that are whole numbers whatever their arguments are."""
BETWEEN_COLLECTIONS = 100
"""Statements whose trees may wait until their memory is given back."""


@dataclass(frozen=True)
class DraftStatement:
    """A statement as a syntax tree over logical names, or a check."""

    tree: exp.Expr
    purpose: str
    check: str | None = None
    counted: bool = True
    """Whether its rows are the step's result."""
    reports: Reports | None = None
    """Whether its rows are texts for the run's record."""


@dataclass
class DraftStep:
    """A step before names are physical and dependencies known."""

    name: str
    summary: str
    origin: Origin
    workflow_steps: tuple[str, ...]
    """The workflow's steps it comes from."""
    statements: Sequence[DraftStatement | Statement] = ()
    """Trees, or what was rendered already: a tree takes far more memory than its text."""
    load: BulkLoadStep | None = None
    load_table: str | None = None
    """Which table of `load`."""
    load_number: int = 0
    """Which of the workflow's steps `load` is, from 0."""
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    creates: set[str] = field(default_factory=set)
    """Tables this step makes, empty, for others to fill."""
    amends: bool = False
    """Whether what it leaves may depend on what its tables held."""
    after: set[str] = field(default_factory=set)
    """Steps to wait for beyond those that its tables tell."""
    guards: set[str] = field(default_factory=set)
    """Tables that others may read only when this step has looked at them."""
    looks_at: set[str] = field(default_factory=set)
    """Tables it reads when they have been filled, and that may be empty."""
    load_into: str | None = None
    """The logical table that is loaded, where it is none of `load`'s own schema."""
    load_columns: tuple[LoadColumn, ...] = ()
    """The columns of that table's files."""
    vocabulary: VocabularyStep | None = None
    """The step whose table `load_table` is, for tables of a vocabulary."""
    transaction: Transaction = "step"


@dataclass
class Compilation:
    """The state of one compilation; passes add to what was found, and read the rest."""

    project: LoadedProject
    specification: CdmSpecification
    generator: BaseSQLGenerator
    sources: dict[str, dict[str, Column]]
    """Logical table → its declared columns, for the loads that declare any."""
    text_tables: frozenset[str]
    """Logical tables that are loaded from text files, so that all their columns are text."""
    concepts: KnownConcepts = field(default_factory=KnownConcepts)
    """What is known of concepts before any vocabulary is loaded."""
    problems: list[Diagnostic] = field(default_factory=list)
    needs: dict[str, dict[str, str]] = field(default_factory=dict)
    """Logical table → column → the first place (`file:line`) that reads it."""
    entities: dict[str, int] = field(default_factory=dict)
    """CDM table with ids by natural key → number of parts of its natural key."""
    beside_keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """CDM table with ids by natural key → the tables of whose rows its table of keys has ids, too."""
    key_tables: dict[str, str] = field(default_factory=dict)
    """CDM table that has no table of keys of its own → the one in whose table of keys its ids are found by its key."""
    events: dict[str, int] = field(default_factory=dict)
    """Mapping of events → number of parts of its natural key."""
    event_tables: set[str] = field(default_factory=set)
    """CDM tables that a mapping of events may write."""
    wanted_events: set[str] = field(default_factory=set)
    """Mappings of events whose rows others refer to."""
    carried_prices: dict[str, dict[str, Mapping[str, exp.Expr]]] = field(default_factory=dict)
    """Mapping of events → mapping that prices its source rows → what the events' stage has for it: column → expression
    over the source rows."""
    kept_keys: set[str] = field(default_factory=set)
    """Mappings whose stages have the natural key of every row."""
    layouts: Mapping[str, TableLayout] = field(default_factory=dict)
    """CDM table → how it lies in its files, for those of which the target says it."""
    steps: list[DraftStep] = field(default_factory=list)
    read_at: dict[str, Position] = field(default_factory=dict)
    """Logical table → the first place that reads it."""
    unread_sql: list[SqlStep] = field(default_factory=list)
    """Steps whose SQL is not known because of a mistake."""
    used_variables: set[str] = field(default_factory=set)
    """Variables that some rule reads."""
    _types: dict[str, exp.DataType] = field(default_factory=dict)
    _rendered: int = 0

    @property
    def has_errors(self) -> bool:
        """Whether there can be no plan."""
        return any(problem.severity == "error" for problem in self.problems)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing because of a mistake, so that what is not there is one of its own."""
        return not self.project.incomplete and not self.has_errors

    @property
    def knows_made_tables(self) -> bool:
        """Whether nothing that could load or make a table is missing, apart from what mappings make."""
        unknown = any(step.creates is None for step in self.unread_sql)
        return not unknown and "steps" not in self.project.incomplete

    def may_be_made(self, entity: str) -> bool:
        """Whether a mapping that could not be read may give ids to this table."""
        return entity in self.specification.by_name and not self.project.incomplete.isdisjoint(("mappings", "steps"))

    def problem(
        self,
        code: str,
        message: str,
        position: Position,
        *,
        found: str | None = None,
        allowed: Sequence[str] = (),
        help: str | None = None,
        severity: Severity = "error",
        piece: tuple[str, int] | None = None,
    ) -> None:
        """Note a mistake in the user's files; the nearest allowed word is suggested. A warning stops nothing."""
        suggestion = close_match(found, tuple(allowed)) if found else None
        self.problems.append(
            Diagnostic(
                code,
                message,
                position,
                severity,
                found=found,
                allowed=tuple(allowed),
                suggestion=suggestion,
                help=help,
                piece=piece,
            )
        )

    def variable(
        self, name: str, position: Position, piece: Callable[[str], tuple[str, int] | None] = lambda _: None
    ) -> bool | int | float | str | date | None:
        """The value of a variable that is used at `position`; None, and a diagnostic, where it has none.

        `piece` tells which part of the text there is meant, if that is a longer one.
        """
        values = self.project.variables
        self.used_variables.add(name)
        value = values.get(name)
        if value is not None or "variables" in self.project.incomplete:
            return value
        if name not in values:
            message = f"the workflow has no variable '{name}'"
            help_ = "declare it under variables: in the workflow"
            self.problem(
                "unknown-variable",
                message,
                position,
                found=name,
                allowed=tuple(values),
                help=help_,
                piece=piece(name),
            )
        else:
            help_ = f"give --var {name}=… or set it under variables: in project.yaml"
            message = f"the variable '{name}' has no value"
            self.problem("missing-variable", message, position, help=help_, piece=piece(name))
        return None

    def check_column(
        self, logical: str, name: str, position: Position, piece: tuple[str, int] | None = None, help: str | None = None
    ) -> None:
        """A column of a table whose columns are known must be one of them; one of a source must be in its file."""
        known = self.sources.get(logical)
        schema, _, table = logical.partition(".")
        specified = self.specification.by_name.get(table) if schema in {"cdm", "vocab"} else None
        allowed = tuple(known) if known is not None else tuple(specified.by_name) if specified else None
        if allowed is not None and name not in allowed:
            message = f"{logical} has no column '{name}'"
            shown = tuple(map(as_in_sql, allowed))
            self.problem("unknown-column", message, position, found=name, allowed=shown, piece=piece, help=help)
        elif schema == "source":
            self.need(logical, name, position)

    def need(self, table: str, column: str, position: Position) -> None:
        """Note that a rule at `position` reads a column."""
        self.needs.setdefault(table, {}).setdefault(column, f"{position.file}:{position.line}")

    def read_as(self, value: exp.Expr, type_: str) -> exp.Expr:
        """The value as a type, NULL where it is not exactly of it: `2.7` is no integer, `2020-01-02 x` no date."""
        kind = self.type(type_)
        match type_.partition("(")[0]:
            case "integer" | "bigint" if not isinstance(value, _WHOLE):
                return self.generator.read_whole(value, kind)
            case "date":
                return trees.try_cast(trees.try_cast(value, self.type("timestamp")), kind)
            case _:
                return trees.try_cast(value, kind)

    def read_column(self, value: exp.Expr, declared: Column) -> exp.Expr:
        """A column's text as its declared type; with formats, as the first of them that it is in."""
        if not declared.format:
            return self.read_as(value, declared.type)
        read = [self.generator.read_time(value.copy(), format_) for format_ in declared.format]
        time = read[0] if len(read) == 1 else trees.coalesce(read[0], *read[1:])
        return trees.try_cast(time, self.type(declared.type))

    @cached_property
    def schemas(self) -> dict[str, str]:
        """Logical schema → physical schema."""
        return self.project.config.physical_schemas(self.project.target)

    @cached_property
    def dml_steps(self) -> dict[str, DmlStep]:
        """The workflow's `dml` steps by name: how their mappings are written."""
        return {step.name: step for step in self.project.workflow.steps if isinstance(step, DmlStep)}

    def render(self, statements: Sequence[DraftStatement | Statement], place: Origin) -> list[Statement]:
        """The statements as text; what the dialect cannot express is noted at the step's place and left out."""
        rendered = []
        for draft in statements:
            if isinstance(draft, Statement):
                rendered.append(draft)
                continue
            try:
                sql = self.generator.render(draft.tree, self.schemas)
            except UnsupportedError as error:
                message = f"{self.generator.dialect} cannot express '{draft.purpose}': {error}"
                help_ = "write it in another way, or choose another target"
                self.problem("unsupported", message, Position(place.file, place.line), help=help_)
                continue
            rendered.append(
                Statement(
                    sql=sql, purpose=draft.purpose, check=draft.check, counted=draft.counted, reports=draft.reports
                )
            )
        self._give_memory_back(len(rendered))
        return rendered

    def _give_memory_back(self, statements: int) -> None:
        """Nodes refer to their parents, so that only a collection frees the trees of what was rendered."""
        self._rendered += statements
        if self._rendered >= BETWEEN_COLLECTIONS:
            self._rendered = 0
            gc.collect(0)

    def type(self, name: str) -> exp.DataType:
        """The engine's type for a specification type or a logical type; the tree is shared, never changed."""
        if name not in self._types:
            self._types[name] = self.generator.data_type(name)
        return self._types[name]


def text_tables(project: LoadedProject) -> frozenset[str]:
    """The source tables that are loaded from text files."""
    if "steps" in project.incomplete:
        return frozenset()  # what a load declares may be left out with a mistake in it
    return frozenset(
        f"source.{name}"
        for step in project.workflow.steps
        if isinstance(step, BulkLoadStep) and step.schema_ == "source"
        for name, table in step.tables.items()
        if (table.format or step.format) != "parquet"
    )


def declared_sources(project: LoadedProject) -> dict[str, dict[str, Column]]:
    """The columns that the workflow declares, by logical table; names in lower case."""
    declared: dict[str, dict[str, Column]] = {}
    for step in project.workflow.steps:
        if isinstance(step, BulkLoadStep):
            for name, load in step.tables.items():
                if load.columns:
                    columns = {column.lower(): spec for column, spec in load.columns.items()}
                    declared[f"{step.schema_}.{name}"] = columns
    for name, table in project.workflow.sources.items():
        if table.columns:
            declared[f"source.{name}"] = {column.lower(): spec for column, spec in table.columns.items()}
    return declared


def origin(position: Position) -> Origin:
    """The place in a plan's words."""
    return Origin(file=position.file, line=position.line)


def as_in_sql(column: str) -> str:
    """A column's name as an author writes it: in double quotes if it is no plain name."""
    return column if re.fullmatch(r"[^\W\d]\w*", column) else exp.to_identifier(column, quoted=True).sql()
