"""Sessions of this process, where pyspark is installed with its JVM; the only module that imports that."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from omopcloudetl.core.errors import DatabaseConnectionError
from omopcloudetl.provider_spark.commits import Commit
from omopcloudetl.provider_spark.config import SparkConfig
from omopcloudetl.provider_spark.orphans import Pause
from omopcloudetl.provider_spark.properties import read_properties


def _is_ours_to_tell(record: logging.LogRecord) -> bool:
    """Whether a record is none of py4j, which logs a traceback of what it then raises, and to the root logger."""
    return record.module != "java_gateway"


logging.getLogger().addFilter(_is_ours_to_tell)
_OPENING = threading.Lock()
_TAGS = "spark.job.tags"


class LocalDriver:
    """One application of this process, which all its sessions share; it ends with the process."""

    errors = (PySparkException, Py4JError, ConnectionError)
    """The last is of a JVM that is gone; only another process gets a new one."""

    def __init__(self, config: SparkConfig, base: Path) -> None:
        self._config = config
        self._base = base

    def work_for(self, run: str) -> None:
        """Nothing: its sessions end with its process."""

    def open(self) -> SparkSession:
        """A session of the application, which the first one starts; what can be set for a session alone is."""
        given = dict(self._properties())
        with _OPENING:
            session = self._application(given).newSession()
        for key, value in given.items():
            if _is_of_sessions(session, key):
                session.conf.set(key, value)
        return session

    def close(self, session: SparkSession) -> None:
        """Nothing: a session alone has nothing to give back, and others use the application."""

    def mark(self, session: SparkSession, tag: str) -> None:
        """In place of what another connection has marked in this thread."""
        session.sparkContext.setLocalProperty(_TAGS, tag)

    def last_commit(self, session: SparkSession, table: str) -> Commit | None:
        """That of a table of Iceberg, from its metadata: no job runs, and no file of rows is read."""
        try:
            found = session._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(session._jsparkSession, table)
            snapshot = found.currentSnapshot()
            if snapshot is None:
                return Commit(0)
            told = snapshot.summary()
            numbers = (int(told.get(f"{what}-records") or 0) for what in ("added", "deleted"))
            return Commit(snapshot.snapshotId(), told.get("spark.app.id"), *numbers)
        except (PySparkException, Py4JError, TypeError):  # there is no Iceberg, no table, or a table of another format
            return None

    def application(self, session: SparkSession) -> str:
        """The application's id."""
        return str(session.sparkContext.applicationId)

    def cancel(self, session: SparkSession, tag: str) -> None:
        """The jobs that run; Spark plans and commits without one."""
        session.sparkContext.cancelJobsWithTag(tag)

    def end(self, runs: Collection[str], pause: Pause) -> None:
        """Nothing: they ended with their processes."""

    def _application(self, given: dict[str, str]) -> SparkSession:
        there = SparkSession.getActiveSession() or SparkSession.builder.master(str(self._config.master))
        if isinstance(there, SparkSession):
            return self._same(there, given)
        for key, value in given.items():
            there = there.config(key, value)
        return self._same(there.appName("omopcloudetl").getOrCreate(), given)

    def _same(self, session: SparkSession, given: dict[str, str]) -> SparkSession:
        """The application; raises `DatabaseConnectionError` where it began with other properties."""
        began = session.sparkContext.getConf()
        fixed = [key for key in given if not _is_of_sessions(session, key)]
        # Spark puts options of its own before those given for Java.
        others = sorted(key for key in fixed if not str(began.get(key)).endswith(given[key]))
        if others:
            raise DatabaseConnectionError(
                f"this process has a Spark application already, with another {', '.join(others)}: use another process"
            )
        return session

    def _properties(self) -> Iterator[tuple[str, str]]:
        if self._config.properties is None:
            return
        path = self._base / self._config.properties
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DatabaseConnectionError(f"properties: cannot read {path.name}: {error}") from error
        yield from read_properties(text)


def _is_of_sessions(session: SparkSession, key: str) -> bool:
    """Whether sessions of one application may differ in a property; Spark knows none of the catalogs' beforehand."""
    return key.startswith("spark.sql.catalog.") or session.conf.isModifiable(key)
