"""Puts a statement into a dialect's own words: what dialects share that sqlglot alone would spell in another sense."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import UnsupportedError

Rewrites = Mapping[type[exp.Expr], Callable[[exp.Expr], exp.Expr]]
"""Kind of node → what makes of one the node, or the same, that the dialect has words for."""

TIMESTAMPS = frozenset({exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.DATETIME})
WHOLE = frozenset({exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT})
_TIMES = frozenset({exp.DType.DATE, *TIMESTAMPS})
_FLOATS = frozenset({exp.DType.DOUBLE})
_WIDER = {exp.DType.INT: frozenset({exp.DType.BIGINT, exp.DType.DOUBLE})}
_NUMBERS = frozenset({*WHOLE, exp.DType.DOUBLE, exp.DType.FLOAT, exp.DType.DECIMAL})

_PARTS = {"d": "([0-9]{1,2})", "m": "([0-9]{1,2})", "Y": "([0-9]{4})"} | {
    "H": "([0-9]{1,2})",
    "M": "([0-9]{1,2})",
    "S": "([0-9]{1,2})",
    "f": "([0-9]{1,6})",
}
_DIRECTIVE = re.compile(r"%-?(.)|([^%]+)")
_SPECIAL = re.compile(r"([\\.^$*+?()\[\]{}|])")
_WHOLE_NAME = "READ WHOLE"
READ = ", ".join(f"%{letter}" for letter in _PARTS)


def rewrite(statement: exp.Expr, rewrites: Rewrites) -> exp.Expr:
    """The statement, each of whose nodes is rewritten, the innermost first; what a rewriting raises is raised."""
    nodes = [node for node in statement.walk() if type(node) in rewrites]
    for node in reversed(nodes):
        found = rewrites[type(node)](node)
        if found is node:
            continue
        if node is statement:
            statement = found
        else:
            node.replace(found)
    return statement


def never_fails(known: exp.DType | None, to: object) -> bool:
    """Whether every value of a type is one of another, so that a plain cast will do."""
    return (
        known == to
        or to in exp.DataType.TEXT_TYPES
        or (known in _TIMES and to in _TIMES)
        or (known in _NUMBERS and to in _WIDER.get(known, _FLOATS))
    )


def results_of(case: exp.Case) -> list[exp.Expr]:
    """What a CASE may give."""
    default = case.args.get("default")
    return [*(branch.args["true"] for branch in case.args["ifs"]), *([] if default is None else [default])]


def whole(value: exp.Expr, to: exp.DataType) -> exp.Expr:
    """A node that stands for a reading as a whole number until a statement is rewritten; no author can write it."""
    found = exp.Anonymous(this=_WHOLE_NAME, expressions=[value, to])
    found.type = to
    return found


def is_whole(node: exp.Expr) -> bool:
    """Whether a node is one of `whole`."""
    return isinstance(node, exp.Anonymous) and node.this == _WHOLE_NAME


@dataclass(frozen=True)
class TimeReader:
    """How a dialect reads a text in a format of strptime's directives: a regular expression, then ISO 8601."""

    engine: str
    blank: str
    """The regular expression of a blank."""
    group: str
    """What stands before the number of a group in a replacement."""
    try_cast: Callable[[exp.Expr, exp.DataType], exp.Expr]

    def read(self, text: exp.Expr, format_: exp.Expr) -> exp.Expr:
        """The timestamp that a text is in a format; NULL where it is none, and where there is no such day."""
        pattern, order = self._pattern(literal_format(format_))
        literal = exp.Literal.string(pattern)
        iso = exp.Anonymous(
            this="REGEXP_REPLACE", expressions=[text.copy(), literal.copy(), exp.Literal.string(self._iso(order))]
        )
        value = self.try_cast(exp.Cast(this=iso, to=exp.DataType.build("text")), exp.DataType.build("timestamp"))
        read = exp.Case(ifs=[exp.If(this=exp.RegexpLike(this=text, expression=literal), true=value)])
        read.type = exp.DataType.build("timestamp")
        return read

    def _pattern(self, format_: str) -> tuple[str, list[str]]:
        """A regular expression with a group for each part, and the parts in their order."""
        pattern, order = [], []
        found = _DIRECTIVE.findall(format_)
        for place, (directive, between) in enumerate(found):
            if between:
                pattern.append(_SPECIAL.sub(r"\\\1", between))
            elif directive == "%":
                pattern.append("%")
            elif directive in _PARTS:
                # Where no separator follows, a part is as long as it can be.
                is_followed = place + 1 < len(found) and found[place + 1][0] in _PARTS
                pattern.append(_PARTS[directive].replace("{1,", "{") if is_followed else _PARTS[directive])
                order.append(directive)
            else:
                raise UnsupportedError(f"'{format_}' has %{directive}, and on {self.engine} only {READ} are read")
        return f"^{self.blank}*{''.join(pattern)}{self.blank}*$", order

    def _iso(self, order: list[str]) -> str:
        """The replacement that puts the parts in the order of ISO 8601; a part that is not there is its first."""

        def part(letter: str, default: str) -> str:
            return f"{self.group}{order.index(letter) + 1}" if letter in order else default

        day = f"{part('Y', '1900')}-{part('m', '1')}-{part('d', '1')}"
        time = f"{part('H', '0')}:{part('M', '0')}:{part('S', '0')}"
        return f"{day} {time}.{part('f', '0')}"


def literal_format(format_: exp.Expr) -> str:
    """A format's text; raises `UnsupportedError` where it is an expression."""
    if not isinstance(format_, exp.Literal):
        raise UnsupportedError("a format of a date or a timestamp must be a text in quotes")
    return format_.name
