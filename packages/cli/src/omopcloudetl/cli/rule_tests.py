"""Shows what became of rule tests: a line for each mapping, and of a test that failed the rows that differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import click

from omopcloudetl.cli.output import plural, printable
from omopcloudetl.core.rule_tests.report import (
    QUARANTINED,
    Difference,
    RuleTestReport,
    RuleTestResult,
    Value,
)

INDENT = "    "
FIRST_COLUMNS = 2
COLOURS = {"-": "red", "+": "green"}
STATES: dict[str, dict[str, Any]] = {"passed": {"fg": "green"}, "failed": {"fg": "red", "bold": True}}


def show_report(report: RuleTestReport, *, verbose: bool) -> None:
    """The mappings that were tested, the tests that failed, and the sum of it."""
    names = [result.mapping for result in report.results]
    width = max(map(len, names), default=0)
    for mapping, grouped in groupby(report.results, key=lambda result: result.mapping):
        results = list(grouped)
        click.echo(f"{mapping:<{width}}  {_counts(results)}  {_time(sum(result.seconds for result in results))}")
        for result in results:
            if verbose or not result.passed:
                _show_result(result)
    if report.untested and len(report.untested) <= len(set(names)):
        click.echo(f"without tests: {', '.join(report.untested)}")
    elif report.untested:
        click.echo(f"{plural(len(report.untested), 'mapping')} without tests")
    tests = f"{plural(len(names), 'test')} of {plural(len(set(names)), 'mapping')}"
    click.echo(f"{tests}: {_counts(report.results)} in {_time(report.seconds)}")


def _counts(results: list[RuleTestResult] | tuple[RuleTestResult, ...]) -> str:
    failed = sum(not result.passed for result in results)
    parts = [click.style(f"{failed} failed", **STATES["failed"])] if failed else []
    return ", ".join([*parts, f"{len(results) - failed} passed"])


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s"


def _show_result(result: RuleTestResult) -> None:
    mark = click.style(result.state, **STATES[result.state])
    click.echo(f"  {mark} {printable(result.name)}  ({result.file}:{result.line})")
    if result.error is not None:
        for line in printable(result.error).splitlines():
            click.echo(f"{INDENT}{line}")
    for difference in result.differences:
        _show_difference(difference)


def _show_difference(difference: Difference) -> None:
    """The rows of a table that differ, as a table of their own: `-` is expected, `+` is what there is."""
    missing = sum(pair.expected is not None for pair in difference.pairs)
    unexpected = sum(pair.found is not None for pair in difference.pairs)
    counts = [(difference.equal, "as expected"), (missing, "missing"), (unexpected, "not expected")]
    said = ", ".join(f"{count} {words}" for count, words in counts if count)
    where = "set aside" if difference.table == QUARANTINED else difference.table
    click.echo(f"{INDENT}{where}: {said}")
    columns = _columns(difference)
    lines = list(_lines(difference, columns))
    widths = [max(len(cells[i]) for _, cells, _ in lines) for i in range(len(columns) - 1)]
    for mark, cells, differs in lines:
        padded = [f"{cell:<{width}}" for cell, width in zip(cells, [*widths, 0], strict=True)]
        shown = (
            click.style(cell, bold=True) if name in differs else cell
            for name, cell in zip(columns, padded, strict=True)
        )
        click.echo(f"{INDENT}{click.style(mark, fg=COLOURS.get(mark))} {'  '.join(shown)}".rstrip())


def _columns(difference: Difference) -> tuple[str, ...]:
    """All columns where a row stands alone; else those that differ, and the first two, which tell rows apart."""
    if any(pair.expected is None or pair.found is None for pair in difference.pairs):
        return difference.columns
    differ = {*difference.columns[:FIRST_COLUMNS], *(name for pair in difference.pairs for name in pair.columns)}
    return tuple(name for name in difference.columns if name in differ)


def _lines(difference: Difference, columns: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Mark, cells, and the columns in which the two rows of a pair differ."""
    yield " ", columns, ()
    for pair in difference.pairs:
        alone = pair.expected is None or pair.found is None
        for mark, row in (("-", pair.expected), ("+", pair.found)):
            if row is not None:
                yield mark, tuple(_cell(row, name) for name in columns), () if alone else pair.columns


def _cell(row: Mapping[str, Value], name: str) -> str:
    """A value as a test would hold it; nothing where the test does not list the column."""
    if name not in row:
        return ""
    match row[name]:
        case None:
            return "null"
        case bool() as value:
            return str(value).lower()
        case int() | float() as value:
            return str(value)
        case str() as value:
            return printable(value) if value else '""'
        case value:
            return printable("{" + ", ".join(f"{key}: {_part(part)}" for key, part in value.items()) + "}")


def _part(part: object) -> str:
    return str(part) if isinstance(part, str | int | float) else json.dumps(part, ensure_ascii=False)
