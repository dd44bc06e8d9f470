"""Configures logging to stderr when a run is started, and logs the events of a run."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import structlog

from omopcloudetl.cli.messages import json_line
from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.known_secrets import without_secrets

if TYPE_CHECKING:
    from omopcloudetl.cli.options import RunOptions
    from omopcloudetl.core.plan import BulkLoadStep, SqlStep
    from omopcloudetl.core.runs import RunRecord, StepRecord

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
NOT_LOGGED = {"name", "kind", "fingerprint", "origin", "started_at", "finished_at", "attempts"}
"""Of a step's record: a line has a time of its own."""
Event = MutableMapping[str, Any]


class _Stderr:
    """The stderr of the moment, without secrets, whoever logs: a live display may stand in for it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(without_secrets(text))

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logs(watch: RunOptions) -> None:
    """Send what structlog and the standard library log to stderr: warnings, with -v or as JSON more."""
    as_json = watch.log_format == "json"
    level = _level(watch)
    drop: list[structlog.typing.Processor] = [_without(_told_elsewhere(watch))]
    shared: list[structlog.typing.Processor] = [structlog.stdlib.add_log_level, _timestamps(as_json)]
    structlog.configure(
        processors=[*drop, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(_Stderr())
    meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[meta, *_renderers(as_json)], foreign_pre_chain=shared)
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)


def _level(watch: RunOptions) -> int:
    """JSON is for programs, so that it tells of every step unless it is to be quiet."""
    more = watch.log_format == "json" and not watch.quiet
    return LEVELS[min(watch.verbose + more, len(LEVELS) - 1)]


def _timestamps(as_json: bool) -> structlog.typing.Processor:
    if as_json:
        return structlog.processors.TimeStamper("iso", utc=True, key="time")
    return structlog.processors.TimeStamper("%H:%M:%S", utc=False)


def _renderers(as_json: bool) -> list[structlog.typing.Processor]:
    if as_json:
        return [structlog.processors.format_exc_info, _render_json]
    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return [structlog.dev.ConsoleRenderer(colors=colors)]


def _render_json(_: object, __: str, event: Event) -> str:
    return json_line(event)


def _told_elsewhere(watch: RunOptions) -> frozenset[str]:
    """Where people watch, a failed step is told by the result, and a retry by the progress; not once more here."""
    if watch.verbose or watch.log_format == "json":
        return frozenset()
    return frozenset({"step_failed"} if watch.quiet else {"step_failed", "step_tried_again"})


def _without(names: frozenset[str]) -> structlog.typing.Processor:
    def drop(_: object, __: str, event: Event) -> Event:
        if event.get("event") in names:
            raise structlog.DropEvent
        return event

    return drop


class RunLog:
    """Logs the steps of a run; its start, its end and its retries are logged by whoever runs it."""

    def __init__(self, *, starts: int = logging.DEBUG) -> None:
        self._log = structlog.get_logger("omopcloudetl.run")
        self._starts = starts

    @hookimpl
    def omopcloudetl_run_started(self, run: RunRecord) -> None:
        """Note which run the lines are about."""
        self._log = self._log.bind(run_id=run.run_id)

    @hookimpl
    def omopcloudetl_step_started(self, step: SqlStep | BulkLoadStep, record: StepRecord) -> None:
        """Log which step begins."""
        self._log.log(self._starts, "step_started", step=step.name, summary=step.summary, worker=record.worker)

    @hookimpl
    def omopcloudetl_step_finished(self, record: StepRecord) -> None:
        """Log how the step ended."""
        values = record.model_dump(exclude=NOT_LOGGED, exclude_none=True)
        if record.seconds is not None:
            values["seconds"] = round(record.seconds, 3)
        self._log.info("step_finished", step=record.name, attempts=len(record.attempts), **values)
