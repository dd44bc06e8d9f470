"""Sets malformed records aside: counts them, keeps what is told of them, and says which records are loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from omopcloudetl.core.errors import LoadError
from omopcloudetl.core.plan import BulkLoadStep
from omopcloudetl.provider_spark.reading import tried
from omopcloudetl.provider_spark.recording import COMMITTING
from omopcloudetl.provider_spark.sessions import LoadSession
from omopcloudetl.provider_spark.sql import identifier, literal, names, qualified

RECORD = "omopcloudetl record"
"""The column that has the text of a record which Spark cannot divide into its file's columns, and else is NULL."""
UNFIT = "it has more or fewer values than the file has columns, or cannot be read"
COLUMNS = ("load_step", "table_name", "file", "line", "reason", "text")
EXAMPLES = 3


@dataclass(frozen=True)
class Records:
    """The records of a file, through a view that has their values as texts."""

    label: str
    """The file's name, for people."""
    view: str
    names: Mapping[str, str]
    """Name in the table → name in the file."""
    types: Mapping[str, str]
    """Name in the table → type, for those whose values are read as another type."""

    @property
    def problem(self) -> str:
        """Why a record is rejected, as SQL; NULL for those that are loaded."""
        cases = [f"WHEN {identifier(RECORD)} IS NOT NULL THEN {literal(UNFIT)}"]
        for name, there in self.names.items():
            type_ = self.types.get(name, "string")
            if type_ != "string":
                value = identifier(there)
                unread = f"{value} IS NOT NULL AND {tried(value, type_)} IS NULL"
                cases.append(f"WHEN {unread} THEN {literal(f'a value of {name} is no {type_}')}")
        return f"CASE {' '.join(cases)} END"


def set_aside(session: LoadSession, load: BulkLoadStep, files: Sequence[Records]) -> int:
    """Keep what is told of the malformed records, in place of an earlier load's; returns how many there are.

    Raises `LoadError`, before anything is changed, if there are more than the load allows.
    """
    assert load.rejects is not None
    count = refuse_too_many(session, files, load.rejects.max_rejected)
    table = qualified(load.rejects.table)
    with COMMITTING:
        session.execute(f"DELETE FROM {table} WHERE load_step = {literal(load.name)}")
        if count:
            rows = " UNION ALL ".join(_told(load, one, keep_text=load.rejects.keep_text) for one in files)
            session.execute(f"INSERT INTO {table} ({names(COLUMNS)}) {rows}")
    return count


def refuse_too_many(session: LoadSession, files: Sequence[Records], allowed: int) -> int:
    """The number of malformed records; raises `LoadError` with the first of them if there are more than allowed."""
    if not files:
        return 0
    rejected = " UNION ALL ".join(
        f"SELECT {literal(one.label)} AS file, {one.problem} AS reason FROM {identifier(one.view)} WHERE {one.problem}"
        " IS NOT NULL"
        for one in files
    )
    found = session.fetch(f"SELECT COUNT(*) FROM ({rejected}) AS rejected")
    count = int(str(found[0][0]))
    if count > allowed:
        examples = session.fetch(rejected, limit=EXAMPLES)
        shown = "".join(f"\n  {file}: {reason}" for file, reason in examples)
        more = f"\n  and {count - len(examples):,} more" if count > len(examples) else ""
        raise LoadError(f"{count:,} malformed records, {allowed:,} may be rejected:{shown}{more}")
    return count


def _told(load: BulkLoadStep, one: Records, *, keep_text: bool) -> str:
    """What is kept of the malformed records of a file; Spark does not tell their lines."""
    values = ", ".join(f"COALESCE({identifier(name)}, '')" for name in one.names.values())
    record = f"COALESCE({identifier(RECORD)}, CONCAT_WS({literal(load.text.delimiter)}, {values}))"
    text = record if keep_text else "CAST(NULL AS STRING)"
    told = [
        literal(load.name),
        literal(".".join(load.table[-2:])),
        literal(one.label),
        "CAST(NULL AS BIGINT)",
        one.problem,
        text,
    ]
    named = ", ".join(f"{value} AS {identifier(name)}" for value, name in zip(told, COLUMNS, strict=True))
    return f"SELECT {named} FROM {identifier(one.view)} WHERE {one.problem} IS NOT NULL"
