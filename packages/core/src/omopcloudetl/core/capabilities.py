"""What an engine can do: every provider declares each capability, with a reason where it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Capability(StrEnum):
    """Something an engine may or may not do."""

    TRANSACTIONS = "several statements in one transaction"
    TRANSACTIONAL_DDL = "CREATE TABLE inside a transaction"
    CREATE_OR_REPLACE = "CREATE OR REPLACE TABLE … AS"
    TRY_CAST = "a cast that gives NULL for what cannot be read"
    NOT_NULL = "NOT NULL in the catalogue"
    PRIMARY_KEYS = "PRIMARY KEY in the catalogue"
    ADD_PRIMARY_KEY = "ALTER TABLE … ADD PRIMARY KEY, or what an engine has for it"
    FOREIGN_KEYS = "FOREIGN KEY to a table of the same schema"
    FOREIGN_KEYS_ACROSS_SCHEMAS = "FOREIGN KEY to a table of another schema"
    ADD_FOREIGN_KEY = "ALTER TABLE … ADD FOREIGN KEY"
    INDEXES = "CREATE INDEX"
    COMMENT_ON_COLUMN = "COMMENT ON COLUMN in the catalogue"
    TABLE_LAYOUT = "tables in partitions, or whose rows lie in an order"
    MERGE = "MERGE INTO with a condition on its update"
    PARTIAL_INSERT = "INSERT that leaves out columns, which are NULL then"
    HASH_IDS = "ids of 63 bits from MD5, the same on every engine"
    ROW_AS_JSON = "a whole row as a text of JSON, whatever columns it has"
    LOAD_CSV = "loading delimited text by the engine"
    LOAD_PARQUET = "loading Parquet by the engine"
    LOAD_JSON = "loading JSON by the engine"
    LOAD_UTF16 = "loading text in UTF-16"
    LOAD_NULL_TEXTS = "loads in which certain texts mean that there is no value"
    LOAD_REJECTS = "loads that set malformed records aside"
    LOAD_IN_PLACE = "a view of Parquet files, which stay where they are"


@dataclass(frozen=True)
class Support:
    """How a capability is supported; anything but `full` has a reason."""

    level: Literal["full", "not_yet", "never"]
    reason: str = ""


FULL = Support("full")
UNDECLARED = Support("not_yet", "its provider says nothing about it")
