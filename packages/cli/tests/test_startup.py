"""Promises of how the command starts."""

import re
import subprocess
import sys

HEAVY = {"duckdb", "filelock", "httpx", "pydantic", "rich", "ruamel", "sqlglot", "sqlite3", "structlog", "tenacity"}


def _imported(*arguments: str) -> set[str]:
    """The top-level modules that a fresh interpreter imports; -X importtime lists them."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "omopcloudetl.cli", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Usage:" in done.stdout or "version" in done.stdout
    return {name.split(".")[0] for name in re.findall(r"\|\s+([\w.]+)$", done.stderr, re.MULTILINE)}


def test_help_imports_nothing_heavy() -> None:
    """`--help` starts without the compiler's libraries, a driver, or anything that draws."""
    imported = _imported("--help")
    assert "click" in imported
    assert not HEAVY & imported


def test_help_of_every_command_imports_nothing_heavy() -> None:
    """The help of the command that needs the most is as light."""
    assert not HEAVY & _imported("demo", "--help")


def test_a_command_that_draws_is_seen() -> None:
    """The check above can fail: a command that shows tables does import heavy libraries."""
    assert {"pydantic", "rich"} <= _imported("spec", "list")
