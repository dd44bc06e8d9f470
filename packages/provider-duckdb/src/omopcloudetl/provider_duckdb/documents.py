"""Reads JSON: which keys its objects have, what is wrong with them, and their values as delivered text.

The engine's own JSON reader guesses columns from a sample and rounds numbers to doubles. So objects are
read as text, by line for `ndjson`, and their values are taken out by name.
"""

from __future__ import annotations

from collections.abc import Sequence

from omopcloudetl.core.errors import LoadError, StatementError
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_duckdb import textfile
from omopcloudetl.provider_duckdb.datafiles import DataFile, FileGroup, Session
from omopcloudetl.provider_duckdb.problems import explained
from omopcloudetl.provider_duckdb.readers import MAX_RECORD, lines_reader
from omopcloudetl.provider_duckdb.sql import FILE_COLUMN, TEXT, FileColumn, identifier, literal, literals
from omopcloudetl.provider_duckdb.unfinished import CUT_OFF, ends_within

NOT_BLANK = r"line IS NOT NULL AND NOT regexp_full_match(line, '\s*')"
_FOLDED = "list_transform(json_keys(line), lambda key: lower(trim(key)))"
PROBLEM = (
    "CASE WHEN NOT json_valid(line) THEN 'it is not well-formed JSON'"
    " WHEN json_type(line) <> 'OBJECT' THEN 'it is not an object'"
    f" WHEN len({_FOLDED}) <> len(list_distinct({_FOLDED}))"
    " THEN 'it has a key twice (case does not matter)' END"
)
"""What is wrong with the object in a line; NULL if nothing is."""

# Numbers that the engine would spell differently: exponents, zeros at the end or after the point,
# many digits. A string that looks so does no harm.
ODD_NUMBER = r"[0-9][eE]|\.[0-9]*0(?:[^0-9]|$)|\.000|[0-9.]{16}|-0"
# Every string of an object, with the number behind its colon; or a number behind a bracket or comma.
TOKENS = r'("(?:[^"\\]|\\.)*"\s*:\s*|[\[,]\s*|"(?:[^"\\]|\\.)*")(-?[0-9][0-9.eE+-]*)?'
# Marks numbers: as itself it stands in no JSON, and as an escape in no text worth keeping.
MARK = "chr(29)"
MARK_READ, MARK_WRITTEN = r"\u001d", r"\u001D"


def layout_of(session: Session, file: DataFile, load: BulkLoadStep) -> str:
    """The engine's word for how the objects of a file follow each other; empty for what is not `json`.

    Raises `LoadError` for an array without its end: the engine takes one that is cut off behind a comma for whole.
    """
    if load.format != "json":
        return ""
    first, last = textfile.read_ends(file.path, file.label) if file.is_plain else _ask_for_ends(session, file)
    if not first:
        raise LoadError(f"{file.label} is empty; it must hold an array of objects or one object a line")
    if first == "[" and last != "]":
        raise LoadError(f"{file.label}: the array has no end; the file is cut off")
    return "array" if first == "[" else "auto"


def columns_of(session: Session, file: DataFile, load: BulkLoadStep, layout: str) -> tuple[FileColumn, ...]:
    """The keys of all objects of a file, in alphabetical order; raises `LoadError` for what is no object."""
    source = objects([file.pattern], load, layout)
    if load.rejects is not None:  # what is no object is rejected later
        lines = lines_reader([file.pattern], load.text.encoding, more={"ignore_errors": "true"})
        source = f"(SELECT line FROM {lines} WHERE {NOT_BLANK} AND {PROBLEM} IS NULL)"
    query = (
        f"WITH found AS (SELECT DISTINCT CASE WHEN {PROBLEM} IS NULL THEN json_keys(line) END AS keys FROM {source})"
        " SELECT list_sort(list_distinct(flatten(list(keys)))), COALESCE(bool_or(keys IS NULL), false) FROM found"
    )
    try:
        names, is_malformed = session.fetch(query, limit=1)[0]
        if is_malformed:
            raise LoadError(_first_problem(session, file, load, layout))
    except StatementError as error:
        raise LoadError(explained(error, {file.path: file.label})) from error
    return fold_keys([str(key) for key in names] if isinstance(names, list) else [])


def fold_keys(keys: Sequence[str]) -> tuple[FileColumn, ...]:
    """The columns that keys make; those that differ in case only are one."""
    spellings: dict[str, list[str]] = {}
    for key in keys:
        spellings.setdefault(key.strip().lower() or "column_1", []).append(key)
    return tuple(FileColumn(name, name, TEXT, tuple(found)) for name, found in sorted(spellings.items()))


def objects(paths: Sequence[str], load: BulkLoadStep, layout: str, *, with_file: bool = False) -> str:
    """A query, in brackets, for the text of each object, named `line`."""
    more = f", {identifier(FILE_COLUMN)}" if with_file else ""
    if load.format == "ndjson":
        source = lines_reader(paths, load.text.encoding, with_file=with_file)
        # Where records may be rejected, the first pass over a file let them be.
        check = f" AND CASE WHEN {PROBLEM} IS NULL THEN true ELSE error('malformed') END" if load.rejects else ""
        return f"(SELECT line{more} FROM {source} WHERE {NOT_BLANK}{check})"
    options = f"format={literal(layout)}, maximum_object_size={MAX_RECORD}, hive_partitioning=false"
    options += f", filename={literal(FILE_COLUMN)}" if with_file else ""
    return f"(SELECT json::VARCHAR AS line{more} FROM read_json_objects({literals(paths)}, {options}))"


def reader(group: FileGroup, load: BulkLoadStep, *, with_file: bool = False) -> str:
    """A query, in brackets, for the objects of files: a text for each column, NULL where it is null or absent."""
    source = objects(group.patterns, load, group.layout, with_file=with_file)
    return values_of(source, group.columns, kept=[identifier(FILE_COLUMN)] if with_file else [])


def values_of(source: str, columns: Sequence[FileColumn], *, kept: Sequence[str] = ()) -> str:
    """A query, in brackets, for the values of the objects that are the lines of a source, and what is kept of it."""
    pointers: list[str] = []
    picked = list(kept)
    for column in columns:
        places = range(len(pointers) + 1, len(pointers) + len(column.keys) + 1)
        pointers += [_pointer(key) for key in column.keys]
        found = ", ".join(f"found[{place}]" for place in places)
        picked.append(f"COALESCE({found}) AS {identifier(column.name)}")
    values = ", ".join([f"{_values(pointers)} AS found", *kept])
    return f"(SELECT {', '.join(picked) or 'found'} FROM (SELECT {values} FROM {source}))"


def _values(pointers: Sequence[str]) -> str:
    """The values of an object as texts, in the order of the pointers; numbers keep their spelling.

    The engine spells 1.10 as 1.1. So in objects with such numbers each number becomes a marked string,
    and the marks are taken away again.
    """
    if not pointers:
        return "NULL"
    paths = literals(pointers)
    tokens = rf"regexp_replace(line, {literal(TOKENS)}, '\1' || {MARK} || '\2' || {MARK}, 'g')"
    numbers = f"{MARK} || '([^' || {MARK} || ']+)' || {MARK}"
    as_string = rf"""'"\{MARK_READ}\1\{MARK_READ}"'"""
    marked = f"regexp_replace(replace({tokens}, {MARK} || {MARK}, ''), {numbers}, {as_string}, 'g')"
    bare = f"""replace(replace(replace(value, '"{MARK_WRITTEN}', ''), '{MARK_WRITTEN}"', ''), {MARK}, '')"""
    kept = f"list_transform(json_extract_string({marked}, {paths}), lambda value: {bare})"
    is_odd = f"regexp_matches(line, {literal(ODD_NUMBER)}) AND NOT contains(lower(line), '{MARK_READ}')"
    return f"CASE WHEN {is_odd} THEN {kept} ELSE json_extract_string(line, {paths}) END"


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _first_problem(session: Session, file: DataFile, load: BulkLoadStep, layout: str) -> str:
    """Where and why a file's objects cannot be read; the object itself is left out: it is patient data."""
    if load.format == "ndjson":
        source = lines_reader([file.pattern], load.text.encoding, parallel=False)
        word, condition = "line", NOT_BLANK
    else:
        source, word, condition = objects([file.pattern], load, layout), "object", "true"
    query = (
        f"SELECT number, problem, line FROM (SELECT number, line, {PROBLEM} AS problem"
        f" FROM (SELECT row_number() OVER () AS number, line FROM {source}) WHERE {condition})"
        " WHERE problem IS NOT NULL ORDER BY number LIMIT 1"
    )
    number, problem, line = session.fetch(query, limit=1)[0]
    is_cut_off = load.format == "ndjson" and ends_within(file, str(line), load.text.encoding)
    return f"{file.label}, {word} {number}: {problem}" + (f"; {CUT_OFF}" if is_cut_off else "")


def _ask_for_ends(session: Session, file: DataFile) -> tuple[str, str]:
    """The first and the last letter of a file that only the engine can unpack."""
    bare = "trim(line, ' ' || chr(9) || chr(10) || chr(13))"
    lines = f"SELECT {bare} AS line, row_number() OVER () AS number"
    source = f"({lines} FROM {lines_reader([file.pattern], 'utf-8', parallel=False)} WHERE {NOT_BLANK})"
    try:
        ends = session.fetch(f"SELECT left(min_by(line, number), 1), right(max_by(line, number), 1) FROM {source}")[0]
    except StatementError as error:
        problem = explained(error, {file.path: file.label})
        raise LoadError(f"{problem}; the end of such a file cannot be looked at: deliver it as ndjson") from error
    return str(ends[0] or ""), str(ends[1] or "")
