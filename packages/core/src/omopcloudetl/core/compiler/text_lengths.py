"""How long a text can be: what a field holds, and what an expression makes at most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp

from omopcloudetl.core.compiler import trees

LONGEST_SCALAR = 40
"""No number, date or boolean is longer as text."""


@dataclass(frozen=True)
class TextLimit:
    """A column of a stage whose text can be longer than the field that it goes to."""

    table: str
    field: str
    column: str
    length: int

    @property
    def reason(self) -> str:
        """What the ledger and the quarantine say."""
        return f"{self.field}: longer than {self.length} characters"

    def exceeded(self, value: exp.Expr) -> exp.Expr:
        """Whether a value is too long."""
        return exp.GT(this=exp.Length(this=value), expression=trees.number(self.length))


def length_of(type_: str) -> int | None:
    """How many characters a specification type holds; None where it has no limit, or is none of texts."""
    base, _, length = type_.partition("(")
    length = length.rstrip(")")
    return int(length) if base == "varchar" and length.isdigit() else None


def longest(node: exp.Expr) -> int | None:
    """How many characters the text of an author's expression has at most, where that can be told."""
    match node:
        case exp.Literal() | exp.Boolean():
            return len(node.name) if isinstance(node, exp.Literal) else LONGEST_SCALAR
        case exp.Null():
            return 0
        case exp.Paren() | exp.Trim():
            return longest(node.this)
        case exp.Left() | exp.Right():
            return _whole(node.expression)
        case exp.Substring():
            return _whole(node.args.get("length"))
        case exp.Case():
            return _longest_of([*(branch.args["true"] for branch in node.args["ifs"]), node.args.get("default")])
        case exp.Coalesce():
            return _longest_of([node.this, *node.expressions])
        case _:
            return None


def _longest_of(nodes: Iterable[exp.Expr | None]) -> int | None:
    lengths = [longest(node) for node in nodes if node is not None]
    return None if None in lengths else max((length for length in lengths if length is not None), default=0)


def _whole(node: exp.Expr | None) -> int | None:
    return int(node.name) if isinstance(node, exp.Literal) and node.is_int else None
