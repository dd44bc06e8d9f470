"""Rewrites what sqlglot would spell in another sense, or not at all: a function for each kind of node."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp
from sqlglot.errors import UnsupportedError

from omopcloudetl.core.sql_rewriting import TIMESTAMPS, Rewrites, is_whole, rewrite
from omopcloudetl.provider_spark.casts import as_text, read_whole, try_cast
from omopcloudetl.provider_spark.times import read_time

_FUNCTIONS: Mapping[str, str] = {"TO_MONTHS": "MONTH", "TO_YEARS": "YEAR", "TO_HOURS": "HOUR", "TO_MINUTES": "MINUTE"}
_PLACES = {"YEAR": 0, "MONTH": 1, "WEEK": 2, "DAY": 3, "HOUR": 4, "MINUTE": 5, "SECOND": 6}


def rewritten(statement: exp.Expr) -> exp.Expr:
    """The statement in Spark's own words; raises `UnsupportedError` where it has none."""
    return rewrite(statement, _REWRITES)


def _type(node: exp.Expr) -> exp.Expr:
    """Timestamps have no zone, texts no length."""
    if node.this in TIMESTAMPS:
        node.set("this", exp.DType.TIMESTAMPNTZ)
    elif node.this in exp.DataType.TEXT_TYPES:
        node.set("this", exp.DType.TEXT)
        node.set("expressions", [])
    return node


def _try_cast(node: exp.Expr) -> exp.Expr:
    return try_cast(node.this, node.args["to"])


def _try(node: exp.Expr) -> exp.Expr:
    if isinstance(node.this, exp.StrToTime):
        return read_time(as_text(node.this.this), node.this.args["format"])
    return node.this if isinstance(node.this, exp.Case) else node


def _read_time(node: exp.Expr) -> exp.Expr:
    """Within a TRY it may fail to read; without, a text that cannot be read is NULL just the same."""
    return read_time(as_text(node.this), node.args["format"])


def _interval(node: exp.Expr) -> exp.Expr:
    """`INTERVAL (n) DAY` of an expression."""
    value, unit = node.this, str(node.args["unit"].name).upper() if node.args.get("unit") else ""
    if value is None or isinstance(value, exp.Literal) or not unit:
        return node
    return _made_interval(value.unnest(), unit.removesuffix("S"))


def _made_interval(count: exp.Expr, unit: str) -> exp.Expr:
    if unit not in _PLACES:
        raise UnsupportedError(f"an interval of {unit} has no words in Spark SQL; say it in {', '.join(_PLACES)}")
    given: list[exp.Expr] = [exp.convert(0)] * _PLACES[unit]
    return exp.Anonymous(this="MAKE_INTERVAL", expressions=[*(zero.copy() for zero in given), count])


def _date_add(node: exp.Expr) -> exp.Expr:
    """A date and n times a unit, whatever n is."""
    count, unit = node.args["expression"], str(node.args["unit"].name).upper()
    if isinstance(count, exp.Literal) and not count.is_string:
        more: exp.Expr = exp.Interval(this=exp.Literal.string(count.name), unit=exp.var(unit))
        return exp.Add(this=node.this, expression=more)
    name = {"DAY": "DATE_ADD", "MONTH": "ADD_MONTHS"}.get(unit)
    if name is not None:
        return exp.Anonymous(this=name, expressions=[node.this, exp.cast(count, "int")])
    return exp.Add(this=node.this, expression=_made_interval(count, unit))


def _date_diff(node: exp.Expr) -> exp.Expr:
    """How many of a unit's borders lie between two times."""
    unit = str(node.args["unit"].name).upper() if node.args.get("unit") else "DAY"
    later, earlier = _as_date(node.this), _as_date(node.args["expression"])
    if unit == "DAY":
        days = exp.Anonymous(this="DATEDIFF", expressions=[later, earlier])
        days.type = exp.DataType.build("int")
        return days
    years = exp.Paren(this=exp.Sub(this=_part("YEAR", later), expression=_part("YEAR", earlier)))
    if unit == "YEAR":
        return exp.Cast(this=years, to=_BIGINT.copy())
    if unit == "MONTH":
        months = exp.Sub(this=_part("MONTH", later.copy()), expression=_part("MONTH", earlier.copy()))
        whole = exp.Add(this=exp.Mul(this=years, expression=exp.Literal.number(12)), expression=exp.Paren(this=months))
        return exp.Cast(this=whole, to=_BIGINT.copy())
    raise UnsupportedError(f"differences in {unit} have no words in Spark SQL; say them in DAY, MONTH or YEAR")


def _as_date(value: exp.Expr) -> exp.Expr:
    if isinstance(value, exp.Cast) and value.to.this == exp.DType.DATE:
        return value
    return exp.Cast(this=value, to=exp.DataType.build("date"))


def _part(part: str, of: exp.Expr) -> exp.Extract:
    return exp.Extract(this=exp.var(part), expression=of)


def _full_match(node: exp.Expr) -> exp.Expr:
    pattern = node.args["expression"]
    if isinstance(pattern, exp.Literal):
        whole: exp.Expr = exp.Literal.string(f"^(?:{pattern.name})\\z")
    else:
        begin, end = exp.Literal.string("^(?:"), exp.Literal.string(")\\z")
        whole = exp.Anonymous(this="CONCAT", expressions=[begin, pattern, end])
    return exp.RegexpLike(this=node.this, expression=whole)


def _like(node: exp.Expr) -> exp.Expr:
    """A backslash is a letter, where no other sign is said to take the meaning of the next one."""
    pattern = node.args["expression"]
    if isinstance(node.parent, exp.Escape) and node.arg_key == "this":
        return node
    if isinstance(pattern, exp.Literal):
        node.set("expression", exp.Literal.string(pattern.name.replace("\\", "\\\\")))
    else:
        one, two = exp.Literal.string("\\"), exp.Literal.string("\\\\")
        node.set("expression", exp.Anonymous(this="REPLACE", expressions=[pattern, one, two]))
    return node


def _extract_match(node: exp.Expr) -> exp.Expr:
    """The first match, or one of its groups; the empty text where there is none."""
    group = node.args.get("group") or exp.convert(0)
    return exp.Anonymous(this="REGEXP_EXTRACT", expressions=[node.this, node.args["expression"], group])


def _division(node: exp.Expr) -> exp.Expr:
    """What is divided by nothing has no result; in ANSI mode Spark would stop there."""
    divisor = node.args["expression"]
    if isinstance(node, exp.Div):
        node.set("this", exp.Cast(this=node.this, to=_DOUBLE.copy()))
    if isinstance(divisor, exp.Literal) and divisor.name.strip("0.") != "":
        return node
    if not isinstance(divisor, exp.Nullif):
        node.set("expression", exp.Nullif(this=divisor, expression=exp.convert(0)))
    return node


def _round(node: exp.Expr) -> exp.Expr:
    """A double, as of a double: Spark's own is a decimal where it is given one."""
    return node if isinstance(node.parent, exp.Cast) else exp.Cast(this=node.copy(), to=_DOUBLE.copy())


def _named(node: exp.Expr) -> exp.Expr:
    """Functions that sqlglot knows nothing of."""
    if is_whole(node):
        return read_whole(node.expressions[0], node.expressions[1])
    unit = _FUNCTIONS.get(node.name.upper())
    if unit is not None:
        return _made_interval(node.expressions[0], unit)
    if node.name.upper() == "TRY_STRPTIME":
        return read_time(as_text(node.expressions[0]), node.expressions[1])
    return node


def _text_part(node: exp.Expr) -> exp.Expr:
    """A part of a text; Sail 0.7 writes it into no table of Iceberg unless it is told that it is a text."""
    if isinstance(node.parent, exp.Cast):
        return node
    return exp.Cast(this=node.copy(), to=exp.DataType.build("text"))


def _any_value(node: exp.Expr) -> exp.Expr:
    raise UnsupportedError("ANY_VALUE is not the same on two engines: say which value, as MIN(…)")


_BIGINT = exp.DataType.build("bigint")
_DOUBLE = exp.DataType.build("double")
_REWRITES: Rewrites = {
    exp.DataType: _type,
    exp.TryCast: _try_cast,
    exp.Try: _try,
    exp.StrToTime: _read_time,
    exp.Interval: _interval,
    exp.DateAdd: _date_add,
    exp.DateDiff: _date_diff,
    exp.RegexpFullMatch: _full_match,
    exp.RegexpExtract: _extract_match,
    exp.Like: _like,
    exp.ILike: _like,
    exp.Div: _division,
    exp.IntDiv: _division,
    exp.Mod: _division,
    exp.Round: _round,
    exp.Anonymous: _named,
    exp.ToDays: lambda node: _made_interval(node.this, "DAY"),
    exp.AnyValue: _any_value,
    exp.Left: _text_part,
    exp.Substring: _text_part,
}
