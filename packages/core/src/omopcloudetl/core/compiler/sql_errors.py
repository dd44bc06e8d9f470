"""Says what is wrong with an author's SQL: sqlglot's complaints in plain words, and what no rule may hold."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from omopcloudetl.core.errors import Position
from omopcloudetl.core.files.spans import as_word

_MISSING = re.compile(r"Missing (?P<mark>\S+) from \d+:(?P<start>\d+)")
_TEXT = re.compile(r"'[^']*'")
_NO_CODE = re.compile(r"'[^']*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_TEMPLATE = re.compile(r"\{\{|\{%")
_CLOSES = {"/*": "*/", "(": ")", "[": "]", "{": "}"}
UNREADABLE = (ParseError, TokenError, RecursionError, TypeError, AttributeError, ValueError, LookupError)
"""What sqlglot's parser raises for SQL that it cannot read: `x ->` is a TypeError of its own."""
DEEPEST = 1_000
"""Levels of brackets and CASE that are parsed; the parser has no limit of its own, and some Pythons die of 5,000."""
_LEVELS = re.compile(r"(?P<opens>[(\[{]|\bcase\b)|[)\]}]|\bend\b", re.IGNORECASE)
TOO_DEEP = "it is nested too deeply"
DEEP_HELP = "compute a part of it in a `sql` step, and read the table that it makes"


@dataclass(frozen=True)
class SqlProblem:
    """A mistake in SQL and where it is in its text; lines and columns count from 1."""

    message: str
    line: int = 1
    column: int = 1
    near: str = ""
    """The word or mark at that place."""
    help: str = "compare it with DuckDB's SQL; a name that is a word of SQL needs double quotes"

    def piece(self, sql: str) -> tuple[str, int] | None:
        """`near`, and which of its occurrences in the text is meant, from 0."""
        if not self.near:
            return None
        before = sum(len(line) for line in sql.splitlines(keepends=True)[: self.line - 1]) + self.column - 1
        return _piece(sql, before, before + len(self.near))


@dataclass(frozen=True)
class Excerpt:
    """An author's SQL and the place of its file where it stands, so that a name in it can be pointed at."""

    sql: str
    position: Position

    def piece(self, *names: object) -> tuple[str, int] | None:
        """What stands from the first to the last of some names, as the parser read it, and which occurrence."""
        places = [name.meta for name in names if isinstance(name, exp.Identifier) and "start" in name.meta]
        if not places:
            return None
        return _piece(self.sql, min(place["start"] for place in places), max(place["end"] for place in places) + 1)

    def variable(self, name: str) -> tuple[str, int] | None:
        """The first use of a variable, of which the parser keeps no place."""
        start = variable_start(self.sql, name)
        return None if start is None else _piece(self.sql, start, start + len(name))


def variable_start(sql: str, name: str) -> int | None:
    """Where the name of the first `:name` or `$name` begins that is no part of a text or a comment."""
    code = _NO_CODE.sub(lambda found: " " * len(found[0]), sql)
    found = re.search(rf"[:$]{re.escape(name)}(?!\w)", code)
    return found.start() + 1 if found else None


def _piece(sql: str, start: int, end: int) -> tuple[str, int]:
    """A part of a text, and which of its occurrences as a word it is, from 0."""
    text = sql[start:end]
    return text, len(as_word(text).findall(sql, 0, start))


def check_depth(sql: str) -> None:
    """Raises `RecursionError` for SQL that is nested so deeply that it must not reach the parser."""
    depth = 0
    for mark in _LEVELS.finditer(_NO_CODE.sub(" ", sql)):
        depth = depth + 1 if mark["opens"] else max(depth - 1, 0)
        if depth > DEEPEST:
            raise RecursionError


def syntax_problem(error: Exception, sql: str) -> SqlProblem:
    """What sqlglot could not read."""
    if isinstance(error, RecursionError):
        return SqlProblem(TOO_DEEP, help=DEEP_HELP)
    if isinstance(error, TokenError):
        return _token_problem(error, sql)
    if not isinstance(error, ParseError):
        return SqlProblem("something is missing in it")
    details = error.errors[0] if error.errors else {}
    near = str(details.get("highlight") or "")
    message = str(details.get("description") or error)
    message = message.partition(" for <class")[0].partition(" but got <Token")[0].rstrip(".")
    if message.startswith("Required keyword"):
        message = "something is missing"
    elif message.startswith("Invalid expression"):
        message = "this is not expected here"
    elif message.startswith("No expression was parsed"):
        return SqlProblem("there is no value in it", help="write a value, such as p.id")
    end = int(details.get("col") or 1)
    column = max(end - len(near) + 1, 1)
    return SqlProblem(f"{message}, near '{near}'" if near else message, int(details.get("line") or 1), column, near)


def _token_problem(error: TokenError, sql: str) -> SqlProblem:
    # The cause is only in the error that sqlglot replaces by one without a place: the mark that is
    # never closed, and how many characters stand before it.
    missing = _MISSING.search(str(error.__context__ or ""))
    mark = missing["mark"] if missing else "/*"
    start = int(missing["start"]) if missing else max(sql.rfind(mark), 0)
    before = sql[:start]
    message = f"what begins with {mark} is not closed"
    help_ = f"close it with {_CLOSES.get(mark, mark)}"
    return SqlProblem(message, before.count("\n") + 1, start - before.rfind("\n"), mark, help_)


def template_mark(sql: str) -> int | None:
    """Where the text has a mark of a template language, which would otherwise be read as a struct."""
    mark = _TEMPLATE.search(_TEXT.sub(lambda text: " " * len(text[0]), sql))
    return mark.start() if mark else None


def row_level_problem(tree: exp.Expr, *, windows: bool = True) -> tuple[str, str] | None:
    """What a rule for one row may not hold, and what to do: all columns at once, or an aggregate of many rows.

    Without `windows` it may not look at other rows at all: it chooses rows, or tells one from another.
    """
    for star in tree.find_all(exp.Star):
        if not isinstance(star.parent, exp.Count) and star.find_ancestor(exp.Query) is None:
            return "a rule names its columns; '*' is all of them", "name one column"
    for aggregate in tree.find_all(exp.AggFunc):
        if aggregate.find_ancestor(exp.Query, exp.Window) is None:
            return "a rule is about one row, an aggregate about many", "write a subquery, or OVER (…) behind it"
    for window in () if windows else tree.find_all(exp.Window):
        if window.find_ancestor(exp.Query) is None:
            message = "conditions, keys and codes are there before OVER (…) looks at the rows"
            return message, "compute it in a `sql` step, and read the table that it makes"
    return None
