"""Reads a plan's SQL: which tables a step writes, their columns, and what each column is made of."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from omopcloudetl.core.plan import BulkLoadStep, CompiledWorkflowPlan, SqlStep, Statement
from omopcloudetl.core.text import one_line
from omopcloudetl.openlineage.column_inputs import UNNAMED, Inputs, Made, Reader, combined, table_name

Step = SqlStep | BulkLoadStep
LONGEST_STATEMENT = 300_000
FILE = ""
"""Stands for the files of a bulk load, in the place of a table."""


@dataclass
class TableLineage:
    """What a step makes of one table."""

    columns: dict[str, str | None] = field(default_factory=dict)
    """Column → type, as far as SQL tells."""
    inputs: dict[str, Inputs] = field(default_factory=dict)
    """Column → what it is made of; a constant is made of nothing."""
    rows: Inputs = field(default_factory=dict)
    """What decides which rows there are."""
    counted: bool = False
    """Whether the rows that the step counts are of this table."""


@dataclass
class StepLineage:
    """What a step makes."""

    tables: dict[str, TableLineage] = field(default_factory=dict)
    """Logical table → what becomes of it."""
    unknown: list[str] = field(default_factory=list)
    """What could not be told, a sentence each."""


class PlanLineage:
    """Lineage of the steps of one plan, read when it is asked for and within a limit of time.

    Tables have their logical names (`cdm.person`), names and columns are in lower case.
    """

    def __init__(
        self, plan: CompiledWorkflowPlan, seconds: float = 5.0, found: Mapping[str, StepLineage] | None = None
    ) -> None:
        self._plan = plan
        self._found: dict[str, StepLineage] = dict(found or {})
        self._known = len(self._found)
        self._left = seconds
        self._limit = seconds
        self._logical: dict[str, str] = {}
        self._writers: dict[str, list[Step]] = {}
        for step in plan.steps:
            for table in step.writes:
                self._writers.setdefault(table.lower(), []).append(step)
            for table in (*step.reads, *step.writes):
                schema, _, name = table.partition(".")
                self._logical[f"{plan.schemas.get(schema, schema)}.{name}".lower()] = table.lower()

    def of(self, step: Step) -> StepLineage:
        """What a step makes; without columns where the limit is reached."""
        if step.name in self._found:
            return self._found[step.name]
        found = self._found[step.name] = StepLineage()  # a step that reads its own table finds this
        if self._left <= 0:
            found.unknown.append(f"this step was left out: reading the plan's SQL took longer than {self._limit:g} s")
            return found
        start = time.perf_counter()
        if isinstance(step, BulkLoadStep):
            _of_load(step, found)
        else:
            _StepReader(self, self._plan.dialect, step, found).read()
        self._left -= time.perf_counter() - start
        return found

    def news(self) -> dict[str, StepLineage] | None:
        """The lineage of all steps that were asked for, if some of it is new and all was read within the limit."""
        return self._found if self._left > 0 and len(self._found) > self._known else None

    def columns(self, table: str) -> dict[str, str | None] | None:
        """Column → type of a table, as the steps that write it tell; None where they do not."""
        found: dict[str, str | None] = {}
        for step in self._writers.get(table, ()):
            made = self.of(step).tables.get(table)
            for name, type_ in made.columns.items() if made is not None else ():
                found[name] = found.get(name) or type_
        return found or None

    def complete_columns(self, table: str) -> tuple[str, ...] | None:
        """The columns of a table where all are known: those of a load are only the ones that rules read."""
        if any(isinstance(step, BulkLoadStep) and step.mode != "replace_rows" for step in self._writers.get(table, ())):
            return None
        columns = self.columns(table)
        return tuple(columns) if columns is not None else None

    def logical(self, physical: str) -> str:
        """The logical name of a table in SQL."""
        return self._logical.get(physical, physical)


def _of_load(step: BulkLoadStep, found: StepLineage) -> None:
    """The columns that rules read, each from the column of the files that has its name."""
    table = found.tables[step.writes[0].lower()] = TableLineage(counted=True)
    for column in step.columns:
        name = column.name.lower()
        table.columns[name] = column.type
        if not column.other_names:  # only the run knows which name the files use
            table.inputs[name] = {(FILE, name): frozenset({"IDENTITY"})}


class _StepReader:
    """Reads the statements of one step, in order."""

    def __init__(self, plan: PlanLineage, dialect: str, step: SqlStep, found: StepLineage) -> None:
        self._plan = plan
        self._dialect = dialect
        self._step = step
        self._found = found
        self._reads = {table.lower() for table in step.reads}
        self._own: dict[str, TableLineage] = found.tables
        self._temporary: dict[str, TableLineage] = {}
        self._reader = Reader(self._leaf, self._known)

    def read(self) -> None:
        """Fill in what the step makes."""
        self._own = {table.lower(): TableLineage() for table in self._step.writes}
        for statement in self._step.statements:
            if statement.check is None and statement.reports is None:
                self._statement(statement)
        self._found.tables.update(self._own)

    def _statement(self, statement: Statement) -> None:
        if len(statement.sql) > LONGEST_STATEMENT:
            self._unknown(statement, "its SQL is too long to be read here")
            return
        try:
            tree = parse_one(statement.sql, read=self._dialect)
        except SqlglotError:
            self._unknown(statement, "its SQL cannot be read here")
            return
        target = self._target(tree)
        if target is None:
            if isinstance(tree, exp.Command):
                self._unknown(statement, "its SQL cannot be read here")
            return
        table = self._own.get(target) or self._temporary.setdefault(target, TableLineage())
        table.counted |= statement.counted
        made = self._made(tree, target)
        if made is None:
            return
        for name, inputs in made.columns.items():
            table.columns.setdefault(name, None)
            if inputs is None:
                self._unknown(statement, f"what {target}.{name} is made of")
            else:
                table.inputs[name] = combined([table.inputs.get(name, {}), inputs])
        for name, type_ in made.types.items():
            table.columns[name] = table.columns.get(name) or type_.sql(dialect=self._dialect)
        table.rows = combined([table.rows, made.rows])
        if not made.complete:
            self._unknown(statement, f"all columns of {target}")

    def _unknown(self, statement: Statement, what: str) -> None:
        self._found.unknown.append(f"{one_line(statement.purpose)}: {what}")

    def _target(self, tree: exp.Expr) -> str | None:
        """The table whose rows a statement makes."""
        if not isinstance(tree, exp.Create | exp.Insert | exp.Update | exp.Merge):
            return None
        if isinstance(tree, exp.Create) and tree.kind not in {"TABLE", "VIEW"}:
            return None
        table = tree.this.find(exp.Table)
        return self._plan.logical(table_name(table)) if table is not None else None

    def _made(self, tree: exp.Expr, target: str) -> Made | None:
        match tree:
            case exp.Create() if isinstance(tree.this, exp.Schema) and tree.expression is None:
                definitions = list(tree.this.find_all(exp.ColumnDef))
                types = {node.name.lower(): node.kind for node in definitions if node.kind is not None}
                return Made({node.name.lower(): {} for node in definitions}, types)
            case exp.Create() | exp.Insert() if isinstance(tree.expression, exp.Query):
                made = self._reader.query(tree.expression, self._reader.ctes_of(tree))
                return self._named(made, tree, target)
            case exp.Update():
                return self._assigned(tree)
            case exp.Merge():
                return self._merged(tree)
            case _:  # rows of constants
                return None

    def _named(self, made: Made, tree: exp.Expr, target: str) -> Made:
        """The columns as the table calls them: those that INSERT names, else all of the table in order."""
        names: list[str] = []
        if isinstance(tree.this, exp.Schema):
            names = [node.name.lower() for node in tree.this.expressions]
        elif isinstance(tree, exp.Insert) and not tree.args.get("by_name"):
            names = list(self._known(target) or ())
        if not names:
            columns = {name: inputs for name, inputs in made.columns.items() if not name.startswith(UNNAMED)}
            return Made(columns, made.types, made.rows, made.complete)
        values = list(made.columns.values())
        named = {name: values[number] for number, name in enumerate(names) if number < len(values)}
        return Made(named, {}, made.rows, made.complete)

    def _assigned(self, tree: exp.Update) -> Made:
        """What `UPDATE … SET` makes of columns, as a query over the table and those beside it."""
        pairs = [node for node in tree.expressions if isinstance(node, exp.EQ)]
        query = exp.Select(expressions=[_as(pair.expression, pair.this.name) for pair in pairs])
        query.set("from_", exp.From(this=tree.this.copy()))
        from_ = tree.args.get("from_")
        if from_ is not None:
            query.append("joins", exp.Join(this=from_.this.copy()))
        query.set("where", tree.args.get("where"))
        return self._reader.query(query, self._reader.ctes_of(tree))

    def _merged(self, tree: exp.Merge) -> Made:
        """What `MERGE` makes of columns: by its updates, and by its inserts."""
        found = []
        for values in _values_of(tree):
            query = exp.Select(expressions=[_as(value, name) for name, value in values])
            query.set("from_", exp.From(this=tree.this.copy()))
            query.append("joins", exp.Join(this=tree.args["using"].copy(), on=tree.args["on"].copy()))
            found.append(self._reader.query(query, self._reader.ctes_of(tree)))
        names = dict.fromkeys(name for made in found for name in made.columns)
        columns = {name: [made.columns[name] for made in found if name in made.columns] for name in names}
        together = {name: None if None in all_ else combined(filter(None, all_)) for name, all_ in columns.items()}
        return Made(together, {}, combined(made.rows for made in found))

    def _known(self, table: str) -> tuple[str, ...] | None:
        """The columns of a table, by its name in SQL."""
        logical = self._plan.logical(table)
        for tables in (self._temporary, self._own):
            if logical in tables and tables[logical].columns:
                return tuple(tables[logical].columns)
        return self._plan.complete_columns(logical)

    def _leaf(self, table: str, column: str) -> Inputs:
        """A column of a table that was there before; one of the step's own is what the step made it of."""
        logical = self._plan.logical(table)
        made = self._temporary.get(logical) or self._own.get(logical)
        if made is None or logical in self._reads:
            return {(logical, column): frozenset({"IDENTITY"})}
        return made.inputs.get(column, {})


def _as(value: exp.Expr, name: str) -> exp.Expr:
    return exp.alias_(value.copy(), name, quoted=True)


def _values_of(tree: exp.Merge) -> Iterator[list[tuple[str, exp.Expr]]]:
    """Column and value of each branch of a merge that writes."""
    for when in tree.find_all(exp.When):
        then = when.args.get("then")
        match then:
            case exp.Update():
                yield [(pair.this.name, pair.expression) for pair in then.expressions if isinstance(pair, exp.EQ)]
            case exp.Insert() if isinstance(then.this, exp.Tuple) and isinstance(then.expression, exp.Tuple):
                names = (node.name for node in then.this.expressions)
                yield list(zip(names, then.expression.expressions, strict=False))
