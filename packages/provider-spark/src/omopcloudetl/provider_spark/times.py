"""Spells how a text in a format of strptime's directives is read: as ISO 8601 by a regular expression, then as that."""

from __future__ import annotations

import re

from sqlglot import exp
from sqlglot.errors import UnsupportedError

from omopcloudetl.provider_spark.casts import try_cast

_PARTS = {"d": "([0-9]{1,2})", "m": "([0-9]{1,2})", "Y": "([0-9]{4})"} | {
    "H": "([0-9]{1,2})",
    "M": "([0-9]{1,2})",
    "S": "([0-9]{1,2})",
    "f": "([0-9]{1,6})",
}
_DIRECTIVE = re.compile(r"%-?(.)|([^%]+)")
_SPECIAL = re.compile(r"([\\.^$*+?()\[\]{}|])")
_BLANK = "[ \t\n\r\f\v]*"
READ = ", ".join(f"%{letter}" for letter in _PARTS)


def read_time(text: exp.Expr, format_: exp.Expr) -> exp.Expr:
    """The timestamp that a text is in a format; NULL where it is none, and where there is no such day."""
    if not isinstance(format_, exp.Literal):
        raise UnsupportedError("a format of a date or a timestamp must be a text in quotes")
    pattern, order = _pattern(format_.name)
    literal = exp.Literal.string(pattern)
    iso = exp.Anonymous(
        this="REGEXP_REPLACE", expressions=[text.copy(), literal.copy(), exp.Literal.string(_iso(order))]
    )
    value = try_cast(exp.Cast(this=iso, to=exp.DataType.build("text")), exp.DataType.build("timestamp"))
    matches = exp.RegexpLike(this=text, expression=literal)
    read = exp.Case(ifs=[exp.If(this=matches, true=value)])
    read.type = exp.DataType.build("timestamp")
    return read


def _pattern(format_: str) -> tuple[str, list[str]]:
    """A regular expression with a group for each part, and the parts in their order."""
    pattern, order = [], []
    found = _DIRECTIVE.findall(format_)
    for place, (directive, between) in enumerate(found):
        if between:
            pattern.append(_SPECIAL.sub(r"[\1]", between))
        elif directive == "%":
            pattern.append("%")
        elif directive in _PARTS:
            # Where no separator follows, a part is as long as it can be.
            is_followed = place + 1 < len(found) and found[place + 1][0] in _PARTS
            pattern.append(_PARTS[directive].replace("{1,", "{") if is_followed else _PARTS[directive])
            order.append(directive)
        else:
            raise UnsupportedError(f"'{format_}' has %{directive}, and on Spark only {READ} are read")
    return f"^{_BLANK}{''.join(pattern)}{_BLANK}$", order


def _iso(order: list[str]) -> str:
    """The replacement that puts the parts in the order of ISO 8601; a part that is not there is its first."""

    def part(letter: str, default: str) -> str:
        return f"${order.index(letter) + 1}" if letter in order else default

    day = f"{part('Y', '1900')}-{part('m', '1')}-{part('d', '1')}"
    time = f"{part('H', '0')}:{part('M', '0')}:{part('S', '0')}"
    return f"{day} {time}.{part('f', '0')}"
