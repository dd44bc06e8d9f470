"""Spells casts that give NULL for what cannot be read: a regular expression decides, then Spark casts.

Spark's own casts read more than anybody means (`2020`, `1d`, `2020-01-01Tx`), and not the same in both of its modes.
The regular expressions look neither ahead nor behind, so that Java's engine and that of Rust read them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sqlglot import exp
from sqlglot.errors import UnsupportedError

from omopcloudetl.core.sql_rewriting import TIMESTAMPS, WHOLE, is_whole, never_fails, results_of

BLANK = "[ \t\n\r\f\v]"
_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_PLAIN_DAY = f"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}"
PLAIN_DAY = f"^{_PLAIN_DAY}$"
"""How nearly every day is written; the cast says whether there is such a day."""
PLAIN_TIMESTAMP = f"^{_PLAIN_DAY}[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{{1,6}})?$"
_DAY = f"({_YEAR})(?:-([0-9]{{1,2}})-([0-9]{{1,2}})|/([0-9]{{1,2}})/([0-9]{{1,2}}))"
_ZONE = "(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?"
_CLOCK = f"([01]?[0-9]|2[0-3]):([0-5]?[0-9])(?::([0-5]?[0-9])(?:[.]([0-9]{{0,6}})[0-9]*)?{_ZONE}{BLANK}*)?"
TIMESTAMP_PATTERN = f"(?s)^{BLANK}*{_DAY}(?:(?:T|{BLANK}+)(?:{_CLOCK}|24:00(?::00)?)?)?$|^.*$"
"""ISO 8601, and a blank in place of the T; a zone may be told, and is not heeded: times are local.

Of any other text it makes parts that are empty, which are no day."""
_PARTS = "$1-00$2$4-00$3$5 00$6:00$7:00$8.$9"
_WIDE_PART, _TWO_DIGITS = "([- :])0{1,2}([0-9]{2})", "$1$2"
_MIDNIGHT = "[^0-9:]24:00"
_DIGITS = "(?:[0-9]+[.]?[0-9]*|[.][0-9]+)"
PLAIN_NUMBER = f"^{BLANK}*[+-]?{_DIGITS}{BLANK}*$"
PLAIN_WHOLE = f"^{BLANK}*[+-]?(?:[0-9]+(?:[.]0*)?|[.]0+){BLANK}*$"
SCALED_NUMBER = f"^{BLANK}*[+-]?{_DIGITS}[eE][+-]?[0-9]{{1,3}}{BLANK}*$"
NUMBER_PATTERN = f"^{BLANK}*[+-]?{_DIGITS}(?:[eE][+-]?[0-9]{{1,3}})?{BLANK}*$"
LARGEST = "1.7976931348623157E308D"
TRUE, FALSE = ("t", "true", "y", "yes", "1"), ("f", "false", "n", "no", "0")

_EXACT = exp.DataType.build("decimal(38, 18)")
_NO_FRACTION = exp.DataType.build("decimal(38, 0)")
"""Of a whole double all digits are before the point; Sail would lose some of them to those behind it."""
_DOUBLE = exp.DataType.build("double")
_TEXT = exp.DataType.build("text")
_GIVEN = exp.to_identifier("given", quoted=True)
_WHOLE = (exp.Extract, exp.DateDiff, exp.Length, exp.Count, exp.RowNumber)


def try_cast(value: exp.Expr, to: exp.DataType) -> exp.Expr:
    """The value as a type, NULL where it cannot be read as one."""
    known = kind_of(value)
    if isinstance(value, exp.Null) or never_fails(known, to.this):
        return exp.Cast(this=value, to=to)
    if known in WHOLE and to.this in WHOLE:
        return _cast(value, to)
    spell = _SPELLED.get(to.this)
    if spell is None:
        raise UnsupportedError(
            f"TRY_CAST to {to.sql('spark')} has no words in Spark SQL; cast to one of the usual types"
        )
    found = _once(value, lambda given: spell(as_text(given), to))
    found.type = to
    return found


def _once(value: exp.Expr, spell: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """What is spelled of a value several times; a query that stands alone is asked once, by a query around it."""
    alone = value.copy()
    if alone.find(exp.Query) is None or any(column.parent_select is None for column in alone.find_all(exp.Column)):
        return spell(value)
    named = exp.Select(expressions=[exp.alias_(exp.Cast(this=alone, to=_TEXT.copy()), "value", quoted=True)])
    column = exp.column("value", "given", quoted=True)
    column.type = _TEXT.copy()
    around = exp.Select(expressions=[spell(column)])
    around.set("from_", exp.From(this=exp.Subquery(this=named, alias=exp.TableAlias(this=_GIVEN.copy()))))
    return exp.Subquery(this=around)


def read_whole(value: exp.Expr, to: exp.DataType) -> exp.Expr:
    """The value as a whole number, NULL where it is none: `2.7` is none, `2.0` is 2."""
    if kind_of(value) in WHOLE:
        return _cast(value, to)
    return _once(value, lambda given: _whole(as_text(given), to))


def _whole(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    scaled = _cast(text, _DOUBLE)
    whole = exp.EQ(this=scaled, expression=exp.Floor(this=scaled.copy()))
    by_double = exp.And(this=_matches(text, SCALED_NUMBER), expression=whole)
    found = exp.Case(
        ifs=[
            exp.If(this=_matches(text, PLAIN_WHOLE), true=_cast(_cast(text, _EXACT), to)),
            exp.If(this=by_double, true=_cast(_cast(scaled, _NO_FRACTION), to)),
        ]
    )
    found.type = to
    return found


def is_read(node: exp.Expr) -> bool:
    """Whether it reads a text, or what may be none, of columns alone: Spark asks no query within a LATERAL one."""
    if isinstance(node, exp.Try):
        reads = isinstance(node.this, exp.StrToTime)
    elif is_whole(node):
        reads = kind_of(node.expressions[0]) not in WHOLE
    else:
        reads = isinstance(node, exp.TryCast) and not _is_plain(node.this, node.to)
    return reads and node.find(exp.Query) is None


def _is_plain(value: exp.Expr, to: exp.DataType) -> bool:
    """Whether a cast is spelled as a cast."""
    known = kind_of(value)
    return isinstance(value, exp.Null) or never_fails(known, to.this) or (known in WHOLE and to.this in WHOLE)


def kind_of(value: exp.Expr) -> exp.DType | None:
    """The type of a value, where the tree tells it."""
    if isinstance(value, exp.Paren):
        return kind_of(value.this)
    type_ = value.to if isinstance(value, exp.Cast) else value.type
    # Before all others: what spells a cast has its type, which its parts do not tell.
    if isinstance(type_, exp.DataType) and isinstance(type_.this, exp.DType) and type_.this != exp.DType.UNKNOWN:
        return type_.this
    if isinstance(value, exp.Case | exp.Coalesce | exp.Nullif):
        return _kind_of_all(_results(value))
    if isinstance(value, exp.Literal):
        return exp.DType.TEXT if value.is_string else exp.DType.INT if value.is_int else None
    if isinstance(value, exp.Add | exp.Sub | exp.Mul) and _kind_of_all([value.this, value.expression]) in WHOLE:
        return exp.DType.BIGINT
    return exp.DType.INT if isinstance(value, _WHOLE) else None


def _results(value: exp.Expr) -> list[exp.Expr]:
    """What an expression may give."""
    match value:
        case exp.Case():
            return results_of(value)
        case exp.Coalesce():
            return [value.this, *value.expressions]
        case _:
            return [value.this]


def _kind_of_all(values: Iterable[exp.Expr]) -> exp.DType | None:
    """The one type of several values, of which NULL has any."""
    kinds = {kind_of(value) for value in values if not isinstance(value, exp.Null)}
    return kinds.pop() if len(kinds) == 1 else None


def as_text(value: exp.Expr) -> exp.Expr:
    """The value as a text, whatever it is."""
    if kind_of(value) in exp.DataType.TEXT_TYPES or (isinstance(value, exp.Literal) and value.is_string):
        return value
    return exp.Cast(this=value, to=_TEXT.copy())


def _by_decimal(text: exp.Expr, finish: Callable[[exp.Expr], exp.Expr]) -> exp.Case:
    """What is made of a text's decimal; one with an exponent goes by way of a double: not all engines read it."""
    scaled = _cast(_cast(text, _DOUBLE), _EXACT)
    return exp.Case(
        ifs=[
            exp.If(this=_matches(text, PLAIN_NUMBER), true=finish(_cast(text, _EXACT))),
            exp.If(this=_matches(text, SCALED_NUMBER), true=finish(scaled)),
        ]
    )


def _to_whole(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    return _by_decimal(text, lambda number: _cast(exp.Round(this=number, decimals=exp.convert(0)), to))


def _to_decimal(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    return _by_decimal(text, lambda number: _cast(number, to))


def _to_float(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    number = _cast(text, to)
    finite = exp.LTE(this=exp.Abs(this=number), expression=exp.var(LARGEST))
    return _case(exp.And(this=_matches(text, NUMBER_PATTERN), expression=finite), number.copy())


def _to_date(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    """Plain days at once; the others by their parts."""
    day = exp.Cast(this=_moment(text), to=to.copy())
    return _read(text, PLAIN_DAY, _cast(text, to), day)


def _to_timestamp(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    return _read(text, PLAIN_TIMESTAMP, _cast(text, to), _moment(text))


def _read(text: exp.Expr, plain: str, fast: exp.Expr, slow: exp.Expr) -> exp.Case:
    return exp.Case(ifs=[exp.If(this=_matches(text, plain), true=fast)], default=slow)


def _moment(text: exp.Expr) -> exp.Expr:
    """A text that has the pattern as a timestamp: each part gets two digits, and a fraction at least one."""
    parts = _call("REGEXP_REPLACE", text.copy(), TIMESTAMP_PATTERN, _PARTS)
    plain = _call("CONCAT", _call("REGEXP_REPLACE", parts, _WIDE_PART, _TWO_DIGITS), "0")
    read = _cast(plain, exp.DataType(this=exp.DType.TIMESTAMPNTZ))
    # 24:00 is the beginning of the next day.
    is_midnight = _matches(text, _MIDNIGHT)
    days = exp.Case(ifs=[exp.If(this=is_midnight, true=_day(1))], default=_day(0))
    return exp.Paren(this=exp.Add(this=read, expression=days))


def _day(count: int) -> exp.Interval:
    return exp.Interval(this=exp.convert(str(count)), unit=exp.var("DAY"))


def _call(name: str, *arguments: exp.Expr | str) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=[exp.convert(argument) for argument in arguments])


def _to_boolean(text: exp.Expr, to: exp.DataType) -> exp.Expr:
    low = exp.Lower(this=text)
    yes, no = (exp.In(this=low.copy(), expressions=[*map(exp.convert, words)]) for words in (TRUE, FALSE))
    return exp.Case(ifs=[exp.If(this=yes, true=exp.true()), exp.If(this=no, true=exp.false())])


def _cast(value: exp.Expr, to: exp.DataType) -> exp.TryCast:
    # `safe` says that it was no CAST of a dialect whose own gives NULL: else sqlglot would spell a CAST.
    return exp.TryCast(this=value.copy(), to=to.copy(), safe=True)


def _matches(text: exp.Expr, pattern: str) -> exp.Expr:
    return exp.RegexpLike(this=text.copy(), expression=exp.Literal.string(pattern))


def _case(condition: exp.Expr, value: exp.Expr) -> exp.Case:
    return exp.Case(ifs=[exp.If(this=condition, true=value)])


_SPELLED: Mapping[object, Callable[[exp.Expr, exp.DataType], exp.Expr]] = {
    **dict.fromkeys(WHOLE, _to_whole),
    exp.DType.DECIMAL: _to_decimal,
    exp.DType.DOUBLE: _to_float,
    exp.DType.FLOAT: _to_float,
    exp.DType.DATE: _to_date,
    **dict.fromkeys(TIMESTAMPS, _to_timestamp),
    exp.DType.BOOLEAN: _to_boolean,
}
