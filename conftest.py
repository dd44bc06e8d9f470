"""Options of every test run; they must stand here, because pytest reads them before it finds the tests."""

import os
import shutil
import signal
from pathlib import Path

import pytest

os.environ.pop("UV_RUN_RECURSION_DEPTH", None)  # `uv run pytest` sets it, and hints would say `uv run` then
# A shell that starts the tests in the background lets them ignore Ctrl-C, and those that press it would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Thousands of small databases, each committed to disk some twenty times: in memory that takes a third less time.
MEMORY_DISK = Path("/dev/shm")  # pytest makes a folder of its own in it
ENOUGH = 6 << 30
if MEMORY_DISK.is_dir() and os.access(MEMORY_DISK, os.W_OK) and shutil.disk_usage(MEMORY_DISK).free >= ENOUGH:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY_DISK))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the golden files from what the compiler makes now; read the diff before committing",
    )
