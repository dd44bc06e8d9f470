"""One text for a natural key, so that keys of any number of parts, NULLs included, compare and hash alike."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from omopcloudetl.core.compiler import trees

SEPARATOR, ESCAPE, NULL = "|", "~", "~N"


def key_text(parts: Sequence[exp.Expr]) -> exp.Expr:
    """The parts, which are texts, joined by `|`; `~` and `|` in a part become `~~` and `~|`, and NULL is `~N`.

    No two keys have the same text, and it is never NULL. Ids of `hash` are made from it, so
    that it must never change.
    """
    found: exp.Expr | None = None
    for part in parts:
        escaped = _replace(_replace(part.copy(), ESCAPE, ESCAPE * 2), SEPARATOR, ESCAPE + SEPARATOR)
        text = trees.coalesce(escaped, trees.text(NULL))
        found = text if found is None else _concat(_concat(found, trees.text(SEPARATOR)), text)
    assert found is not None
    return found


def any_part(key: Sequence[exp.Expr]) -> exp.Expr:
    """Something where any part of the key is given, else NULL: a row whose whole key is NULL has no identity."""
    parts = [part.unalias().copy() for part in key]
    return parts[0] if len(parts) == 1 else trees.coalesce(parts[0], *parts[1:])


def same_key(left: str, right: str, names: Sequence[str]) -> exp.Expr:
    """The columns of both aliases are the same; in a key of several parts NULL is the same as NULL."""
    compare = trees.equal if len(names) == 1 else trees.same
    return trees.all_of(compare(trees.column(name, left), trees.column(name, right)) for name in names)


def _concat(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return exp.DPipe(this=left, expression=right)


def _replace(value: exp.Expr, old: str, new: str) -> exp.Expr:
    return exp.Replace(this=value, expression=trees.text(old), replacement=trees.text(new))
