"""Finds how each table of the CDM lies in its files, and what is wrong with what a target says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from omopcloudetl.core.capabilities import Capability
from omopcloudetl.core.compiler.compilation import Compilation
from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.files.validation import close_match
from omopcloudetl.core.generator import BaseSQLGenerator
from omopcloudetl.core.models.layout import Layout, Partition, TableLayout
from omopcloudetl.core.models.project import ResolvedTarget
from omopcloudetl.core.specification.models import CdmSpecification, CdmTable

PERSON = "person_id"
_TIMES = ("date", "datetime", "timestamp")
_AT = ("layout", "tables")


def check_layout(compilation: Compilation) -> None:
    """Note what is wrong with the target's layout; without a mistake its tables are laid out."""
    target = compilation.project.target
    problems = list(layout_problems(target, compilation.specification, compilation.generator))
    compilation.problems += problems
    if not problems:
        compilation.layouts = table_layouts(target.layout, compilation.specification)


def table_layouts(layout: Layout, specification: CdmSpecification) -> dict[str, TableLayout]:
    """Table → how it lies, for those that are not just left as they are written."""
    given = {table.name: _by_default(layout, table) for table in specification.in_schema("cdm")} | layout.tables
    return {name: found for name, found in given.items() if found.partition or found.cluster}


def layout_problems(
    target: ResolvedTarget, specification: CdmSpecification, generator: BaseSQLGenerator
) -> Iterator[Diagnostic]:
    """What is wrong with a target's layout: names, types, and what the engine cannot do."""
    support = generator.support(Capability.TABLE_LAYOUT)
    if target.layout != Layout() and support.level != "full":
        help_ = "leave `layout:` out of this target; `layout: {}` undoes what it inherits"
        message = f"tables of {target.provider} are not laid out: {support.reason}"
        yield Diagnostic("unsupported", message, target.at("layout"), help=help_)
        return
    for name, layout in target.layout.tables.items():
        table = specification.by_name.get(name)
        if table is None:
            yield _unknown_table(target, name, tuple(specification.by_name))
            continue
        of_fields = [
            *_unknown_fields(target, table, layout),
            *_no_times(target, table, layout),
            *_named_twice(target, table, layout),
        ]
        yield from of_fields
        for part, problem in generator.layout_problems(layout) if not of_fields else ():
            yield Diagnostic("unsupported", f"{name}: {problem}", target.at(*_AT, name, part))


def _by_default(layout: Layout, table: CdmTable) -> TableLayout:
    """Rows of one person near each other, then those of one time; nothing of what has no person."""
    if layout.by == "nothing" or PERSON not in table.by_name:
        return TableLayout()
    day = next((field.name for field in table.fields if field.required and field.type in _TIMES), None)
    if layout.by == "person":
        return TableLayout(cluster=(PERSON, day) if day else (PERSON,))
    return TableLayout(cluster=(day, PERSON) if day else ())


def _unknown_table(target: ResolvedTarget, name: str, known: tuple[str, ...]) -> Diagnostic:
    near = close_match(name, known)
    help_ = "name a table of the CDM, without its schema; other tables are not laid out"
    where = target.at(*_AT, name)
    return Diagnostic(
        "unknown-table", f"the CDM has no table '{name}'", where, found=name, allowed=known, suggestion=near, help=help_
    )


def _unknown_fields(target: ResolvedTarget, table: CdmTable, layout: TableLayout) -> Iterator[Diagnostic]:
    known = tuple(table.by_name)
    named = [("partition", part.column) for part in layout.partitions] + [("cluster", name) for name in layout.cluster]
    for part, name in named:
        if name not in known:
            message, near = f"{table.name} has no field '{name}'", close_match(name, known)
            where = target.at(*_AT, table.name, part)
            yield Diagnostic("unknown-field", message, where, found=name, allowed=known, suggestion=near)


def _no_times(target: ResolvedTarget, table: CdmTable, layout: TableLayout) -> Iterator[Diagnostic]:
    """Only days and times have years; other fields are divided into buckets."""
    for part in layout.partitions:
        field = table.by_name.get(part.column)
        if field is not None and part.transform in {"year", "month", "day"} and field.type not in _TIMES:
            message = f"{_written(part)} is of a date, and {table.name}.{field.name} is of type {field.type}"
            help_ = f"write bucket(64, {field.name}), or take a date"
            where = target.at(*_AT, table.name, "partition")
            yield Diagnostic("invalid-value", message, where, found=_written(part), help=help_)


def _named_twice(target: ResolvedTarget, table: CdmTable, layout: TableLayout) -> Iterator[Diagnostic]:
    """A second mention of a column, or another number of its buckets, means nothing, and engines refuse it."""
    partitions = [_written(part) if part.transform else part.column for part in layout.partitions]
    for key, named in (("partition", partitions), ("cluster", layout.cluster)):
        for name, times in Counter(named).items():
            if times > 1:
                message, where = f"{key} of {table.name} names {name} twice", target.at(*_AT, table.name, key)
                yield Diagnostic("invalid-value", message, where, found=name, help="name it once")


def _written(part: Partition) -> str:
    return f"{part.transform}({part.column})"
