"""Keeps texts in the order of their code points: what could be of the database's own collation is said to be of "C".

Columns that are made are of "C", and an expression over them is, too. Left are texts that come from no column: a
cast, a literal. Where a query gives, sorts or compares such a text, the collation is written out.
"""

from __future__ import annotations

from typing import TypeVar

from sqlglot import exp

Column = TypeVar("Column", bound=exp.Expr)
_C = "C"
_JOINED = (exp.DPipe, exp.Concat, exp.ConcatWs)
_OF_FIRST = (
    *(exp.Upper, exp.Lower, exp.Trim, exp.Substring, exp.Left, exp.Right, exp.Replace, exp.RegexpReplace, exp.Pad),
    *(exp.Max, exp.Min, exp.Paren, exp.MD5, exp.Nullif, exp.SplitPart),
)
_ORDERING = (exp.LT, exp.LTE, exp.GT, exp.GTE)


def of_code_points(column: Column) -> Column:
    """The definition of a column, with the collation if it is of texts."""
    kind = column.args.get("kind")
    if not isinstance(column, exp.ColumnDef) or kind is None or kind.this not in exp.DataType.TEXT_TYPES:
        return column
    collate = exp.ColumnConstraint(kind=exp.CollateColumnConstraint(this=exp.to_identifier(_C, quoted=True)))
    column.set("constraints", [collate, *column.args.get("constraints", ())])
    return column


def collated(statement: exp.Expr) -> exp.Expr:
    """The statement, in which every text has an order of code points wherever an order is asked for."""
    for query in list(statement.find_all(exp.Select)):
        for node in query.expressions:
            _collate(node.this if isinstance(node, exp.Alias) else node)
    for item in list(statement.find_all(exp.Ordered, exp.Max, exp.Min)):
        _collate(item.this)
    for comparison in list(statement.find_all(*_ORDERING)):
        if _is_open(comparison.this) and _is_open(comparison.expression):
            _collate(comparison.this)
    for node in list(statement.find_all(exp.Between, exp.Greatest, exp.Least)):
        among = [node.args["low"], node.args["high"]] if isinstance(node, exp.Between) else node.expressions
        if _all_open([node.this, *among]):
            _collate(node.this)
    for column in statement.find_all(exp.ColumnDef):
        if not any(isinstance(said.kind, exp.CollateColumnConstraint) for said in column.constraints):
            of_code_points(column)
    return statement


def _collate(value: exp.Expr) -> None:
    if _is_open(value):
        inner = (
            value if isinstance(value, exp.Cast | exp.Literal | exp.Case | exp.Func) else exp.Paren(this=value.copy())
        )
        value.replace(exp.Collate(this=inner.copy(), expression=exp.to_identifier(_C, quoted=True)))


def _is_open(value: exp.Expr | None) -> bool:
    """Whether it is a text whose collation nothing says, so that it would be the database's."""
    match value:
        case None:
            return False
        case exp.Literal():
            return bool(value.is_string)
        case exp.Cast():
            return value.to.this in exp.DataType.TEXT_TYPES
        case exp.Case():
            return _all_open([*(branch.args["true"] for branch in value.args["ifs"]), value.args.get("default")])
        case exp.Coalesce() | exp.Greatest() | exp.Least():
            return _all_open([value.this, *value.expressions])
        case exp.TimeToStr():
            return True
        case _ if isinstance(value, _JOINED):
            parts = value.expressions or [value.this, value.args.get("expression")]
            # A column may be a number, which has no collation to give.
            return all(_is_open(part) or isinstance(part, exp.Column) for part in parts) and any(map(_is_open, parts))
        case _ if isinstance(value, _OF_FIRST):
            return _is_open(value.this)
        case _:
            return False


def _all_open(values: list[exp.Expr | None]) -> bool:
    given = [value for value in values if value is not None and not isinstance(value, exp.Null)]
    return bool(given) and all(map(_is_open, given))
