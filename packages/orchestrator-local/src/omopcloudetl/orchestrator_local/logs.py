"""Makes loggers that say nothing on stdout, whether or not the program configured structlog."""

from __future__ import annotations

import logging

import structlog


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger over the standard library's: without configuration only warnings are seen, on stderr.

    structlog's own default prints every line to stdout, which belongs to the program that uses us.
    """
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(logging.getLogger(name))
    return logger
