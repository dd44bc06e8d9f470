"""The dialect and the connection."""

import sqlite3
import time
from contextlib import contextmanager
from datetime import date, datetime

from sqlglot import exp

from omopcloudetl.core.capabilities import FULL, Capability, Support
from omopcloudetl.core.connection import BaseConnection, ExecutionMetrics
from omopcloudetl.core.errors import LoadError, StatementError
from omopcloudetl.core.generator import BaseSQLGenerator

TYPES = sqlite3.PARSE_DECLTYPES
sqlite3.register_converter("DATE", lambda text: date.fromisoformat(text.decode()))
SCHEMAS = ("source", "vocab", "cdm", "work")


class SQLiteGenerator(BaseSQLGenerator):
    """SQLite's SQL."""

    dialect = "sqlite"
    types = {
        "integer": "INTEGER",
        "bigint": "INTEGER",
        "float": "REAL",
        "number": "REAL",
        "date": "DATE",
        "datetime": "TEXT",
        "timestamp": "TEXT",
        "varchar": "TEXT",
        "text": "TEXT",
        "boolean": "INTEGER",
    }
    capabilities = {capability: Support("not_yet", "only what the test needs") for capability in Capability} | {
        Capability.TRANSACTIONS: FULL,
        Capability.TRANSACTIONAL_DDL: FULL,
        Capability.PARTIAL_INSERT: FULL,
        Capability.PRIMARY_KEYS: FULL,
        Capability.NOT_NULL: FULL,
    }

    def create_schema(self, schema):
        """Schemas are attached when the connection opens; there is nothing to make."""
        return exp.select(exp.Literal.string(schema))

    def create_table_as(self, table, query):
        """SQLite has no CREATE OR REPLACE TABLE."""
        drop = exp.Drop(tables=[table.copy()], kind="TABLE", exists=True)
        return [drop, exp.Create(this=table, kind="TABLE", expression=query)]


@contextmanager
def _errors():
    """Errors of the driver as those of the contract."""
    try:
        yield
    except sqlite3.Error as error:
        raise StatementError(str(error)) from None


class SQLiteConnection(BaseConnection):
    """One session."""

    def __init__(self, folder):
        self._folder = folder

    def connect(self):
        """Open the files."""
        self._folder.mkdir(exist_ok=True)
        self._session = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, detect_types=TYPES)
        for schema in SCHEMAS:
            self._session.execute(f"ATTACH ? AS {schema}", (str(self._folder / f"{schema}.sqlite"),))

    def close(self):
        """Close them."""
        self._session.close()

    def execute(self, sql):
        """Run one statement."""
        start = time.perf_counter()
        with _errors():
            cursor = self._session.execute(sql)
        return ExecutionMetrics(time.perf_counter() - start, cursor.rowcount if cursor.rowcount >= 0 else None)

    def fetch(self, sql, *, limit=10_000):
        """Run a query."""
        with _errors():
            return self._session.execute(sql).fetchmany(limit)

    def record(self, table, columns, rows, *, replacing=()):
        """Insert rows; SQLite keeps times as text."""
        name = exp.table_(*reversed(table), quoted=True).sql("sqlite")
        names = [exp.to_identifier(column, quoted=True).sql("sqlite") for column in columns]
        same = " AND ".join(f"{names[columns.index(column)]} = ?" for column in replacing)
        with _errors():
            self._record(name, names, rows, (columns, replacing, same))

    def _record(self, name, names, rows, by):
        columns, replacing, same = by
        for row in rows:
            values = [str(value) if isinstance(value, datetime) else value for value in row]
            if replacing:
                keys = [values[columns.index(column)] for column in replacing]
                self._session.execute(f"DELETE FROM {name} WHERE {same}", keys)
            marks = ", ".join("?" * len(values))
            self._session.execute(f"INSERT INTO {name} ({', '.join(names)}) VALUES ({marks})", values)

    def bulk_load(self, load, *, base, done=None):
        """SQLite cannot read files."""
        raise LoadError("SQLite cannot load files by itself")

    @contextmanager
    def transaction(self):
        """All or nothing."""
        self._session.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._session.execute("ROLLBACK")
            raise
        self._session.execute("COMMIT")

    def table_exists(self, table):
        """Whether there is such a table."""
        return bool(self.columns(table))

    def columns(self, table):
        """Names and types."""
        schema, name = table
        if schema not in SCHEMAS:
            return []
        found = self._session.execute("SELECT name, type FROM pragma_table_info(?, ?)", (name, schema))
        return found.fetchall()

    def post_load_maintenance(self):
        """Refresh the statistics."""
        self._session.execute("ANALYZE")

    def is_transient(self, error):
        """A lock goes away."""
        return "locked" in str(error)
