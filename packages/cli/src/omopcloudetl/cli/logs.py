"""Configures logging to stderr when a run is started, and logs the events of a run."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import structlog

from omopcloudetl.core.hookspecs import hookimpl

if TYPE_CHECKING:
    from omopcloudetl.core.plan import BulkLoadStep, SqlStep
    from omopcloudetl.core.runs import StepRecord

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
NOT_LOGGED = {"name", "kind", "fingerprint", "origin", "started_at", "finished_at", "attempts"}
"""Of a step's record: a line has a time of its own."""


class _Stderr:
    """The stderr of the moment: a live display may stand in for it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _drop_failed_steps(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if event.get("event") == "step_failed":
        raise structlog.DropEvent
    return event


def configure_logs(verbose: int) -> None:
    """Send what structlog and the standard library log to stderr: warnings, with -v more."""
    level = LEVELS[min(verbose, len(LEVELS) - 1)]
    # Without -v a failed step is told by the progress and by the result, not a third time here.
    drop: list[structlog.typing.Processor] = [] if verbose else [_drop_failed_steps]
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper("%H:%M:%S", utc=False),
    ]
    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    renderer = structlog.dev.ConsoleRenderer(colors=colors)
    structlog.configure(
        processors=[*drop, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(_Stderr())
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)


class RunLog:
    """Logs the steps of a run; its start and its end are logged by whoever runs it."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("omopcloudetl.run")

    @hookimpl
    def omopcloudetl_step_started(self, step: SqlStep | BulkLoadStep) -> None:
        """Log which step begins, for those who look closely."""
        self._log.debug("step_started", step=step.name, summary=step.summary)

    @hookimpl
    def omopcloudetl_step_finished(self, record: StepRecord) -> None:
        """Log how the step ended."""
        values = record.model_dump(exclude=NOT_LOGGED, exclude_none=True)
        if record.seconds is not None:
            values["seconds"] = round(record.seconds, 3)
        self._log.info("step_finished", step=record.name, **values)
