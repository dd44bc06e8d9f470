"""The content of source rows that are set aside, for a workflow that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.compiler import trees
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.compiler.scope import Scope
from omopcloudetl.core.models.workflow import DmlStep

SOURCE_ROW = "source_row"
"""The column of a stage, and of the quarantine, with the whole source row as JSON."""


def check_kept_rows(compilation: Compilation, step: DmlStep, index: int) -> None:
    """Report a step that asks for rows which the engine cannot keep."""
    generator = compilation.generator
    if step.keep_quarantined_rows and not generator.has(Capability.ROW_AS_JSON):
        position = compilation.project.workflow_document.at_key("steps", index, "keep_quarantined_rows")
        reason = generator.support(Capability.ROW_AS_JSON).reason
        message = f"{generator.dialect} cannot keep the rows that are set aside: {reason}"
        help_ = "leave it out; work.quarantine has their table, key and reason"
        compilation.problem("unsupported", message, position, help=help_)


def keeps_rows(scope: Scope) -> bool:
    """Whether the content of the mapping's rows is kept where they are set aside."""
    step = scope.compilation.dml_steps[scope.step]
    can = scope.compilation.generator.has(Capability.ROW_AS_JSON)
    return step.keep_quarantined_rows and can and scope.base is not None


def kept_row(scope: Scope) -> list[exp.Expr]:
    """The column of a mapping's rows with the row of its own table, where it is kept; nothing of joined tables."""
    if not keeps_rows(scope):
        return []
    assert scope.base is not None
    return [trees.named(scope.compilation.generator.row_as_json(scope.base[0]), SOURCE_ROW)]


def kept_column(rows: exp.Query) -> list[str]:
    """The name of that column, where a query has it."""
    return [name for name in column_names(rows) if name == SOURCE_ROW]


def only_aside(fate: exp.Expr, rows: str) -> exp.Expr:
    """That column of `rows`, NULL unless the fate is to be set aside: a row that is written leaves no copy."""
    aside = trees.equal(exp.Paren(this=fate.copy()), trees.text("quarantined"))
    return trees.named(trees.case([(aside, trees.column(SOURCE_ROW, rows))], None), SOURCE_ROW)


def column_names(rows: exp.Query) -> Iterator[str]:
    """The columns of a query; of one within it too, where it takes all of them."""
    for node in rows.selects:
        source = rows.args["from_"].this if node.is_star else None
        if isinstance(source, exp.Subquery):
            yield from column_names(source.this)
        elif source is None:
            yield node.alias_or_name
