"""Types of the author's expressions, as far as they can be told, and what cannot be done with them.

A type is told from sqlglot's table of what functions return; arithmetic, branches and comparisons follow
the engine's rules, which a test asks it for. What cannot be told is left to the engine: no guess refuses a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB

Family = Literal["text", "integer", "number", "boolean", "date", "timestamp", "time", "interval", "nested"]

_NUMERIC: frozenset[Family] = frozenset({"integer", "number"})
_TEMPORAL: frozenset[Family] = frozenset({"date", "timestamp"})
_TIMES: frozenset[Family] = frozenset({"date", "timestamp", "time", "interval"})
_TEXT: frozenset[Family] = frozenset({"text"})

FIELDS: Mapping[str, frozenset[Family]] = {
    "integer": frozenset({"text", "integer", "number"}),
    "bigint": frozenset({"text", "integer", "number"}),
    "float": frozenset({"text", "integer", "number"}),
    "date": frozenset({"text", "date", "timestamp"}),
    "datetime": frozenset({"text", "date", "timestamp"}),
    "varchar": frozenset({"text", "integer", "number", "boolean", "date", "timestamp", "time", "interval"}),
    "text": frozenset({"text", "integer", "number", "boolean", "date", "timestamp", "time", "interval"}),
}
"""Type of a field → what can become it; a text is read when the mapping runs, so it may be anything."""
CONDITIONS: frozenset[Family] = frozenset({"text", "integer", "number", "boolean"})
"""What can be asked whether it is true."""
CASTS: Mapping[Family, frozenset[Family]] = {
    "integer": frozenset({"text", "integer", "number", "boolean"}),
    "number": frozenset({"text", "integer", "number", "boolean"}),
    "boolean": frozenset({"text", "integer", "number", "boolean"}),
    "date": frozenset({"text", "date", "timestamp"}),
    "timestamp": frozenset({"text", "date", "timestamp"}),
}
"""Type of a CAST → what it can be made of."""
_FAMILIES: Mapping[exp.DType, Family] = {
    **dict.fromkeys(exp.DataType.TEXT_TYPES, "text"),
    **dict.fromkeys(exp.DataType.INTEGER_TYPES, "integer"),
    **dict.fromkeys(exp.DataType.REAL_TYPES, "number"),
    **dict.fromkeys((exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.DATETIME), "timestamp"),
    **dict.fromkeys((exp.DType.ARRAY, exp.DType.LIST, exp.DType.STRUCT, exp.DType.MAP), "nested"),
    exp.DType.BOOLEAN: "boolean",
    exp.DType.DATE: "date",
    exp.DType.TIME: "time",
    exp.DType.INTERVAL: "interval",
}
_SUMS: Mapping[tuple[type[exp.Expr], Family, Family], Family] = {
    (exp.Add, "date", "integer"): "date",
    (exp.Add, "integer", "date"): "date",
    (exp.Add, "date", "time"): "timestamp",
    (exp.Add, "time", "date"): "timestamp",
    **{(exp.Add, time, "interval"): "timestamp" for time in ("date", "timestamp")},
    **{(exp.Add, "interval", time): "timestamp" for time in ("date", "timestamp")},
    (exp.Add, "time", "interval"): "time",
    (exp.Add, "interval", "time"): "time",
    (exp.Add, "interval", "interval"): "interval",
    (exp.Sub, "date", "integer"): "date",
    (exp.Sub, "date", "date"): "integer",
    (exp.Sub, "date", "timestamp"): "interval",
    (exp.Sub, "timestamp", "date"): "interval",
    (exp.Sub, "timestamp", "timestamp"): "interval",
    (exp.Sub, "date", "interval"): "timestamp",
    (exp.Sub, "timestamp", "interval"): "timestamp",
    (exp.Sub, "time", "interval"): "time",
    (exp.Sub, "interval", "interval"): "interval",
    **{(exp.Mul, number, "interval"): "interval" for number in ("integer", "number")},
    **{(exp.Mul, "interval", number): "interval" for number in ("integer", "number")},
    **{(exp.Div, "interval", number): "interval" for number in ("integer", "number")},
}
"""Arithmetic that is not between numbers → what it makes."""
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod)
_ARGUMENTS: Mapping[type[exp.Expr], tuple[tuple[str, ...], frozenset[Family]]] = {
    exp.Extract: (("expression",), _TIMES),
    **dict.fromkeys((exp.Year, exp.Month, exp.Day, exp.Quarter, exp.DayOfWeek), (("this",), _TIMES - {"time"})),
    **dict.fromkeys((exp.DateTrunc, exp.TimestampTrunc), (("this",), _TIMES - {"time"})),
    exp.LastDay: (("this",), _TEMPORAL),
    exp.DateDiff: (("this", "expression"), _TIMES - {"interval"}),
    exp.StrToTime: (("this",), _TEXT),
    exp.TimeToStr: (("this",), _TEMPORAL),
    **dict.fromkeys((exp.Upper, exp.Lower, exp.Trim), (("this",), _TEXT)),
    **dict.fromkeys((exp.Like, exp.ILike, exp.RegexpLike), (("this", "expression"), _TEXT)),
    **dict.fromkeys((exp.Abs, exp.Round), (("this",), _NUMERIC)),
}
"""Function → which of its arguments must be of which types."""


class TypeProblem(NamedTuple):
    """What cannot be done in an expression: the part of it, why, and what to do."""

    part: str
    message: str
    help: str


def family_of(type_: exp.DataType | exp.DType | None) -> Family | None:
    """The family of an engine's type; None for those that nothing is said about."""
    kind = type_.this if isinstance(type_, exp.DataType) else type_
    return _FAMILIES.get(kind) if isinstance(kind, exp.DType) else None


def field_family(type_: str) -> Family | None:
    """The family of a specification's type."""
    known: Mapping[str, Family] = {
        "integer": "integer",
        "bigint": "integer",
        "float": "number",
        "date": "date",
        "datetime": "timestamp",
        "varchar": "text",
        "text": "text",
    }
    return known.get(type_.partition("(")[0])


def common(families: Iterable[Family | None]) -> tuple[Family | None, bool]:
    """The type of values that stand in one place, if all are known, and whether they can stand there."""
    known = list(families)
    kinds = {family for family in known if family is not None}
    if len(kinds) <= 1:
        found = next(iter(kinds), None)
        return (found if None not in known else None), True
    wider: Family | None = "number" if kinds <= _NUMERIC else "timestamp" if kinds <= _TEMPORAL else None
    if wider is not None:
        return (wider if None not in known else None), True
    return None, kinds == {"boolean", "integer"}


class TypeReader:
    """Reads the types in one expression; what cannot be done is added to `problems`."""

    def __init__(self, column: Callable[[exp.Column], Family | None]) -> None:
        self._column = column
        self.problems: list[TypeProblem] = []

    def family(self, node: exp.Expr | None) -> Family | None:
        """The type of an expression, None where it cannot be told."""
        if node is None:
            return None
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            return handler(self, node)
        self._check_arguments(node)
        if isinstance(node, exp.Predicate):
            return "boolean"
        if isinstance(node, exp.AggFunc | exp.SubqueryPredicate):  # a mean of dates is a timestamp, not a number
            return "integer" if isinstance(node, exp.Count) else None
        return family_of(DuckDB.EXPRESSION_METADATA.get(type(node), {}).get("returns"))

    def condition(self, node: exp.Expr | None) -> None:
        """Check what is asked whether it is true."""
        family = self.family(node)
        if node is not None and family is not None and family not in CONDITIONS:
            self._refuse(node, f"is a condition, and its type is {family}", "compare it with something")

    # -- the kinds of expressions

    def _literal(self, node: exp.Expr) -> Family | None:
        if node.is_string:  # a text in quotes takes the type of what it is compared with
            return None
        return "integer" if node.is_int else "number"

    def _inner(self, node: exp.Expr) -> Family | None:
        return self.family(node.this)

    def _negative(self, node: exp.Expr) -> Family | None:
        family = self.family(node.this)
        if family is not None and family not in _NUMERIC | {"interval"}:
            self._refuse(node, f"{family} has no negative", _cast_help(family))
            return None
        return family

    def _not(self, node: exp.Expr) -> Family:
        self.condition(node.this)
        return "boolean"

    def _connector(self, node: exp.Expr) -> Family:
        self.condition(node.this)
        self.condition(node.args.get("expression"))
        return "boolean"

    def _cast(self, node: exp.Expr) -> Family | None:
        family, to = self.family(node.this), family_of(node.args.get("to"))
        if family is not None and to is not None and family not in CASTS.get(to, {family}):
            self._refuse(node, f"{family} cannot be cast to {to}", _HELP.get((family, to), "cast something else"))
        return to

    def _arithmetic(self, node: exp.Expr) -> Family | None:
        left, right = self.family(node.this), self.family(node.args.get("expression"))
        if left is None or right is None or "nested" in (left, right):
            return None
        if left in _NUMERIC and right in _NUMERIC:
            whole = left == right == "integer" and not isinstance(node, exp.Div)
            return "integer" if whole else "number"
        result = _SUMS.get((type(node), left, right))
        if result is None:
            odd = next((f for f in (left, right) if f not in _NUMERIC), left)
            self._refuse(node, f"there is no such arithmetic of {left} and {right}", _cast_help(odd))
        return result

    def _ordering(self, node: exp.Expr) -> Family:
        operands = [node.this, *(node.args.get(name) for name in ("expression", "low", "high"))]
        families = [self.family(operand) for operand in operands if operand is not None]
        known = [family for family in families if family is not None]
        for family in known[1:]:
            if not common([known[0], family])[1]:
                self._refuse(node, f"{known[0]} and {family} cannot be compared", _compare_help(known[0], family))
                break
        return "boolean"

    def _equality(self, node: exp.Expr) -> Family:
        others = [node.args.get("expression"), *node.args.get("expressions", ())]
        left = self.family(node.this)
        for right in [self.family(other) for other in others]:
            if not _can_be_equal(left, right):
                self._refuse(node, f"{left} and {right} cannot be equal", _compare_help(left, right))
                break
        self.family(node.args.get("query"))
        return "boolean"

    def _nullif(self, node: exp.Expr) -> Family | None:
        self._equality(node)
        return self.family(node.this)

    def _case(self, node: exp.Expr) -> Family | None:
        subject = node.args.get("this")
        family = self.family(subject)
        values = []
        for branch in node.args["ifs"]:
            if subject is None:
                self.condition(branch.this)
            elif not _can_be_equal(family, other := self.family(branch.this)):
                self._refuse(node, f"{family} and {other} cannot be equal", _compare_help(family, other))
            values.append(branch.args.get("true"))
        return self._branches(node, [*values, node.args.get("default")])

    def _if(self, node: exp.Expr) -> Family | None:
        self.condition(node.this)
        return self._branches(node, [node.args.get("true"), node.args.get("false")])

    def _choice(self, node: exp.Expr) -> Family | None:
        return self._branches(node, [node.this, *node.expressions])

    def _branches(self, node: exp.Expr, values: Iterable[exp.Expr | None]) -> Family | None:
        """Values of which one is taken: NULL may be any of them, and so may a text in quotes beside others."""
        given = [value for value in values if value is not None and not isinstance(value, exp.Null)]
        families = [self.family(value) for value in given]
        result, possible = common(families)
        if not possible:
            kinds = " and ".join(sorted({family for family in families if family is not None}))
            self._refuse(node, f"its values are of different types: {kinds}", "cast them to one type")
        if any(_is_text(value) for value in given):
            return None if any(family is not None for family in families) else "text"
        return result

    def _concatenation(self, node: exp.Expr) -> Family | None:
        parts = node.expressions or [node.this, node.args.get("expression")]
        families = [self.family(part) for part in parts]
        return "text" if "text" in families or any(_is_text(part) for part in parts) else None

    def _subquery(self, node: exp.Expr) -> Family | None:
        for child in node.iter_expressions():
            self.family(child)
        return self.family(node.expressions[0]) if len(node.expressions) == 1 else None

    def _unknown(self, node: exp.Expr) -> None:
        for child in node.iter_expressions():
            self.family(child)

    # -- complaints

    def _check_arguments(self, node: exp.Expr) -> None:
        names, allowed = _ARGUMENTS.get(type(node), ((), frozenset()))
        for name, child in ((name, child) for name, child in node.args.items() if isinstance(child, exp.Expr)):
            family = self.family(child)
            if name in names and family is not None and family not in allowed:
                wanted = " or ".join(sorted(allowed))
                self._refuse(node, f"needs {wanted}, and {_spelled(child)} is {family}", _cast_help(family))
        for child in node.expressions:
            self.family(child)

    def _refuse(self, node: exp.Expr, message: str, help_: str) -> None:
        self.problems.append(TypeProblem(_spelled(node), message, help_))


def _can_be_equal(left: Family | None, right: Family | None) -> bool:
    """Texts are read as what they are compared with; numbers and booleans are equal as 0 and 1."""
    if left is None or right is None or "text" in (left, right) or "nested" in (left, right):
        return True
    return left == right or any({left, right} <= group for group in (_NUMERIC | {"boolean"}, _TEMPORAL))


def _is_text(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Literal) and node.is_string


def _spelled(node: exp.Expr) -> str:
    """A part of the author's SQL, as it may be shown."""
    text = node.sql(dialect="duckdb").replace('"', "")
    return text if len(text) <= 60 else f"{text[:59]}…"


DECLARE = "declare the column's type where it is loaded, or cast it: try_cast(… as date)"
_HELP: Mapping[tuple[Family, Family], str] = {
    ("date", "integer"): "take a part of it, extract(year from …), or a difference of dates",
    ("timestamp", "integer"): "take a part of it, extract(year from …), or date_diff('day', …, …)",
}


def _cast_help(family: Family) -> str:
    return DECLARE if family == "text" else "cast it to what is needed, or use a column of that type"


def _compare_help(left: Family | None, right: Family | None) -> str:
    return DECLARE if "text" in (left, right) else "make both sides of one type, for example date '2020-12-31'"


def field_help(family: Family, type_: str) -> str:
    """What to do when an expression's type cannot become a field's."""
    base = type_.partition("(")[0]
    if family in _TEMPORAL and base in {"integer", "bigint", "float"}:
        return _HELP["date", "integer"]
    if family == "boolean" and base in {"integer", "bigint", "float"}:
        return "say what true is: case when … then 1 else 0 end"
    if family in _NUMERIC:
        return "make_date(year, month, day) makes a date of numbers"
    return "take the part of it that the field holds"


_HANDLERS: Mapping[type[exp.Expr], Callable[[TypeReader, exp.Expr], Family | None]] = {
    exp.Column: lambda reader, node: reader._column(node) if isinstance(node, exp.Column) else None,
    exp.Literal: TypeReader._literal,
    exp.Boolean: lambda reader, node: "boolean",
    **dict.fromkeys((exp.Paren, exp.Alias, exp.Window, exp.Filter, exp.Subquery), TypeReader._inner),
    **dict.fromkeys((exp.Max, exp.Min, exp.AnyValue), TypeReader._inner),
    exp.Neg: TypeReader._negative,
    exp.Not: TypeReader._not,
    **dict.fromkeys((exp.And, exp.Or), TypeReader._connector),
    **dict.fromkeys((exp.Cast, exp.TryCast), TypeReader._cast),
    **dict.fromkeys(_ARITHMETIC, TypeReader._arithmetic),
    **dict.fromkeys((exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between), TypeReader._ordering),
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ, exp.In), TypeReader._equality),
    exp.Nullif: TypeReader._nullif,
    exp.Case: TypeReader._case,
    exp.If: TypeReader._if,
    **dict.fromkeys((exp.Coalesce, exp.Greatest, exp.Least), TypeReader._choice),
    **dict.fromkeys((exp.Concat, exp.DPipe), TypeReader._concatenation),
    exp.Select: TypeReader._subquery,
    **dict.fromkeys((exp.Array, exp.Struct), lambda reader, node: "nested"),
    **dict.fromkeys((exp.Any, exp.All, exp.Lambda, exp.Date, exp.Time), TypeReader._unknown),
}
