"""Compiles `sql` steps: a file of SQL over logical names, its reads and writes taken from the SQL itself."""

from __future__ import annotations

from sqlglot import exp, parse
from sqlglot.errors import ParseError, TokenError

from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.scope import AUTHOR_DIALECT
from omopcloudetl.core.errors import Position
from omopcloudetl.core.models.base import LOGICAL_SCHEMAS
from omopcloudetl.core.models.workflow import SqlStep

_WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Merge)


def sql_step(compilation: Compilation, step: SqlStep, index: int) -> None:
    """Add the step of a SQL file."""
    file = step.file
    text = compilation.project.sql_files[file]
    try:
        statements = [tree for tree in parse(text, read=AUTHOR_DIALECT) if tree is not None]
    except (ParseError, TokenError) as error:
        details = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
        position = Position(file, int(details.get("line") or 1), int(details.get("col") or 1))
        compilation.problem(
            "sql-syntax",
            f"this SQL cannot be read: {details.get('description') or error}",
            position,
        )
        return
    if not _allowed(compilation, step, statements):
        return
    draft = DraftStep(
        name=step.name,
        summary=step.description or f"run {file}",
        origin=origin(compilation.project.workflow_document.at("steps", index)),
        workflow_steps=(step.name,),
    )
    for tree in statements:
        _bind(compilation, tree, file, draft)
    if step.creates:
        query = statements[0]
        assert isinstance(query, exp.Query)
        trees_ = compilation.generator.create_table_as(trees.table(step.creates), query)
        draft.statements = [
            DraftStatement(tree, f"{step.creates} becomes the query's result") for tree in trees_
        ]
        draft.writes.add(step.creates)
    else:
        draft.statements = [
            DraftStatement(tree, f"statement {i} of {file}") for i, tree in enumerate(statements, 1)
        ]
    compilation.steps.append(draft)


def _allowed(compilation: Compilation, step: SqlStep, statements: list[exp.Expr]) -> bool:
    position = Position(step.file)
    if step.creates and (len(statements) != 1 or not isinstance(statements[0], exp.Query)):
        message = f"the file must hold one SELECT, whose result becomes {step.creates}"
        compilation.problem("sql-statements", message, position, found=f"{len(statements)} statements")
        return False
    for tree in () if step.creates else statements:
        if not isinstance(tree, _WRITES):
            message = "a statement must be INSERT, UPDATE, DELETE, MERGE or CREATE TABLE"
            help_ = "for a SELECT, name the table it makes with `creates:`"
            compilation.problem("sql-statements", message, position, found=tree.key.upper(), help=help_)
            return False
    return True


def _bind(compilation: Compilation, tree: exp.Expr, file: str, draft: DraftStep) -> None:
    """Lower-case names, bind variables, and note what the statement reads and writes."""
    local = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for name in tree.find_all(exp.Identifier):
        name.set("this", name.name.lower())
        name.set("quoted", True)
    written = tree.find(exp.Table) if isinstance(tree, _WRITES) else None
    for node in list(tree.find_all(exp.Placeholder, exp.Parameter)):
        node.replace(_variable(compilation, node, file))
    for table in tree.find_all(exp.Table):
        if not table.db and table.name in local:
            continue
        if table.db not in LOGICAL_SCHEMAS or table.catalog:
            compilation.problem(
                "unknown-schema",
                "a table in SQL is written schema.table over the logical schemas",
                Position(file),
                found=table.sql(),
                allowed=LOGICAL_SCHEMAS,
            )
            continue
        (draft.writes if table is written else draft.reads).add(f"{table.db}.{table.name}")
    _need_columns(compilation, tree, file)


def _need_columns(compilation: Compilation, tree: exp.Expr, file: str) -> None:
    """Note which source columns the file reads, where an alias or a single table says whose they are."""
    tables = {t.alias_or_name: f"{t.db}.{t.name}" for t in tree.find_all(exp.Table) if t.db == "source"}
    others = [t for t in tree.find_all(exp.Table) if t.db != "source"]
    outputs = {alias.alias for alias in tree.find_all(exp.Alias)}
    for node in tree.find_all(exp.Column):
        logical = tables.get(node.table)
        if not node.table and len(tables) == 1 and not others and node.name not in outputs:
            logical = next(iter(tables.values()))
        if logical and isinstance(node.this, exp.Identifier):
            compilation.need(logical, node.name, Position(file))


def _variable(compilation: Compilation, node: exp.Expr, file: str) -> exp.Expr:
    values = compilation.project.variables
    if values.get(node.name) is None:
        code = "missing-variable" if node.name in values else "unknown-variable"
        message = f"the variable '{node.name}' has no value"
        compilation.problem(code, message, Position(file), found=node.name, allowed=tuple(values))
        return exp.Null()
    return trees.literal(values[node.name])
