r"""Spells casts that give NULL for what cannot be read: a regular expression decides, and only then the server casts.

PostgreSQL has no TRY_CAST, and its own casts read more than anybody means (`today`, `January 8, 1999`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp
from sqlglot.errors import UnsupportedError

from omopcloudetl.core.sql_rewriting import TIMESTAMPS, is_whole, never_fails, results_of

_DAYS = "|".join(
    (
        "(?:0?[13578]|1[02])[-/](?:0?[1-9]|[12][0-9]|3[01])",
        "(?:0?[469]|11)[-/](?:0?[1-9]|[12][0-9]|30)",
        "0?2[-/](?:0?[1-9]|1[0-9]|2[0-8])",
    )
)
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
DAY = f"(?=[0-9]+(?:-[0-9]+-|/[0-9]+/))(?!0000)(?:[0-9]{{4}}[-/](?:{_DAYS})|{_LEAP_YEAR}[-/]0?2[-/]29)"
"""A day that there is, in a year of four digits; both separators are the same."""
_ZONE = "(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?"
_CLOCK = rf"(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9](?::[0-5]?[0-9](?:[.][0-9]*)?{_ZONE}\s*)?"
TIMESTAMP_PATTERN = rf"^\s*{DAY}(?:(?:T|\s+)(?:{_CLOCK}|24:00(?::00)?))?$"
"""ISO 8601, and a blank in place of the T; a zone may be told, and is not heeded: times are local."""
FRACTION = "^[^.]*[.][0-9]{0,6}"
"""What a timestamp has room for; the server would round the rest, into the next day at worst."""
DIGITS = "(?:[0-9]+[.]?[0-9]*|[.][0-9]+)"
NUMBER_PATTERN = rf"^\s*[+-]?{DIGITS}(?:[eE][+-]?[0-9]{{1,3}})?\s*$"
_SHORT = rf"(?=.{{1,200}}$){DIGITS}(?:[eE][+-]?0*[0-9]{{1,2}})?"
_LARGE = r"[0-9](?:[.][0-9]{0,17})?[eE][+-]?[12]?[0-9]{2}"
FLOAT_PATTERN = rf"^\s*[+-]?(?:{_SHORT}|{_LARGE})\s*$"
"""Of a size that a double has: the server's cast fails for others, where DuckDB's gives infinity or 0."""
BOOLEAN_PATTERN = "^(?:t|true|y|yes|1|f|false|n|no|0)$"

_LIMITS: Mapping[exp.DType, int] = {exp.DType.SMALLINT: 2**15, exp.DType.INT: 2**31, exp.DType.BIGINT: 2**63}
_NUMERIC = exp.DataType.build("numeric")
_TEXT = exp.DataType.build("text")
_GIVEN = exp.to_identifier("given", quoted=True)
_FLOATS = {exp.DType.DOUBLE}
_CHOICES = (exp.Coalesce, exp.Case, exp.Max, exp.Min, exp.Greatest, exp.Least)
_WHOLE = (exp.Extract, exp.DateDiff, exp.Length, exp.Count, exp.RowNumber)


def try_cast(value: exp.Expr, to: exp.DataType, *, only_day: bool = False) -> exp.Expr:
    """The value as a type, NULL where it cannot be read as one; `only_day` of a timestamp whose time nobody reads."""
    known = kind_of(value)
    if isinstance(value, exp.Null) or never_fails(known, to.this):
        return exp.Cast(this=value, to=to)
    if known in _FLOATS and to.this in _LIMITS:
        return _once(value, lambda given: _from_float(given, to))
    spell = _to_date if only_day else _SPELLED.get(to.this)
    if spell is None:
        raise UnsupportedError(
            f"TRY_CAST to {to.sql('postgres')} has no words in PostgreSQL; cast to one of the usual types"
        )
    found = _once(value, lambda given: spell(as_text(given), to))
    found.type = to
    return found


def _once(value: exp.Expr, spell: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """What is spelled of a value several times; a query in it is asked once, by a query around it that names it."""
    if value.find(exp.Query) is None:
        return spell(value)
    named = exp.Select(expressions=[exp.alias_(value, "value", quoted=True)])
    named.set("offset", exp.Offset(expression=exp.Literal.number(0)))  # else the planner would take it apart again
    column = exp.column("value", "given", quoted=True)
    column.type = value.type
    around = exp.Select(expressions=[spell(column)])
    around.set("from_", exp.From(this=exp.Subquery(this=named, alias=exp.TableAlias(this=_GIVEN.copy()))))
    return exp.Subquery(this=around)


def read_whole(value: exp.Expr, to: exp.DataType) -> exp.Expr:
    """The value as a whole number, NULL where it is none: `2.7` is none, `2.0` is 2."""
    if never_fails(kind_of(value), to.this):
        return exp.Cast(this=value, to=to)
    return _once(value, lambda given: _whole(as_text(given), to))


def _whole(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    number = exp.Cast(this=text, to=_NUMERIC)
    whole = exp.EQ(this=number, expression=exp.Anonymous(this="TRUNC", expressions=[number.copy()]))
    found = _guarded(
        text, NUMBER_PATTERN, _case(exp.And(this=whole, expression=_in_range(number, to)), _as(number, to))
    )
    found.type = to
    return found


def kind_of(value: exp.Expr) -> exp.DType | None:
    """The type of a value, where the tree tells it."""
    if isinstance(value, exp.Paren):
        return kind_of(value.this)
    if isinstance(value, _CHOICES):
        return _common_kind(value)
    if isinstance(value, exp.Add | exp.Sub | exp.Mul):
        return _kind_of_arithmetic(value)
    type_ = value.to if isinstance(value, exp.Cast) else value.type
    if isinstance(type_, exp.DataType) and isinstance(type_.this, exp.DType) and type_.this != exp.DType.UNKNOWN:
        return type_.this
    if isinstance(value, exp.Div):
        return exp.DType.DOUBLE
    return exp.DType.INT if isinstance(value, _WHOLE) else None


def is_exact(value: exp.Expr) -> bool:
    """Whether the tree tells that a value is a number without a binary fraction."""
    return kind_of(value) in {*_LIMITS, exp.DType.DECIMAL} or (isinstance(value, exp.Literal) and not value.is_string)


def _common_kind(value: exp.Expr) -> exp.DType | None:
    """The type of a value that is one of several; a text in quotes becomes what the others are."""
    values = results_of(value) if isinstance(value, exp.Case) else [value.this, *value.expressions]
    kinds = {kind_of(one) for one in values if not isinstance(one, exp.Null | exp.Literal) or one.is_number}
    return kinds.pop() if len(kinds) == 1 else None


def _kind_of_arithmetic(value: exp.Expr) -> exp.DType | None:
    kinds = {exp.DType.INT if one.is_int else kind_of(one) for one in (value.this, value.expression)}
    if kinds == {exp.DType.INT, exp.DType.DOUBLE}:
        return exp.DType.DOUBLE
    if kinds == {exp.DType.DATE} and isinstance(value, exp.Sub):
        return exp.DType.INT  # days
    return kinds.pop() if len(kinds) == 1 and kinds <= {exp.DType.INT, exp.DType.BIGINT, exp.DType.DOUBLE} else None


def is_read(node: exp.Expr) -> bool:
    """Whether it reads a text, or what may be none, and is no plain cast here."""
    if isinstance(node, exp.Try):
        return isinstance(node.this, exp.StrToTime)
    if is_whole(node):
        return not never_fails(kind_of(node.expressions[0]), node.expressions[1].this)
    return isinstance(node, exp.TryCast) and not never_fails(kind_of(node.this), node.to.this)


def as_text(value: exp.Expr) -> exp.Expr:
    """The value as a text, whatever it is; a literal that is cast without that is read before CASE decides."""
    if kind_of(value) in exp.DataType.TEXT_TYPES and not isinstance(value, exp.Literal):
        return value
    return exp.Cast(this=value, to=_TEXT)


def _to_whole(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    number = exp.Cast(this=text, to=_NUMERIC)
    rounded = exp.Anonymous(this="ROUND", expressions=[number])
    return _guarded(text, NUMBER_PATTERN, _case(_in_range(rounded, to), _as(number, to)))


def _from_float(value: exp.Expr, to: exp.DataType) -> exp.Expr:
    """A double goes to the even neighbour where it is between two, on every engine; a text does not."""
    limit = exp.Literal.number(_LIMITS[to.this])
    rounded = exp.Anonymous(this="ROUND", expressions=[value.copy()])
    low = exp.GTE(this=rounded, expression=exp.Neg(this=limit))
    found = _case(exp.And(this=low, expression=exp.LT(this=rounded.copy(), expression=limit.copy())), _as(value, to))
    found.type = to
    return found


def _to_decimal(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    number = exp.Cast(this=text, to=_NUMERIC)
    sizes = [int(size.this.name) for size in to.expressions] or [18, 3]
    digits, scale = sizes[0], sizes[1] if len(sizes) > 1 else 0
    rounded = exp.Anonymous(this="ROUND", expressions=[number, exp.Literal.number(scale)])
    limit = exp.Literal.number(10 ** (digits - scale))
    fits = exp.LT(this=exp.Abs(this=rounded), expression=limit)
    return _guarded(text, NUMBER_PATTERN, _case(fits, _as(number, to)))


def _to_float(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    return _guarded(text, FLOAT_PATTERN, _as(text, to))


def _to_date(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    return _guarded(text, TIMESTAMP_PATTERN, _as(text, to))


def _to_timestamp(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    has_fraction = exp.Like(this=text.copy(), expression=exp.Literal.string("%.%"))
    cut = exp.Anonymous(this="SUBSTRING", expressions=[text.copy(), exp.Literal.string(FRACTION)])
    exact = exp.Case(ifs=[exp.If(this=has_fraction, true=cut)], default=text.copy())
    return _guarded(text, TIMESTAMP_PATTERN, _as(exact, to))


def _to_boolean(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    return _guarded(exp.Lower(this=text), BOOLEAN_PATTERN, _as(text, to))


def _guarded(text: exp.Expr, pattern: str, value: exp.Expr) -> exp.Case:
    return _case(exp.RegexpLike(this=text.copy(), expression=exp.Literal.string(pattern)), value)


def _case(condition: exp.Expr, value: exp.Expr) -> exp.Case:
    """CASE alone makes sure that nothing is cast before it is known that it can be."""
    return exp.Case(ifs=[exp.If(this=condition, true=value)])


def _in_range(number: exp.Expr, to: exp.DataType) -> exp.Expr:
    limit = _LIMITS[to.this]
    low, high = exp.Neg(this=exp.Literal.number(limit)), exp.Literal.number(limit - 1)
    return exp.Between(this=number.copy(), low=low, high=high)


def _as(value: exp.Expr, to: exp.DataType) -> exp.Cast:
    return exp.Cast(this=value.copy(), to=to.copy())


_SPELLED: Mapping[object, Callable[[exp.Expr, exp.DataType], exp.Expr]] = {
    **dict.fromkeys(_LIMITS, _to_whole),
    exp.DType.DECIMAL: _to_decimal,
    exp.DType.DOUBLE: _to_float,
    exp.DType.FLOAT: _to_float,
    exp.DType.DATE: _to_date,
    **dict.fromkeys(TIMESTAMPS, _to_timestamp),
    exp.DType.BOOLEAN: _to_boolean,
}
