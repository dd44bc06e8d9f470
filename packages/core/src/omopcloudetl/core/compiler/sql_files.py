"""Compiles `sql` steps: a file of SQL over logical names, its reads and writes taken from the SQL itself."""

from __future__ import annotations

import re

from sqlglot import exp, parse, tokenize
from sqlglot.tokenizer_core import TokenType

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.columns import owner
from omopcloudetl.core.compiler.compilation import Compilation, DraftStatement, DraftStep, origin
from omopcloudetl.core.compiler.scope import (
    AUTHOR_DIALECT,
    TABLE_HELP,
    TEMPLATE_HELP,
    TEMPLATE_PROBLEM,
    as_written,
)
from omopcloudetl.core.compiler.sql_errors import UNREADABLE, check_depth, syntax_problem, template_mark, variable_start
from omopcloudetl.core.errors import Position
from omopcloudetl.core.models.base import LOGICAL_SCHEMAS
from omopcloudetl.core.models.workflow import SqlStep

_WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Merge)
_CREATED = {"TABLE", "VIEW"}
_AMENDS = (exp.Insert, exp.Update, exp.Merge)
"""What may give something else when it is done a second time."""


def sql_step(compilation: Compilation, step: SqlStep, index: int) -> None:
    """Add the step of a SQL file."""
    file = step.file
    statements = _statements(compilation, file)
    if statements is None or not _allowed(compilation, step, statements):
        compilation.unread_sql.append(step)
        return
    draft = DraftStep(
        name=step.name,
        summary=step.description or f"run {file}",
        origin=origin(compilation.project.workflow_document.at("steps", index)),
        workflow_steps=(step.name,),
        amends=not step.creates,
    )
    if not step.creates:
        _check_repeatable(compilation, file, statements)
    for tree in statements:
        _bind(compilation, tree, file, draft)
    if step.creates:
        query = statements[0]
        assert isinstance(query, exp.Query)
        trees_ = compilation.generator.create_table_as(trees.table(step.creates), query)
        draft.statements = [DraftStatement(tree, f"{step.creates} becomes the query's result") for tree in trees_]
        if step.creates.split(".")[0] not in {"work", "source"}:
            message = f"a query cannot become {step.creates}: its table is made by a `ddl` step"
            place = compilation.project.workflow_document.at("steps", index, "creates")
            compilation.problem(
                "sql-statements", message, place, help="create a table in work, or INSERT into this one"
            )
        if step.creates in draft.reads:
            message = f"{step.creates} cannot be made from itself"
            help_ = "read it from another table, or let the step create a new one"
            place = compilation.read_at[step.creates]
            compilation.problem("sql-statements", message, place, found=step.creates, help=help_)
        _check_specified(compilation, step.creates, compilation.project.workflow_document.at("steps", index, "creates"))
        draft.writes.add(step.creates)
    else:
        draft.statements = [DraftStatement(tree, f"statement {i} of {file}") for i, tree in enumerate(statements, 1)]
    compilation.steps.append(draft)


def _statements(compilation: Compilation, file: str) -> list[exp.Expr] | None:
    """The statements of a file; None where it cannot be read, which is told here or was told before."""
    text = compilation.project.sql_files.get(file)
    if text is None:
        return None
    if (mark := template_mark(text)) is not None:
        where = Position.behind(file, text[:mark])
        compilation.problem("sql-statements", TEMPLATE_PROBLEM, where, help=TEMPLATE_HELP)
        return None
    try:
        check_depth(text)
        return [tree for tree in parse(text, read=AUTHOR_DIALECT) if tree is not None]
    except UNREADABLE as error:
        problem = syntax_problem(error, text)
        where = Position(file, problem.line, problem.column)
        message = f"this SQL cannot be read: {problem.message}"
        compilation.problem("sql-syntax", message, where, help=problem.help)
        return None


def _allowed(compilation: Compilation, step: SqlStep, statements: list[exp.Expr]) -> bool:
    position = Position(step.file)
    if step.creates and (len(statements) != 1 or not isinstance(statements[0], exp.Query)):
        message = f"the file must hold one SELECT, whose result becomes {step.creates}"
        found = f"{len(statements)} statements" if len(statements) != 1 else _start_of(statements[0])
        help_ = "write one SELECT, or leave `creates:` out"
        compilation.problem("sql-statements", message, position, found=found, help=help_)
        return False
    if not statements:
        help_ = "write a statement, or take the step out of the workflow"
        compilation.problem("sql-statements", "the file holds no statement", position, help=help_)
    for number, tree in enumerate(() if step.creates else statements):
        if not isinstance(tree, _WRITES) or (isinstance(tree, exp.Create) and tree.kind not in _CREATED):
            message = "a statement must be INSERT, UPDATE, DELETE, MERGE, CREATE TABLE or CREATE VIEW"
            help_ = "take it out; schemas and tables of the CDM are made by `ddl` steps"
            if isinstance(tree, exp.Query):
                help_ = "for a SELECT, name the table it makes with `creates:`"
            place = _places_of_statements(compilation.project.sql_files[step.file], step.file)[number]
            compilation.problem("sql-statements", message, place, found=_start_of(tree), help=help_)
            return False
    return True


def _check_repeatable(compilation: Compilation, file: str, statements: list[exp.Expr]) -> None:
    """A script that was killed is repeated; only a transaction makes sure that it adds no row twice."""
    generator = compilation.generator
    if generator.has(Capability.TRANSACTIONS):
        return
    for number, tree in enumerate(statements):
        if isinstance(tree, _AMENDS):
            compilation.problem(
                "unsupported",
                f"{generator.dialect} has no {Capability.TRANSACTIONS}"
                f" ({generator.support(Capability.TRANSACTIONS).reason}), and a step that is killed is repeated:"
                " this statement might do its work twice",
                _places_of_statements(compilation.project.sql_files[file], file)[number],
                found=_start_of(tree),
                help="make a table with `creates:`, which replaces it in one commit",
            )


def _places_of_statements(text: str, file: str) -> list[Position]:
    """Where each statement begins."""
    tokens = tokenize(text, read=AUTHOR_DIALECT)
    ends = [TokenType.SEMICOLON, *(token.token_type for token in tokens)]
    firsts = [token for before, token in zip(ends, tokens, strict=False) if before == TokenType.SEMICOLON]
    return [Position.behind(file, text[: token.start]) for token in firsts if token.token_type != TokenType.SEMICOLON]


def _start_of(tree: exp.Expr) -> str:
    return tree.sql(dialect=AUTHOR_DIALECT, comments=False).partition("\n")[0][:60]


def _first(text: str, word: str, file: str) -> Position:
    """Where a word stands first, or the file's first place."""
    mark = re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)
    return Position.behind(file, text[: mark.start()]) if mark else Position(file)


def _bind(compilation: Compilation, tree: exp.Expr, file: str, draft: DraftStep) -> None:
    """Lower-case names, bind variables, and note what the statement reads and writes."""
    text = compilation.project.sql_files[file]
    local = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for name in tree.find_all(exp.Identifier):
        name.set("this", name.name.lower())
        name.set("quoted", True)
    written = tree.this.find(exp.Table) if isinstance(tree, _WRITES) else None
    for node in list(tree.find_all(exp.Placeholder, exp.Parameter)):
        where = Position.behind(file, text[: variable_start(text, str(node.name)) or 0])
        node.replace(trees.literal(compilation.variable(str(node.name), where)))
    for table in tree.find_all(exp.Table):
        if not table.db and table.name in local:
            continue
        if table.db not in LOGICAL_SCHEMAS or table.catalog:
            found = as_written(table)
            compilation.problem(
                "unknown-schema",
                "a table in SQL is written schema.table over the logical schemas",
                _first(text, found, file) if isinstance(table.this, exp.Func) else _place(table, file),
                found=found,
                allowed=LOGICAL_SCHEMAS,
                help=TABLE_HELP,
            )
            continue
        logical = f"{table.db}.{table.name}"
        _check_specified(compilation, logical, _place(table, file))
        (draft.writes if table is written else draft.reads).add(logical)
        if table is not written:
            compilation.read_at.setdefault(logical, _place(table, file))
    _need_columns(compilation, tree, file)


def _check_specified(compilation: Compilation, logical: str, position: Position) -> None:
    """A table of the CDM or the vocabulary must be one of the specification."""
    schema, _, name = logical.partition(".")
    known = [table.name for table in compilation.specification.in_schema(schema)]
    if schema in {"cdm", "vocab"} and name not in known:
        compilation.problem(
            "unknown-table",
            f"the CDM {compilation.specification.version} has no table {logical}",
            position,
            found=name,
            allowed=known,
            help="a table of your own belongs in the schema work",
        )


def _place(node: exp.Expr, file: str) -> Position:
    """Where the first name in a tree stands, as far as sqlglot tells."""
    places = [name.meta for name in node.find_all(exp.Identifier) if "line" in name.meta]
    if not places:
        return Position(file)
    first = min(places, key=lambda place: int(place["start"]))
    length = int(first["end"]) - int(first["start"])
    return Position(file, int(first["line"]), max(int(first["col"]) - length, 1))


def _need_columns(compilation: Compilation, tree: exp.Expr, file: str) -> None:
    """Check the columns that the file reads, where an alias says in its own query whose they are."""
    for node in tree.find_all(exp.Column):
        logical = owner(node) if node.table and isinstance(node.this, exp.Identifier) else None
        if logical is not None:
            compilation.check_column(logical, node.name, _place(node.this, file))
