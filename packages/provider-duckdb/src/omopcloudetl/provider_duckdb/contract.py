"""Holds the columns of files against what the workflow, its rules and the table demand of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.models.loads import LogicalType
from omopcloudetl.core.plan import BulkLoadStep, LoadColumn
from omopcloudetl.provider_duckdb.datafiles import FileGroup
from omopcloudetl.provider_duckdb.sql import TEXT, FileColumn, TableColumn, literal

DELIMITERS = {";": ";", ",": ",", "\t": r"\t", "|": "|"}
"""Usual delimiters, and how each is written in YAML between double quotes."""
NUMBERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$|FLOAT$|DOUBLE$|DECIMAL\(")
TIMES = re.compile(r"DATE$|TIMESTAMP")
DECIMAL = re.compile(r"DECIMAL\(\d+,(\d+)\)$")
SMALL = {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}
LARGE = {"UBIGINT", "HUGEINT", "UHUGEINT"}
FLOATS = {"FLOAT", "DOUBLE"}
# Beyond it, a double does not hold every whole number.
LARGEST_EXACT = 2**53


def refuse_other_table(load: BulkLoadStep, groups: Sequence[FileGroup], table: Sequence[TableColumn]) -> None:
    """Raise if a table that must be there is not, or has no column of the files."""
    name, label = ".".join(load.table), groups[0].files[0].label
    if not table:
        raise LoadError(f"the table {name} does not exist; {label} cannot be loaded")
    names = {column.name.lower() for column in table}
    if not any(column.name in names for group in groups for column in group.columns):
        raise LoadError(f"{label} has no column of the table {name}, which has {', '.join(sorted(names))}")


def refuse_broken_contract(load: BulkLoadStep, groups: Sequence[FileGroup], table: Sequence[TableColumn]) -> None:
    """Raise one error for every column that is missing in any file, or of a type that nobody can read."""
    required = [column.name.lower() for column in table if column.required]
    problems = [
        f"{file.label} {problem}"
        for group in groups
        for file in group.files
        for problem in (*_missing(group, load, required), *_of_other_type(group, load.columns))
    ]
    if not any(group.columns for group in groups) and not load.columns:
        problems.append(f"{groups[0].files[0].label} holds no object, and no columns are declared: nothing names any")
    if problems:
        raise LoadError("\n".join(problems))


def _missing(group: FileGroup, load: BulkLoadStep, required: Iterable[str]) -> Iterator[str]:
    names = {column.name for column in group.columns}
    if load.format in {"json", "ndjson"} and not names:
        return  # without objects there are no rows that lack anything
    readers = dict.fromkeys(required, f"the table {'.'.join(load.table)}")
    for column in load.columns:
        if column.needed_by and not column.optional:
            readers[column.name.lower()] = column.needed_by
    others = {column.name.lower(): column.other_names for column in load.columns}
    other = _other_delimiter(group, load)
    if other is not None and len(readers) > 1:
        yield f"has one column, whose name holds '{other}': say `delimiter: \"{other}\"` if that is between its values"
        return
    for name, reader in readers.items():
        if name not in names:
            near = get_close_matches(name, names - readers.keys(), n=1)
            hint = f"; it has '{near[0]}'" if near else ""
            instead = f" ({' or '.join(map(repr, others[name]))} would do)" if others.get(name) else ""
            yield f"has no column '{name}'{instead}, which {reader} needs{hint}"


def _other_delimiter(group: FileGroup, load: BulkLoadStep) -> str | None:
    """What is likely to be the delimiter of a file that has but one column with the load's."""
    if load.format != "csv" or load.text.names or len(group.columns) != 1:
        return None
    name = group.columns[0].name
    if name.startswith(("{", "[")):
        return None  # it is JSON
    found = max(DELIMITERS, key=name.count)
    return DELIMITERS[found] if found in name else None


def _of_other_type(group: FileGroup, columns: Iterable[LoadColumn]) -> Iterator[str]:
    declared = {column.name.lower(): column for column in columns if column.type}
    for column in group.columns:
        wanted = declared.get(column.name)
        if wanted is not None and wanted.type is not None and not _is_readable(column.type, wanted.type):
            needed = f", which {wanted.needed_by} needs" if wanted.needed_by else ""
            yield f"holds the column '{column.name}' as {column.type}, not as the declared {wanted.type}{needed}"


def _is_readable(stored: str, declared: LogicalType) -> bool:
    """Whether the engine has a way from a stored type to a declared one."""
    if stored == TEXT or declared == "text":
        return True
    match declared:
        case "integer" | "number" | "boolean":
            return _is_number(stored) or stored == "BOOLEAN"
        case "date" | "timestamp":
            return _is_time(stored)


def united_types(groups: Sequence[FileGroup]) -> dict[str, str]:
    """The type of each column that files hold in different types; raises `LoadError` where there is none."""
    held: dict[str, dict[str, str]] = {}
    for group in groups:
        for column in group.columns:
            held.setdefault(column.name, {}).setdefault(column.type, group.files[0].label)
    return {name: _united(name, types) for name, types in held.items() if len(types) > 1}


def _united(name: str, types: dict[str, str]) -> str:
    if all(map(_is_number, types)):
        return _united_numbers(types)
    if all(map(_is_time, types)):
        return "TIMESTAMP" if all("ZONE" not in type_ for type_ in types) else "TIMESTAMP WITH TIME ZONE"
    if TEXT in types and not any(_is_nested(type_) for type_ in types):
        return TEXT
    found = ", ".join(f"as {type_} in {label}" for type_, label in types.items())
    raise LoadError(f"the files hold the column '{name}' in types that do not go together: {found}")


def _united_numbers(types: Iterable[str]) -> str:
    scales = [int(found[1]) for found in map(DECIMAL.match, types) if found]
    if not FLOATS.isdisjoint(types):
        return "DOUBLE"
    if scales:
        return f"DECIMAL(38,{max(scales)})"
    return "BIGINT" if LARGE.isdisjoint(types) else "HUGEINT"


def as_united(value: str, column: FileColumn, type_: str) -> str:
    """The value in the type that all files' values have room in; one that a double would round is an error."""
    cast = f"CAST({value} AS {type_})"
    if type_ != "DOUBLE" or column.type in SMALL | FLOATS:
        return cast
    about = f"{column.name}: a whole number beyond {LARGEST_EXACT} beside a file with doubles"
    return f"CASE WHEN abs({value}) > {LARGEST_EXACT} THEN error({literal(about)}) ELSE {cast} END"


def _is_number(type_: str) -> bool:
    return NUMBERS.match(type_) is not None and not _is_nested(type_)


def _is_time(type_: str) -> bool:
    return TIMES.match(type_) is not None and not _is_nested(type_)


def _is_nested(type_: str) -> bool:
    return type_.endswith("]") or type_.startswith(("STRUCT", "MAP", "UNION", "BLOB"))
