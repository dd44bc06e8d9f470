"""Registers the command and hears the end of runs."""

import os
from pathlib import Path

import click

from omopcloudetl.core.hookspecs import hookimpl


@click.command("greet")
def greet() -> None:
    """Say hello."""
    click.echo("hello from a stranger")


@hookimpl
def omopcloudetl_register_commands():
    """One command."""
    return [greet]


@hookimpl
def omopcloudetl_run_finished(run):
    """Write down the state of the run."""
    Path(os.environ["GREETING_FILE"]).write_text(f"{run.name}: {run.state}", encoding="utf-8")
