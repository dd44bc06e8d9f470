"""Builds the statements of a load: what makes room, `COPY`, and the way around columns that a table does not have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_postgres.datafiles import FileColumns, encoding_name
from omopcloudetl.provider_postgres.sql import TableColumn, identifier, literal, names, qualified

TEXT = 'TEXT COLLATE "C"'
TEXTS = ("text", "character varying", "character")
NO_QUOTE = "\x01"
"""`COPY` needs a quote; in files that quote nothing it is a control character that stands in no text."""
ASIDE = ("pg_temp", "omopcloudetl_load")


@dataclass(frozen=True)
class Wanted:
    """Which of a file's columns go into the table, all of its columns, and those of the table with their types."""

    names: tuple[str, ...]
    every: tuple[str, ...]
    table: tuple[TableColumn, ...] = ()

    @property
    def is_direct(self) -> bool:
        """Whether the table has every column of the file."""
        return self.names == self.every

    @property
    def before(self) -> list[str]:
        """What makes a table of the session for a file that has more columns."""
        if self.is_direct:
            return []
        kept = {column.name: column.type for column in self.table}
        columns = ", ".join(f"{identifier(name)} {kept.get(name, TEXT)}" for name in self.every)
        return [f"CREATE TEMPORARY TABLE {identifier(ASIDE[1])} ({columns}) ON COMMIT DROP"]

    def copy(self, load: BulkLoadStep) -> str:
        """`COPY table (columns)`, without where from."""
        return f"COPY {qualified(load.table if self.is_direct else ASIDE)} ({names(self.every)})"

    def after(self, load: BulkLoadStep) -> list[str]:
        """What brings the columns that are wanted from there."""
        if self.is_direct:
            return []
        listed = names(self.names)
        return [
            f"INSERT INTO {qualified(load.table)} ({listed}) SELECT {listed} FROM {qualified(ASIDE)}",
            f"DROP TABLE {qualified(ASIDE)}",
        ]


def wanted(one: FileColumns, table: Sequence[TableColumn]) -> Wanted:
    """What a file gives to a table; without one, all that it has."""
    # The names of a file are in lower case; a table that somebody else made may spell its own otherwise.
    there = {column.name.lower(): column for column in table} | {column.name: column for column in table}
    every = tuple(there[name].name if name in there else name for name in one.names)
    kept = tuple(there[name] for name in one.names if name in there)
    return Wanted(tuple(column.name for column in kept) if table else every, every, kept)


def preparation(load: BulkLoadStep, found: Sequence[FileColumns], kind: str | None) -> Iterator[str]:
    """What leaves the table empty, with a column for each of the files' and of the declared ones."""
    name = qualified(load.table)
    if load.mode == "replace_rows" or (not found and kind is not None):
        yield f"TRUNCATE {name}"
        return
    if kind is not None:
        yield f"DROP {'VIEW' if kind == 'v' else 'TABLE'} {name}"
    columns = dict.fromkeys(column for one in found for column in one.names)
    columns |= dict.fromkeys(column.name.lower() for column in load.columns)
    yield f"CREATE TABLE {name} ({', '.join(f'{identifier(column)} {TEXT}' for column in columns)})"


def options(load: BulkLoadStep, chosen: Wanted) -> str:
    """How the file is spelled; an empty value is NULL, a quoted empty value the empty text."""
    quote = load.text.quote or NO_QUOTE
    said = [
        "FORMAT csv",
        "FREEZE true",  # the table is this transaction's own: nobody else sees the rows before it is done
        f"HEADER {'false' if load.text.names else 'true'}",
        f"DELIMITER {literal(load.text.delimiter)}",
        f"QUOTE {_character(quote)}",
        f"ESCAPE {_character(quote)}",
        "NULL ''",
        f"ENCODING {literal(encoding_name(load.text))}",
    ]
    # Athena's files hold concepts whose name or code is empty: a required text stays empty.
    texts = [column.name for column in chosen.table if column.required and column.type.startswith(TEXTS)]
    others = [column.name for column in chosen.table if not column.type.startswith(TEXTS)]
    if texts:
        said.append(f"FORCE_NOT_NULL ({names(texts)})")
    if others:
        said.append(f"FORCE_NULL ({names(others)})")
    return f"WITH ({', '.join(said)})"


def _character(text: str) -> str:
    return f"E'\\x{ord(text):02x}'" if ord(text) < ord(" ") else literal(text)
