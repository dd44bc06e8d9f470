"""`omopcloudetl init`: makes a project from a template."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.options import format_option, variables_option
from omopcloudetl.cli.output import emit, plural, shown, this_command, typed

if TYPE_CHECKING:
    from omopcloudetl.core.templates import NewProject


@click.command
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--template", required=True, metavar="NAME", help="The template to start from, such as synthea.")
@variables_option
@format_option
def init(directory: Path, template: str, variables: dict[str, str], as_json: bool) -> None:
    """Make a project in DIR from a template.

    A relative path given with --var is relative to the current folder. docs/bring-your-own-source.md makes a project
    for another source, without a template.
    """
    made = make_project(directory, template, variables)

    def document() -> dict[str, object]:
        return {
            "project": str(made.directory),
            "files": [path.relative_to(made.directory).as_posix() for path in made.files],
            "unset": {name: variable.description for name, variable in made.unset.items()},
        }

    emit(as_json, document, lambda: _show(made, template))


def make_project(directory: Path, template: str, variables: dict[str, str]) -> NewProject:
    """Make a project; a template or a folder that cannot be used is a wrong argument."""
    from omopcloudetl.core.projects import create_project
    from omopcloudetl.core.templates import TemplateError

    try:
        return create_project(directory, template, variables=variables)
    except TemplateError as error:
        raise click.UsageError(str(error)) from None


def _show(made: NewProject, template: str) -> None:
    where = shown(made.directory)
    click.echo(f"made {where} from template {template}: {plural(len(made.files), 'file')}")
    if made.unset:
        click.echo(f"\nset these under variables: in {shown(made.directory / 'project.yaml')},")
        click.echo("or with --var NAME=VALUE at each command:")
        for name, variable in made.unset.items():
            about = f"  {variable.description}" if variable.description else ""
            click.echo(f"  {name} ({variable.type}){about}")
    project = typed(made.directory)
    click.echo(f"\nnext: {this_command()} validate --project {project}")
    click.echo(f"      {this_command()} run --project {project}")
