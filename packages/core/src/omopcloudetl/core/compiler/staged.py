"""What a compiled mapping hands on: its stage, and its contributions to CDM tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from sqlglot import exp

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.enumerations import enumerate_texts
from omopcloudetl.core.compiler.event_links import EventLink
from omopcloudetl.core.compiler.join_checks import checks_after, checks_before
from omopcloudetl.core.compiler.kept_rows import SOURCE_ROW, column_names, kept_column, only_aside
from omopcloudetl.core.compiler.lookups import Routes, codes_query
from omopcloudetl.core.compiler.names import check_joins
from omopcloudetl.core.compiler.rows_apart import rows_apart
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.compiler.stage import StageBuilder
from omopcloudetl.core.compiler.text_lengths import TextLimit
from omopcloudetl.core.files.project_loader import LoadedMapping
from omopcloudetl.core.models.workflow import DmlStep
from omopcloudetl.core.specification.models import CdmTable

SOURCE_KEY = "source_key"
"""The column of a stage without `key_N`, and of the quarantine, with the natural key of a row as people read it."""
IdStrategy = Literal["registry", "ordinal", "hash"] | None
KEYED: frozenset[IdStrategy] = frozenset({"registry", "hash"})
"""The strategies of entities: one row for each natural key, which others can refer to."""


@dataclass(frozen=True)
class Group:
    """Rows of a stage that are one row of the table: the key of any of them refers to it.

    The id of a group is the lowest that the registry has for one of its keys; without one, the key of the row that
    the contribution's condition chooses is registered.
    """

    by: tuple[str, str]
    """The columns of the stage that the rows of a group share: a person, and a whole number that tells the person's
    groups apart, neither of them NULL. New ids are given in their order."""
    condition: exp.Expr
    """Which rows of the stage are parts of groups, over the alias `stage`."""
    beside: tuple[str, ...] | None = ()
    """The columns of the contribution that the table of keys has, too; None where nobody reads a table of keys."""

    def same(self, alias: str) -> exp.Expr:
        """The rows of `stage` are of the group of the other alias."""
        return trees.all_of(trees.equal(trees.column(name, alias), trees.column(name, "stage")) for name in self.by)


@dataclass(frozen=True)
class Joined:
    """A table beside the stage that has what some columns need; exactly one of its rows fits a row of the stage."""

    table: str
    alias: str
    on: exp.Expr


@dataclass(frozen=True)
class Contribution:
    """The rows one mapping gives to one CDM table."""

    mapping: str
    stage: str
    table: str
    columns: dict[str, exp.Expr]
    """Field → expression over the alias `stage`; the id that is numbered is not among them."""
    condition: exp.Expr
    """Which rows of the stage, over the alias `stage`."""
    keys: int
    """How many `key_N` columns the stage has."""
    strategy: IdStrategy
    workflow_step: str
    cut: tuple[TextLimit, ...] = ()
    """The fields whose texts are cut to what the field holds."""
    excluded: str | None = None
    """The table of the natural keys that `where` leaves out, where a merge must know them."""
    concept: exp.Expr | None = None
    """The standard concept, which tells the rows of one event apart."""
    derived: bool = False
    """Whether the rows are derived from all that there is, so that they are written anew at each run."""
    group: Group | None = None
    """How rows of the stage are one row of the table, where several are."""
    joined: tuple[Joined, ...] = ()
    """Tables that columns need beside `stage`, and beside `present`, which has the ids of keyed rows. That of groups
    has `preceding_id`, too: the id of the group before."""
    linked: Mapping[str, tuple[EventLink, str]] = field(default_factory=dict)
    """Field → the events of another mapping, and what is taken of them where the table is written."""

    unique: tuple[str, ...] = ()
    """Fields that no two of its rows have the same of, where there are such beside the id."""

    @property
    def links(self) -> tuple[EventLink, ...]:
        """What is joined to the rows where the table is written."""
        return tuple(dict.fromkeys(link for link, _ in self.linked.values()))

    @property
    def reads(self) -> set[str]:
        """The tables that are read where the table is written."""
        beside = (*(link.table for link in self.links), *(other.table for other in self.joined))
        return {name for name in (self.stage, self.excluded, *beside) if name}

    def limited(self, limits: Sequence[TextLimit]) -> Contribution:
        """The same rows, with the texts of some fields cut to what the fields hold."""
        shorter = {x.field: exp.Left(this=self.columns[x.field], expression=trees.number(x.length)) for x in limits}
        return replace(self, columns=self.columns | shorter, cut=tuple(limits))

    def writing(self, compilation: Compilation) -> DmlStep:
        """How the rows are written: as the workflow's step says, and derived rows always anew."""
        step = compilation.dml_steps[self.workflow_step]
        return step.model_copy(update={"write": "full"}) if self.derived else step

    def keeping(self, compilation: Compilation) -> DmlStep:
        """Which rows stay without their source: as the step says, but derived rows only where they have keys."""
        step = compilation.dml_steps[self.workflow_step]
        return step if self.strategy in KEYED else self.writing(compilation)

    def key_names(self) -> list[str]:
        """The names of the key columns."""
        return [f"key_{i}" for i in range(1, self.keys + 1)]


@dataclass(frozen=True)
class StagedMapping:
    """A mapping whose stage is compiled."""

    loaded: LoadedMapping
    scope: Scope
    builder: StageBuilder
    keys: int
    fans_out: bool
    contributions: tuple[Contribution, ...]
    own_reasons: tuple[str, ...] = ()
    """Reasons that may set aside one of the rows that a code fans out to, and not another."""
    fates_have_reasons: bool = False
    """Whether `row_reason` of the stage also says why a row is merged or excluded."""
    carried: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Mapping that is made from this stage → its name of a column → the column of the stage that has it."""
    late_stage: Callable[[Sequence[CompiledMapping]], DraftStep] | None = None
    """Makes the step of the stage, where it needs those of all mappings; else the step is there already."""

    @property
    def name(self) -> str:
        """The mapping's name."""
        return self.loaded.model.name

    @property
    def reads(self) -> set[str]:
        """The tables whose rows the ledger counts."""
        return {table for source in self.builder.sources for table in source.scope.reads}


@dataclass(frozen=True)
class DerivedRows:
    """A derived mapping whose rows are compiled: its contributions, and how the ledger counts what they came from."""

    loaded: LoadedMapping
    contributions: tuple[Contribution, ...]
    entries: tuple[exp.Query, ...]
    """Queries of the ledger's columns `entry`, `target_table`, `reason` and `row_count`; they balance."""
    reads: frozenset[str]
    """The tables that `entries` read."""
    source: StagedMapping | None = None
    """The source rows that the mapping accounts for, where it starts from any; the ledger counts them, too."""

    @property
    def name(self) -> str:
        """The mapping's name."""
        return self.loaded.model.name


CompiledMapping = StagedMapping | DerivedRows


def stage_step(
    compilation: Compilation,
    loaded: LoadedMapping,
    builder: StageBuilder,
    query: exp.Query,
    routes: Routes | None = None,
    checks: Sequence[DraftStatement] = (),
) -> DraftStep:
    """The step that makes a mapping's codes table and stage, and checks its joins and the stage."""
    generator, model = compilation.generator, loaded.model
    builder.keeps_row = bool(kept_column(query))
    builder.keeps_key_text = SOURCE_KEY in query.named_selects
    enumerate_texts(generator, query, {"target_table": routes.targets} if routes else {})
    for source in builder.sources:
        check_joins(source.scope)
    statements = checks_before(builder)
    writes = {builder.table}
    lookups = [(source.scope, lookup) for source in builder.sources for lookup in source.lookups]
    if lookups:
        codes = codes_query(compilation, lookups, routes)
        statements += [
            DraftStatement(tree, f"codes of {model.name} and their concepts", counted=False)
            for tree in generator.create_table_as(trees.table(builder.codes), codes)
        ]
        writes.add(builder.codes)
    apart = rows_apart(compilation, model.name, query)
    statements += [
        *apart.statements,
        *(
            DraftStatement(tree, f"rows of {model.name}, typed and resolved")
            for tree in generator.create_table_as(trees.table(builder.table), query)
        ),
    ]
    writes |= apart.writes
    statements += [*checks_after(builder, fans_out=routes is not None), *checks]
    if builder.excluded is not None:
        statements += [
            DraftStatement(tree, f"keys that {model.name} leaves out", counted=False)
            for tree in generator.create_table_as(trees.table(builder.excluded), _excluded_keys(builder))
        ]
        writes.add(builder.excluded)
    return DraftStep(
        name=f"stage_{model.name}",
        summary=model.description or f"stage the rows of the mapping {model.name}",
        origin=origin(loaded.document.at("name")),
        workflow_steps=(loaded.step,),
        statements=statements,
        reads=builder.reads(),
        writes=writes,
    )


def _excluded_keys(builder: StageBuilder) -> exp.Select:
    """The natural keys of the rows that `where` leaves out on purpose."""
    scope = builder.scope
    assert scope.condition is not None
    query = trees.select(*(part.copy() for part in builder.key))
    scope.from_clause(query, scope.aliases_in(*builder.key, scope.condition))
    query.set("distinct", exp.Distinct())
    return trees.where(query, exp.Not(this=trees.coalesce(exp.Paren(this=scope.condition.copy()), exp.false())))


def stage_columns(rows: exp.Select, fate: exp.Expr) -> exp.Select:
    """All columns of the rows, and their fate; the content of a row is kept only where it is set aside."""
    columns: list[exp.Expr] = [exp.Column(this=exp.Star(), table=trees.identifier("rows"))]
    if kept_column(rows):
        others = [name for name in column_names(rows) if name != SOURCE_ROW]
        columns = [*columns_of("rows", others), only_aside(fate, "rows")]
    return trees.from_(trees.select(*columns, trees.named(fate, "row_fate")), trees.subquery(rows, "rows"))


def without_keys(
    rows: exp.Select, names: Sequence[str], fate: exp.Expr, reasons: Sequence[str] = ("row_reason",)
) -> exp.Select:
    """The columns `names` of the rows, and their fate; key and content only of rows that are not to be written.

    `reasons` are the columns that say why a row is set aside, here or in a mapping that is made from the stage. Nothing
    else reads the keys of rows that are numbered anew at each run, and texts are dear to write.
    """
    aside = trees.any_of(trees.not_null(trees.column(name, "rows")) for name in reasons)
    keys = [name for name in names if name.startswith("key_")]
    values: list[exp.Expr] = [
        trees.named(trees.case([(aside.copy(), readable_key(len(keys), "rows"))], None), SOURCE_KEY)
    ]
    for name in (name for name in names if name not in keys):
        column = trees.column(name, "rows")
        values.append(trees.named(trees.case([(aside.copy(), column)], None), name) if name == SOURCE_ROW else column)
    return trees.from_(trees.select(*values, trees.named(fate, "row_fate")), trees.subquery(rows, "rows"))


def readable_key(parts: int, alias: str) -> exp.Expr:
    """The natural key as people read it."""
    key: exp.Expr | None = None
    for i in range(1, parts + 1):
        part = trees.coalesce(trees.column(f"key_{i}", alias), trees.text("NULL"))
        before = exp.DPipe(this=key, expression=trees.text(" | ")) if key is not None else None
        key = exp.DPipe(this=before, expression=part) if before is not None else part
    assert key is not None
    return key


def columns_of(alias: str, names: Sequence[str]) -> list[exp.Expr]:
    """Columns of an alias."""
    return [trees.column(name, alias) for name in names]


def filled_fields(table: CdmTable, contributions: Sequence[Contribution]) -> list[str]:
    """The fields that any contribution fills, in the specification's order."""
    filled = {name for contribution in contributions for name in (*contribution.columns, *contribution.linked)}
    return [field.name for field in table.fields if field.name in filled]


def projected(
    compilation: Compilation, table: CdmTable, contribution: Contribution, fields: Sequence[str]
) -> list[exp.Expr]:
    """A contribution's columns in a common order; what it does not fill is a typed NULL."""
    found: list[exp.Expr] = []
    for name in fields:
        node = contribution.columns.get(name)
        value = node.copy() if node is not None else trees.null_of(compilation.type(table.by_name[name].type))
        found.append(trees.named(value, name))
    return found


def from_stage(query: exp.Select, contribution: Contribution) -> exp.Select:
    """The query over the contribution's rows of its stage."""
    trees.from_(query, trees.table(contribution.stage, "stage"))
    return trees.where(query, contribution.condition.copy())
