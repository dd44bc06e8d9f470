"""Turns the engine's words about a file into a sentence that names the file and the line."""

from __future__ import annotations

import re
from collections.abc import Mapping

from omopcloudetl.core.errors import StatementError
from omopcloudetl.provider_duckdb.readers import MAX_RECORD
from omopcloudetl.provider_duckdb.remote import explained_remote, without_credentials
from omopcloudetl.provider_duckdb.ways_out import SurroundingsError

CSV_ERROR = re.compile(r"CSV Error on Line: (\d+)")
CSV_FILE = re.compile(r"^\s*file = (.*)$", re.MULTILINE)
JSON_ERROR = re.compile(r'Malformed JSON in file "(.*)", at byte \d+ in [\w/]+ \d+: (.*?)\.? *$', re.MULTILINE)
NO_PARQUET = re.compile(
    r"No magic bytes found at (?:end|beginning) of file '(.*)'|File '(.*)' too small to be a Parquet file"
)
# Behind it the engine quotes what it was given.
INPUT = re.compile(r"\s+Input: \"")
ENCODING = re.compile(r"File is not ([\w-]+) encoded")
# What the engine says of a file that mixes \n, \r\n and \r.
INVALID_STATE = "state machine reached an invalid state"
CSV_HINTS = re.compile(r"\nPossible (?:fixes|[Ss]olutions?)")
# What the engine says, and what we say; the offending line itself is left out: it is patient data.
REASONS = (
    (
        re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)"),
        r"\2 values where the header has \1",
    ),
    (
        re.compile(r"unterminated quote"),
        "a quoted value does not end, or goes on after its closing quote",
    ),
    (re.compile(r"Invalid unicode"), "it is not UTF-8; if it is Latin-1, say `encoding: latin-1`"),
    (re.compile(r"Maximum line size"), f"it is longer than {MAX_RECORD // 1_000_000} MB"),
)


def is_about_csv(error: StatementError) -> bool:
    """Whether the reader of delimited text gave up, as opposed to a cast or a constraint."""
    words = engine_words(error)
    return "CSV Error" in words or "CSV Reader" in words


def engine_words(error: StatementError) -> str:
    """What the engine said."""
    return str(error.__cause__ or error)


def explained(error: StatementError, labels: Mapping[str, str], *, has_header: bool = True) -> str:
    """File, line and reason; `labels` gives the user's name of each path."""
    if isinstance(error, SurroundingsError):  # the files are as good as any
        return error.told
    words = engine_words(error)
    about_remote = explained_remote(words, labels)
    if about_remote:
        return about_remote
    return without_credentials(_explained(words, labels, has_header=has_header))


def _explained(words: str, labels: Mapping[str, str], *, has_header: bool) -> str:
    place = CSV_ERROR.search(words)
    if place is None:
        not_json = JSON_ERROR.search(words)
        if not_json:
            return f"{labels.get(not_json[1], not_json[1])}: it is not well-formed JSON: {not_json[2]}"
        no_parquet = NO_PARQUET.search(words)
        if no_parquet:
            path = no_parquet[1] or no_parquet[2]
            return f"{labels.get(path, path)}: it is no Parquet file, or cut off: its end is missing; deliver it again"
        encoding = ENCODING.search(words)
        if encoding:
            way_out = "convert it to UTF-8 if it is of a kind that Windows alone has"
            return f"{_one_of(labels)}: it is not {encoding[1]}; {way_out}"
        if INVALID_STATE in words:
            return f"{_file_of(words, labels)}: its lines end in several ways, or quotes stand where none may"
        words = INPUT.split(words)[0].split("\n\nLINE ")[0].strip()
        return _with_labels(words, labels)
    said = CSV_HINTS.split(words[place.end() :])[0].rstrip()
    reason = _reason(said)
    if not has_header:
        reason = re.sub(r"the header has (\d+)$", r"\1 columns are declared", reason)
    line = f"line {place[1]} (line breaks inside quotes not counted)"
    return f"{_file_of(words, labels)}, {line}: {reason}"


def _file_of(words: str, labels: Mapping[str, str]) -> str:
    named = CSV_FILE.search(words)
    path = named[1] if named else ""
    return labels.get(path, path)


def _reason(said: str) -> str:
    for pattern, words in REASONS:
        found = pattern.search(said)
        if found:
            return found.expand(words)
    return said.rsplit("\n", 1)[-1]


def _with_labels(text: str, labels: Mapping[str, str]) -> str:
    told = text
    for path, label in labels.items():
        told = told.replace(path, label)
    unnamed = told == text and labels and text.startswith("IO Error: ")
    return f"{_one_of(labels)}: {text.removeprefix('IO Error: ')}" if unnamed else told


def _one_of(labels: Mapping[str, str]) -> str:
    return next(iter(labels.values())) if len(labels) == 1 else "one of the files"
