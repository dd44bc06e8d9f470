"""Writes the reference of the command line from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from omopcloudetl.cli.main import cli
from tools.reference.models import GENERATED

INTRO = (
    "Exit codes: 0 done, 1 the run failed, 2 your files or your command are wrong, 130 interrupted. Plugins may add "
    "commands: `omopcloudetl plugins` lists them."
)


def page_text() -> str:
    """The page as Markdown."""
    blocks = ["# Command line", GENERATED, text_of(cli), INTRO]
    for command in cli.commands.values():
        blocks += command_blocks(command, click.Context(cli, info_name="omopcloudetl"))
    return "\n\n".join(blocks) + "\n"


def command_blocks(command: click.Command, parent: click.Context, level: int = 2) -> Iterator[str]:
    """Heading, usage, text and options of a command, then the commands below it."""
    context = click.Context(command, info_name=command.name, parent=parent)
    yield f"{'#' * level} {' '.join(context.command_path.split()[1:])}"
    yield f"```text\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```"
    yield text_of(command)
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    if options:
        yield "\n".join(["| option | default | meaning |", "|---|---|---|", *map(row, options)])
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from command_blocks(child, context, level + 1)


def text_of(command: click.Command) -> str:
    """What the command's help says, without what click adds for a terminal."""
    return inspect.cleandoc(command.help or "").replace("\b\n", "").partition("\f")[0]


def row(option: click.Option) -> str:
    """An option with what it takes, its default and its help."""
    takes = ""
    if not option.is_flag and not option.count:
        takes = " " + (option.metavar or "|".join(getattr(option.type, "choices", ())) or option.type.name.upper())
    names = ", ".join(f"`{name}{takes}`" for name in [*option.opts, *option.secondary_opts])
    default = option.show_default if isinstance(option.show_default, str) else ""
    if option.required:
        default = "**required**"
    cells = [names, default, option.help or ""]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
