"""Rewrites what sqlglot would spell in another sense, or not at all: a function for each kind of node."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp
from sqlglot.errors import UnsupportedError

from omopcloudetl.core.sql_rewriting import TIMESTAMPS, Rewrites, is_whole, rewrite
from omopcloudetl.provider_postgres import patterns
from omopcloudetl.provider_postgres.casts import as_text, is_exact, read_whole, try_cast
from omopcloudetl.provider_postgres.times import read_time, write_time

_ONE: Mapping[str, str] = {"DAYS": "DAY", "MONTHS": "MONTH", "YEARS": "YEAR"}
_FUNCTIONS: Mapping[str, str] = {"TO_MONTHS": "MONTH", "TO_YEARS": "YEAR", "TO_HOURS": "HOUR", "TO_MINUTES": "MINUTE"}


def rewritten(statement: exp.Expr) -> exp.Expr:
    """The statement in PostgreSQL's own words; raises `UnsupportedError` where it has none."""
    return rewrite(statement, _REWRITES)


def _try_cast(node: exp.Expr) -> exp.Expr:
    outer = node.parent
    only_day = isinstance(outer, exp.Cast) and outer.to.this == exp.DType.DATE and node.args["to"].this in TIMESTAMPS
    return try_cast(node.this, node.args["to"], only_day=only_day)


def _try(node: exp.Expr) -> exp.Expr:
    if isinstance(node.this, exp.StrToTime):
        return read_time(as_text(node.this.this), node.this.args["format"])
    return node.this if isinstance(node.this, exp.Case) else node


def _read_time(node: exp.Expr) -> exp.Expr:
    """Within a TRY it may fail to read; without, a text that cannot be read is NULL just the same."""
    return read_time(as_text(node.this), node.args["format"])


def _interval(node: exp.Expr) -> exp.Expr:
    """`INTERVAL (n) DAY` is n times a day."""
    value, unit = node.this, str(node.args["unit"].name).upper() if node.args.get("unit") else ""
    if value is None or isinstance(value, exp.Literal) or not unit:
        return node
    return exp.Paren(this=_times(value, _ONE.get(unit, unit)))


def _times(count: exp.Expr, unit: str) -> exp.Mul:
    count = count.unnest()
    if not isinstance(count, exp.Column | exp.Literal | exp.Cast | exp.Coalesce):
        count = exp.Paren(this=count)
    one = exp.Interval(this=exp.Literal.string("1"), unit=exp.var(unit))
    return exp.Mul(this=count, expression=one)


def _date_add(node: exp.Expr) -> exp.Expr:
    """A date and n times a unit, whatever n is."""
    count, unit = node.args["expression"], str(node.args["unit"].name).upper()
    if isinstance(count, exp.Literal) and not count.is_string:
        more: exp.Expr = exp.Interval(this=exp.Literal.string(count.name), unit=exp.var(unit))
    else:
        more = _times(count, unit)
    return exp.Add(this=node.this, expression=more)


def _date_diff(node: exp.Expr) -> exp.Expr:
    """How many of a unit's borders lie between two times."""
    unit = str(node.args["unit"].name).upper() if node.args.get("unit") else "DAY"
    later, earlier = _as_date(node.this), _as_date(node.args["expression"])
    if unit == "DAY":
        return exp.Paren(this=exp.Sub(this=later, expression=earlier))
    years = exp.Paren(this=exp.Sub(this=_part("YEAR", later), expression=_part("YEAR", earlier)))
    if unit == "YEAR":
        return exp.Cast(this=years, to=_BIGINT.copy())
    if unit == "MONTH":
        months = exp.Sub(this=_part("MONTH", later.copy()), expression=_part("MONTH", earlier.copy()))
        whole = exp.Add(this=exp.Mul(this=years, expression=exp.Literal.number(12)), expression=exp.Paren(this=months))
        return exp.Cast(this=whole, to=_BIGINT.copy())
    return node


def _as_date(value: exp.Expr) -> exp.Expr:
    if isinstance(value, exp.Cast) and value.to.this == exp.DType.DATE:
        return value
    return exp.Cast(this=value, to=exp.DataType.build("date"))


def _part(part: str, of: exp.Expr) -> exp.Extract:
    return exp.Extract(this=exp.var(part), expression=of)


def _make_date(node: exp.Expr) -> exp.Expr:
    parts = [exp.Cast(this=node.args[name], to=_INT.copy()) for name in ("year", "month", "day")]
    return exp.Anonymous(this="MAKE_DATE", expressions=parts)


def _full_match(node: exp.Expr) -> exp.Expr:
    pattern = node.args["expression"]
    if not isinstance(pattern, exp.Literal):
        whole: exp.Expr = exp.DPipe(
            this=exp.DPipe(this=exp.Literal.string("^(?:"), expression=pattern), expression=exp.Literal.string(")$")
        )
    else:
        whole = exp.Literal.string(patterns.translated(pattern.name, _options(node.args.get("options"))).full_match)
    return exp.RegexpLike(this=node.this, expression=whole)


def _matches(node: exp.Expr) -> exp.Expr:
    _translate(node, node.args.get("flag"))
    node.set("flag", None)
    return node


def _replace_match(node: exp.Expr) -> exp.Expr:
    modifiers = _options(node.args.get("modifiers"))
    _translate(node, exp.convert(modifiers.replace("g", "")))
    node.set("modifiers", exp.convert("g") if "g" in modifiers else None)
    by = node.args.get("replacement")
    if isinstance(by, exp.Literal):
        by.replace(exp.convert(patterns.replacement(by.name)))
    return node


def _translate(node: exp.Expr, options: exp.Expr | None) -> None:
    """Spell a pattern that is a literal as PostgreSQL does; of another the author knows which it is."""
    pattern, said = node.args["expression"], _options(options)
    if isinstance(pattern, exp.Literal):
        node.set("expression", exp.convert(patterns.translated(pattern.name, said).text))
    elif said:
        raise UnsupportedError("a regular expression that is no text in quotes can have no options on PostgreSQL")


def _options(given: exp.Expr | None) -> str:
    return "" if given is None else given.name


def _extract_match(node: exp.Expr) -> exp.Expr:
    """The first match, or one of its groups; the empty text where there is none."""
    group = node.args.get("group")
    _translate(node, node.args.get("parameters"))
    found = [node.this, node.args["expression"], exp.convert(1), exp.convert(1), exp.convert("")]
    call = exp.Anonymous(this="REGEXP_SUBSTR", expressions=[*found, group or exp.convert(0)])
    given = exp.Not(this=exp.Is(this=node.this.copy(), expression=exp.Null()))
    return exp.Case(ifs=[exp.If(this=given, true=exp.Coalesce(this=call, expressions=[exp.convert("")]))])


def _substring(node: exp.Expr) -> exp.Expr:
    """A place below zero is counted from the end."""
    start = node.args.get("start")
    if start is None or (isinstance(start, exp.Literal) and not start.is_string):
        return node
    behind = exp.Add(this=exp.Length(this=node.this.copy()), expression=exp.convert(1))
    from_end = exp.Add(this=behind, expression=exp.Paren(this=start.copy()))
    if isinstance(start, exp.Neg) and isinstance(start.this, exp.Literal):
        node.set("start", exp.Sub(this=behind, expression=start.this))
    else:
        is_below = exp.LT(this=exp.Paren(this=start.copy()), expression=exp.convert(0))
        node.set("start", exp.Case(ifs=[exp.If(this=is_below, true=from_end)], default=start.copy()))
    return node


def _like(node: exp.Expr) -> exp.Expr:
    """A backslash in a pattern is a letter like any other, unless the author says that it is none."""
    if isinstance(node, exp.ILike):
        node = _like_letters(node)
    pattern = node.args["expression"]
    if isinstance(node.parent, exp.Escape) or (isinstance(pattern, exp.Literal) and "\\" not in pattern.name):
        return node
    return exp.Escape(this=node.copy(), expression=exp.convert(""))


def _extract(node: exp.Expr) -> exp.Expr:
    """A second is a whole number."""
    if node.name.upper() not in _WITH_FRACTIONS:
        return node
    return exp.Cast(this=exp.Floor(this=node.copy()), to=_BIGINT.copy())


def _similar(node: exp.Expr) -> exp.Expr:
    raise UnsupportedError("SIMILAR TO is not the same on two engines: write regexp_full_match(…)")


def _format(node: exp.Expr) -> exp.Expr:
    raise UnsupportedError("format(…) is not the same on two engines: join texts by ||")


def _contains(node: exp.Expr) -> exp.Expr:
    place = exp.Anonymous(this="STRPOS", expressions=[node.this, node.args["expression"]])
    return exp.Paren(this=exp.GT(this=place, expression=exp.convert(0)))


def _division(node: exp.Expr) -> exp.Expr:
    """What is divided by nothing has no result; the server would stop there."""
    divisor = node.args["expression"]
    if isinstance(divisor, exp.Literal) and divisor.name.strip("0.") != "":
        return node
    if not isinstance(divisor, exp.Nullif):
        node.set("expression", exp.Nullif(this=divisor, expression=exp.convert(0)))
    return node


def _round(node: exp.Expr) -> exp.Expr:
    """The server rounds only decimal numbers to places, and doubles to the even neighbour.

    As a text a double has all its digits; a cast to a decimal number leaves it 15.
    """
    decimals = node.args.get("decimals")
    value = node.this if is_exact(node.this) else as_text(node.this)
    number = exp.Cast(this=value, to=exp.DataType.build("numeric"))
    rounded = exp.Anonymous(this="ROUND", expressions=[number, *([decimals] if decimals is not None else [])])
    return exp.Cast(this=rounded, to=exp.DataType.build("double"))


def _written_time(node: exp.Expr) -> exp.Expr:
    return write_time(node.this, node.args["format"])


def _named(node: exp.Expr) -> exp.Expr:
    """Functions that sqlglot knows nothing of."""
    if is_whole(node):
        return read_whole(node.expressions[0], node.expressions[1])
    unit = _FUNCTIONS.get(node.name.upper())
    if unit is not None:
        return exp.Paren(this=_times(node.expressions[0], unit))
    if node.name.upper() == "TRY_STRPTIME":
        return read_time(as_text(node.expressions[0]), node.expressions[1])
    return node


def _letters(node: exp.Expr) -> exp.Expr:
    """The collation "C" knows letters of ASCII only; the database's own knows the others."""
    node.set("this", _by_database(node.this))
    return exp.Collate(this=node, expression=exp.to_identifier("C", quoted=True))


def _like_letters(node: exp.Expr) -> exp.Expr:
    if not isinstance(node.this, exp.Collate):
        node.set("this", _by_database(node.this))
    return node


def _by_database(value: exp.Expr) -> exp.Collate:
    inner = value if isinstance(value, exp.Column | exp.Func | exp.Literal) else exp.Paren(this=value)
    return exp.Collate(this=inner, expression=exp.to_identifier("default", quoted=True))


def _group(node: exp.Expr) -> exp.Expr:
    """The server takes a bare text there for a mistake; as a cast it is a group like any other."""
    for value in list(node.expressions):
        if isinstance(value, exp.Literal) and value.is_string:
            value.replace(exp.Cast(this=value.copy(), to=exp.DataType.build("text")))
    return node


def _any_value(node: exp.Expr) -> exp.Expr:
    raise UnsupportedError("ANY_VALUE is not the same on two engines: say which value, as MIN(…)")


_WITH_FRACTIONS = {"SECOND", "SECONDS", "MILLISECOND", "MILLISECONDS", "MICROSECOND", "MICROSECONDS"}
_BIGINT = exp.DataType.build("bigint")
_INT = exp.DataType.build("int")
_REWRITES: Rewrites = {
    exp.TryCast: _try_cast,
    exp.Try: _try,
    exp.StrToTime: _read_time,
    exp.Interval: _interval,
    exp.DateAdd: _date_add,
    exp.DateDiff: _date_diff,
    exp.DateFromParts: _make_date,
    exp.RegexpFullMatch: _full_match,
    exp.RegexpExtract: _extract_match,
    exp.RegexpLike: _matches,
    exp.RegexpReplace: _replace_match,
    exp.SimilarTo: _similar,
    exp.Format: _format,
    exp.Substring: _substring,
    exp.Extract: _extract,
    exp.TimeToStr: _written_time,
    exp.Contains: _contains,
    exp.Div: _division,
    exp.IntDiv: _division,
    exp.Mod: _division,
    exp.Round: _round,
    exp.Anonymous: _named,
    exp.ToDays: lambda node: exp.Paren(this=_times(node.this, "DAY")),
    exp.AnyValue: _any_value,
    exp.Group: _group,
    exp.Upper: _letters,
    exp.Lower: _letters,
    exp.Like: _like,
    exp.ILike: _like,
}
