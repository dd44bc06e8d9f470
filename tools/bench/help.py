"""Budget: `omopcloudetl --help` takes at most 200 ms more than an interpreter that does nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

from tools.bench.measure import COMMAND, Options, Result, least, run_process, spread

BUDGET = 200
REPEATS = 15
# The compiler's and the providers' libraries have no part in showing help.
BANNED = {"duckdb", "httpx", "sqlglot"}


def measure(options: Options) -> Iterator[Result]:
    """Time both in turn, so that what else the machine does hits both; the first start is warm-up."""
    bare_command, help_command = [sys.executable, "-c", "pass"], [COMMAND, "--help"]
    run_process(bare_command)
    run_process(help_command)
    bare, shown = [], []
    for _ in range(5 if options.quick else REPEATS):
        bare.append(run_process(bare_command))
        shown.append(run_process(help_command))
    imported = sorted(BANNED & imported_modules("--help"))
    found = least(bare)
    yield Result(
        "help",
        (least(shown) - found) * 1000,
        BUDGET,
        "ms",
        f"over a bare interpreter of {found * 1000:.0f} ms; {spread(shown)}",
        f"imports {', '.join(imported)}" if imported else "",
    )


def imported_modules(*arguments: str) -> set[str]:
    """The top-level modules that the command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "omopcloudetl.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in re.findall(r"\|\s+([\w.]+)$", done.stderr, re.MULTILINE)}
