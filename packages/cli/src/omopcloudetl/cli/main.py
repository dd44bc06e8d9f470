"""The command `omopcloudetl`: its commands and those of plugins."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from omopcloudetl.cli import errors
from omopcloudetl.cli.commands.compile import compile_command
from omopcloudetl.cli.commands.ddl import ddl
from omopcloudetl.cli.commands.demo import demo
from omopcloudetl.cli.commands.doctor import doctor
from omopcloudetl.cli.commands.explain import explain
from omopcloudetl.cli.commands.init import init
from omopcloudetl.cli.commands.ledger import ledger
from omopcloudetl.cli.commands.plugins import plugins
from omopcloudetl.cli.commands.report import report
from omopcloudetl.cli.commands.run import run
from omopcloudetl.cli.commands.runs import runs
from omopcloudetl.cli.commands.schema import schema
from omopcloudetl.cli.commands.spec import spec
from omopcloudetl.cli.commands.targets import targets
from omopcloudetl.cli.commands.test import test
from omopcloudetl.cli.commands.validate import validate
from omopcloudetl.cli.commands.vocab import vocab
from omopcloudetl.cli.interruptions import interruptions
from omopcloudetl.cli.messages import asks_for_json, show_crashes_in_one_line, show_warnings_in_one_line
from omopcloudetl.cli.options import State
from omopcloudetl.cli.output import tolerate_any_encoding
from omopcloudetl.core.errors import OmopCloudEtlError, PluginError
from omopcloudetl.core.plugins import load_plugins

COMMANDS = (
    demo,
    init,
    validate,
    compile_command,
    test,
    explain,
    run,
    runs,
    ledger,
    report,
    doctor,
    targets,
    plugins,
    spec,
    ddl,
    vocab,
    schema,
)


class CommandLine(click.Group):
    """Built-in commands first; plugins are loaded when help or an unknown command asks for them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The built-in commands in the order of use, then those of plugins by name."""
        return [*self.commands, *self._plugin_commands()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, if there is one."""
        return super().get_command(ctx, cmd_name) or self._plugin_commands().get(cmd_name)

    def _plugin_commands(self) -> dict[str, click.Command]:
        commands = {command.name or "": command for command in load_plugins().commands()}
        taken = sorted(commands.keys() & self.commands.keys())
        if taken:
            raise PluginError(f"a plugin registers the built-in command '{taken[0]}'")
        return commands

    def invoke(self, ctx: click.Context) -> None:
        """Run a command; what it returns is no exit code."""
        try:
            super().invoke(ctx)
        except BrokenPipeError:
            ctx.exit(errors.BROKEN_PIPE)
        except (KeyboardInterrupt, Exception) as error:
            # Whatever ends a command that was interrupted, it ends because of that.
            if interruptions.number is None and not isinstance(error, KeyboardInterrupt):
                raise
            interruptions.tell()
            ctx.exit(interruptions.exit_code)

    def main(  # type: ignore[override]  # click's overloads tell apart what is never passed here
        self, args: Sequence[str] | None = None, **extra: Any
    ) -> NoReturn:
        """Run the command line and exit."""
        words = list(sys.argv[1:] if args is None else args)
        state = State(log_json=asks_for_json(words))
        if state.log_json:
            show_warnings_in_one_line(state)
            show_crashes_in_one_line(state)
        extra |= {"standalone_mode": False, "obj": state}
        interruptions.tell_by(lambda: errors.report_interrupt(state))
        try:
            code = super().main(args, **extra)
        except (click.Abort, KeyboardInterrupt):  # outside of the command itself
            interruptions.tell()
            code = interruptions.exit_code
        except click.ClickException as error:
            code = errors.report_usage_error(error, state)
        except OmopCloudEtlError as error:
            code = errors.report_error(error, state)
        code = errors.flush_stdout(code)
        if interruptions.number is not None:
            interruptions.leave()
        sys.exit(code)


@click.group(
    cls=CommandLine,
    commands={command.name or "": command for command in COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="omopcloudetl", prog_name="omopcloudetl", message="%(prog)s %(version)s")
def cli() -> None:
    """Compile YAML mappings into SQL plans for the OMOP CDM, and run them.

    Start with `omopcloudetl demo`: it makes a project, runs it and shows what came out.
    """


def main() -> None:
    """Entry point of the command."""
    interruptions.watch()
    # A compilation makes many small objects and few that are garbage: look for it less often.
    gc.set_threshold(50_000, 20, 100)
    tolerate_any_encoding()
    show_warnings_in_one_line(State())
    cli(prog_name="omopcloudetl")
