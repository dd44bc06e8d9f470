"""Makes loggers that say nothing on stdout, whether or not the program configured structlog."""

from __future__ import annotations

import logging
from typing import Protocol

import structlog

from omopcloudetl.core.run_store import Level

Detail = str | int | float | bool | None


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger over the standard library's: without configuration only warnings are seen, on stderr.

    structlog's own default prints every line to stdout, which belongs to the program that uses us.
    """
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(logging.getLogger(name))
    return logger


class Journal(Protocol):
    """Where the lines of one run are kept."""

    def log(self, event: str, level: Level = "info", *, step: str | None = None, **details: Detail) -> None:
        """Add a line."""


class RunLogger:
    """The log of one run: each line is told to the program and kept with the run."""

    def __init__(self, logger: structlog.typing.FilteringBoundLogger, journal: Journal) -> None:
        self._logger = logger
        self._journal = journal

    def info(self, event: str, *, step: str | None = None, **details: Detail) -> None:
        """What is good to know."""
        self._logger.info(event, **_of_step(step), **details)
        self._journal.log(event, "info", step=step, **details)

    def warning(self, event: str, *, step: str | None = None, **details: Detail) -> None:
        """What deserves a look, although the run goes on."""
        self._logger.warning(event, **_of_step(step), **details)
        self._journal.log(event, "warning", step=step, **details)

    def error(self, event: str, *, step: str | None = None, **details: Detail) -> None:
        """What failed."""
        self._logger.error(event, **_of_step(step), **details)
        self._journal.log(event, "error", step=step, **details)


def _of_step(step: str | None) -> dict[str, str]:
    return {} if step is None else {"step": step}
