"""Reads the plan's SQL back: which expression fills a column, and which columns it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from sqlglot import exp, parse_one

from omopcloudetl.core.compiler.columns import owner
from omopcloudetl.core.plan import CompiledWorkflowPlan, SqlStep, Statement
from omopcloudetl.core.shared_rows import ROWS, put_back

CODES, KEYS, EVENTS, INPUTS = "work.codes_", "work.key_", "work.event_", "work.inputs_"
STAGES = "work.stage_"
OF_SOURCE = " of source "
"""Between a column and the number of the source that it is of, where a mapping has several."""
_WRITES = (exp.Insert, exp.Update, exp.Merge, exp.Create)


class PlanSql:
    """The statements of a plan as syntax trees over logical names, parsed when they are asked for."""

    def __init__(self, plan: CompiledWorkflowPlan) -> None:
        self.plan = plan
        self._trees: dict[str, exp.Expr] = {}

    @cached_property
    def logical(self) -> dict[str, str]:
        """Physical table → logical table."""
        found = {}
        for name in {name for step in self.plan.steps for name in (*step.reads, *step.writes)}:
            schema, _, table = name.partition(".")
            found[f"{self.plan.schemas[schema]}.{table}".lower()] = name
        return found

    def tree(self, statement: Statement) -> exp.Expr:
        """The statement as a tree, every table under its logical name."""
        if statement.sql not in self._trees:
            tree = without_laterals(parse_one(statement.sql, read=self.plan.dialect))
            for table in tree.find_all(exp.Table):
                logical = self.logical.get(".".join(part.name for part in table.parts).lower())
                if logical is not None:
                    schema, _, name = logical.partition(".")
                    table.set("catalog", None)
                    table.set("db", exp.to_identifier(schema))
                    table.set("this", exp.to_identifier(name))
            self._trees[statement.sql] = tree
        return self._trees[statement.sql]

    def text(self, node: exp.Expr) -> str:
        """A tree as text in the plan's dialect."""
        return node.sql(dialect=self.plan.dialect, pretty=True)

    def stage_columns(self, step: SqlStep, stage: str) -> dict[str, exp.Expr]:
        """Column of a stage → its expression over the mapping's aliases."""
        for statement, tree in self.trees(step, stage):
            if statement.counted and isinstance(tree, exp.Create | exp.Insert) and target_of(tree) == stage:
                found = {node.alias_or_name: _made_as(node) for node in tree.expression.selects}
                return found | self._delivered(step, stage) | _columns_of_rows(tree.expression)
        return {}

    def _delivered(self, step: SqlStep, stage: str) -> dict[str, exp.Expr]:
        """The same of the table that has only the rows of one delivery, where the stage has others beside them."""
        delivered = stage.replace("stage_", "delivered_", 1)
        for _, tree in self.trees(step, delivered):
            if target_of(tree) == delivered:
                return _columns_of_rows(tree.expression)
        return {}

    def inputs(self, step: SqlStep) -> dict[str, exp.Expr]:
        """Tables that a stage is made of → their queries: what a builder makes before it, rows of other stages."""
        makers = {table: step for table in step.writes if table.startswith(INPUTS)}
        read = {table for table in step.reads if table.startswith(STAGES)}
        for other in self.plan.steps:
            if isinstance(other, SqlStep):
                makers |= dict.fromkeys(read.intersection(other.writes), other)
        trees = ((table, tree) for table, maker in makers.items() for _, tree in self.trees(maker, table))
        found = {table: tree for table, tree in trees if target_of(tree) == table}
        return {t: _rows_within(tree.expression) if t in read else tree.expression for t, tree in found.items()}

    def contribution(self, step: SqlStep, stage: str, field: str) -> exp.Expr | None:
        """What a write step takes for a field from the rows of a stage, over the alias `stage`."""
        for _, tree in self.trees(step, stage):
            for query in tree.find_all(exp.Select):
                source = query.args.get("from_")
                if source is None or not isinstance(source.this, exp.Table) or _name(source.this) != stage:
                    continue
                found = next((node for node in query.selects if node.alias_or_name == field), None)
                if found is not None:
                    return found.unalias()
        return None

    def joined(self, step: SqlStep, table: str, field: str) -> tuple[exp.Expr, str] | None:
        """What a write step takes for a field of a table that it joins itself, and the column by which it does."""
        for _, tree in self.trees(step, table):
            for query in tree.find_all(exp.Select):
                for value in (node.unalias() for node in query.selects if node.alias_or_name == field):
                    aliases = {node.table for node in value.find_all(exp.Column)}
                    for join in query.args.get("joins") or ():
                        if join.this.alias_or_name not in aliases or not isinstance(join.this, exp.Table):
                            continue
                        if _name(join.this) == table:
                            by = (node for node in join.args["on"].find_all(exp.Column) if node.name.endswith("_key"))
                            return value, next(node.name for node in by if node.table != join.this.alias_or_name)
        return None

    def trees(self, step: SqlStep, table: str) -> Iterator[tuple[Statement, exp.Expr]]:
        """The statements of a step that name a logical table."""
        name = table.partition(".")[2]
        for statement in step.statements:
            if name in statement.sql and statement.check is None:
                yield statement, self._with_rows(step, self.tree(statement))

    def _with_rows(self, step: SqlStep, tree: exp.Expr) -> exp.Expr:
        """The statement with the query of a table that an engine without shared queries makes of a part of it."""
        query = tree.expression if isinstance(tree, exp.Create) else None
        for table in sorted(step.writes):
            if table.startswith(ROWS) and isinstance(query, exp.Query) and target_of(tree) != table:
                made = next(self.tree(one) for one in step.statements if _makes(self.tree(one), table))
                put_back(query, table, made.expression)
        return tree


def _makes(tree: exp.Expr, table: str) -> bool:
    return isinstance(tree, exp.Create) and target_of(tree) == table


def without_laterals(tree: exp.Expr) -> exp.Expr:
    """The statement, in which each column of a LATERAL query without tables is what that makes it of.

    A dialect may have a text be read once that way, for a SELECT that names it in several places.
    """
    for select in list(tree.find_all(exp.Select)):
        joins = select.args.get("joins") or []
        for join in reversed([join for join in joins if _makes_values(join.this)]):
            made = {node.alias: node.this for node in join.this.this.this.selects}
            for column in list(select.find_all(exp.Column)):
                if column.table == join.this.alias and column.name in made:
                    column.replace(made[column.name].copy())
            joins.remove(join)
    return tree


def _makes_values(node: exp.Expr) -> bool:
    """Whether it is a LATERAL query that reads no table of its own."""
    query = node.this.this if isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery) else None
    return isinstance(query, exp.Select) and query.args.get("from_") is None


def _rows_within(query: exp.Query) -> exp.Query:
    """The query that makes a stage's rows, within those that tell their fates; they call its result `rows`."""
    ctes = query.args["with_"].expressions if query.args.get("with_") else []
    source = query.args.get("from_")
    inner = [cte.this for cte in ctes if cte.alias == "rows"]
    if source is not None and isinstance(source.this, exp.Subquery) and source.this.alias == "rows":
        inner.append(source.this.this)
    return _rows_within(inner[0]) if inner else query


def _with_events(columns: dict[str, exp.Expr], rows: exp.Query) -> dict[str, exp.Expr]:
    """The columns of the rows, and those that are taken of events that are joined to the rows."""
    around = rows.find_ancestor(exp.Select)
    joins = (around.args.get("joins") or ()) if around is not None else ()
    tables = [join.this for join in joins if isinstance(join.this, exp.Table)]  # it may be a subquery, too
    aliases = {table.alias_or_name for table in tables if _name(table).startswith(EVENTS)}
    if around is None or not aliases:
        return columns
    taken = {
        node.alias_or_name: node
        for node in around.selects
        if aliases & {column.table for column in node.find_all(exp.Column)}
    }
    if "row_reason" in taken and "row_reason" in columns:  # a row may be set aside for what either says
        reasons = [node.unalias().copy() for node in (columns["row_reason"], taken["row_reason"])]
        taken["row_reason"] = exp.Coalesce(this=reasons[0], expressions=reasons[1:])
    return columns | taken


def _columns_of_rows(query: exp.Query) -> dict[str, exp.Expr]:
    """Column → expression in the query that makes a stage's rows, where there are others around it."""
    rows = _rows_within(query)
    return {} if rows is query else _with_events(_columns_of(rows), rows)


def _made_as(node: exp.Expr) -> exp.Expr:
    """What a column of a query is made as, where it is only taken from a CTE or a subquery."""
    value = node.unalias()
    while isinstance(value, exp.Column) and owner(value) is None and len(_inside(value)) == 1:
        node = _inside(value)[0]
        value = node.unalias()
    return node


def _columns_of(query: exp.Query) -> dict[str, exp.Expr]:
    """Column → expression; what a further source makes of the same column is `<column> of source 2` and so on."""
    if not isinstance(query, exp.Union):
        return {node.alias_or_name: node for node in query.selects}
    found: dict[str, exp.Expr] = {}
    selects: list[exp.Query] = [query]
    while isinstance(selects[0], exp.Union):
        selects[:1] = [selects[0].this, selects[0].expression]
    for number, select in enumerate(selects, start=1):
        for node in select.selects:
            value, name = node.unalias(), node.alias_or_name
            if not (isinstance(value, exp.Cast) and isinstance(value.this, exp.Null)):
                found[name if number == 1 else f"{name}{OF_SOURCE}{number}"] = node
    return found


def target_of(tree: exp.Expr) -> str | None:
    """The logical table that a statement writes."""
    table = tree.this.find(exp.Table) if isinstance(tree, (*_WRITES, exp.Delete)) else None
    return _name(table) if table is not None else None


def assigned(tree: exp.Expr, field: str, fields: list[str]) -> exp.Expr | None:
    """What a statement puts into a field, where INSERT … SELECT or UPDATE says it; `fields` are all in order."""
    match tree:
        case exp.Insert() if isinstance(tree.expression, exp.Query):
            target = tree.this
            names = [name.name for name in target.expressions] if isinstance(target, exp.Schema) else fields
            selects = tree.expression.selects
            at = names.index(field) if field in names else len(selects)
            return selects[at].unalias() if at < len(selects) else None
        case exp.Create() if isinstance(tree.expression, exp.Query):
            found = (node for node in tree.expression.selects if node.alias_or_name == field)
            return next((node.unalias() for node in found), None)
        case exp.Update():
            pairs = (pair for pair in tree.expressions if isinstance(pair, exp.EQ))
            return next((pair.expression for pair in pairs if pair.this.name == field), None)
        case _:
            return None


def fills(tree: exp.Expr, field: str) -> bool | None:
    """Whether a statement names the field among those it writes; None where that cannot be told."""
    match tree:
        case exp.Insert() if isinstance(tree.this, exp.Schema):
            return field in {name.name for name in tree.this.expressions}
        case exp.Update():
            return any(pair.this.name == field for pair in tree.expressions if isinstance(pair, exp.EQ))
        case exp.Delete():
            return False
        case _:
            return None


def columns_read(
    node: exp.Expr, within: Mapping[str, exp.Expr] | None = None
) -> tuple[list[tuple[str, str]], list[str]]:
    """The (logical table, column) pairs of an expression, and the tables of keys, codes and events it looks them up in.

    Where a value is looked up, the columns that it is looked up by are meant; where it is of a table of `within`, those
    that the table's query makes it of. A number in an order is made of none.
    """
    read: dict[tuple[str, str], None] = {}
    looked_up: dict[str, None] = {}
    todo, seen, done = list(node.find_all(exp.Column)), set[str](), set[int]()
    while todo:
        column = todo.pop(0)
        if id(column) in done:
            continue  # a CTE may be recursive
        done.add(id(column))
        table = owner(column)
        if table is not None and table.startswith(STAGES):
            looked_up.setdefault(table)
        if table is None or table in (within or {}):
            made = [node for node in _origins(column, within or {}) if not node.find(exp.RowNumber)]
            todo += [inner for node in made for inner in node.find_all(exp.Column)]
        elif not table.startswith((CODES, KEYS, EVENTS)):
            read.setdefault((table, column.name))
        elif column.table not in seen:
            seen.add(column.table)
            looked_up.setdefault(table)
            todo += [other for other in _condition(column).find_all(exp.Column) if other.table != column.table]
    return list(read), list(looked_up)


def made_of(node: exp.Expr, within: Mapping[str, exp.Expr]) -> Iterator[exp.Expr]:
    """An expression, and all that its columns are made of in subqueries, CTEs and the tables of `within`."""
    todo, done = [node], set[int]()
    while todo:
        current = todo.pop(0)
        yield current
        for column in current.find_all(exp.Column):
            if id(column) not in done:
                done.add(id(column))
                todo += _origins(column, within)


def _origins(column: exp.Column, within: Mapping[str, exp.Expr]) -> list[exp.Expr]:
    """What a column is made of, where it is one of a subquery, a CTE or a table of `within`."""
    table = owner(column)
    return _inside(column) if table is None else _selected(within.get(table), column.name)


def _inside(column: exp.Column) -> list[exp.Expr]:
    """What a column of a subquery or a CTE is made of."""
    query = column.find_ancestor(exp.Select)
    while query is not None:
        for source in (query.args.get("from_"), *(query.args.get("joins") or ())):
            if source is not None and column.table in {"", source.this.alias_or_name}:
                found = [node for node in _selected(_query_of(source.this), column.name) if node is not column]
                if found:
                    return found
        query = query.find_ancestor(exp.Select)
    return []


def _query_of(source: exp.Expr) -> exp.Expr | None:
    """The query of a subquery, or of the CTE that a table names."""
    if isinstance(source, exp.Subquery):
        inner: exp.Expr = source.this
        return inner
    ctes = source.root().find_all(exp.CTE) if isinstance(source, exp.Table) and not source.db else ()
    return next((cte.this for cte in ctes if cte.alias == source.name), None)


def _selected(query: exp.Expr | None, name: str) -> list[exp.Expr]:
    """The expressions of a column of a query, one for each part of a UNION."""
    match query:
        case exp.SetOperation():
            return [*_selected(query.left, name), *_selected(query.right, name)]
        case exp.Select():
            return [node for node in query.selects if node.alias_or_name == name]
        case _:
            return []


def _condition(column: exp.Column) -> exp.Expr:
    """The condition under which the table of a column is joined; nothing where it is not joined."""
    query = column.find_ancestor(exp.Select)
    while query is not None:
        for join in query.args.get("joins") or ():
            if join.this.alias_or_name == column.table:
                on: exp.Expr = join.args.get("on") or exp.Null()
                return on
        query = query.find_ancestor(exp.Select)
    return exp.Null()


def _name(table: exp.Table) -> str:
    return f"{table.db}.{table.name}"
