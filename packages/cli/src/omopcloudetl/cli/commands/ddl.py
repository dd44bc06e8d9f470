"""`omopcloudetl ddl`: prints the statements that make the tables of a CDM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.options import ProjectOptions, format_option, project_option, target_option
from omopcloudetl.cli.output import emit, one_line

if TYPE_CHECKING:
    from omopcloudetl.core.compiler.ddl_script import DdlStatement, Keys, Which
    from omopcloudetl.core.generator import BaseSQLGenerator
    from omopcloudetl.core.specification.models import CdmSpecification

LOGICAL = ("cdm", "vocab")


def _read_names(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    import re

    from omopcloudetl.core.models.project import SCHEMA_PATTERN

    pairs = {}
    for text in values:
        logical, _equals, physical = text.partition("=")
        if logical not in LOGICAL or not re.fullmatch(SCHEMA_PATTERN, physical):
            raise click.BadParameter(f"'{text}' is not cdm=SCHEMA or vocab=SCHEMA", param=parameter)
        pairs[logical] = physical
    return pairs


@click.command
@click.option("--cdm-version", "reference", metavar="SPEC", help="A version, or anything that `spec show` takes.")
@click.option("--dialect", metavar="NAME", help="A provider's name, such as duckdb.")
@click.option(
    "--schema",
    "which",
    type=click.Choice(["cdm", "vocab", "all"]),
    default="all",
    show_default=True,
    help="The tables; those of results count as cdm.",
)
@click.option(
    "--keys",
    type=click.Choice(["none", "primary", "foreign"]),
    default="foreign",
    show_default=True,
    help="No keys, primary ones, or foreign ones as well.",
)
@click.option(
    "--as",
    "names",
    multiple=True,
    metavar="cdm=SCHEMA",
    callback=_read_names,
    help="The physical name of a schema, cdm or vocab; may be given twice.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write to FILE.")
@project_option
@target_option
@format_option
def ddl(
    reference: str | None,
    dialect: str | None,
    which: Which,
    keys: Keys,
    names: dict[str, str],
    output: str | None,
    project: Path,
    target: str | None,
    as_json: bool,
) -> None:
    """Print the DDL of a CDM: schemas, tables, keys.

    What is not said comes from the project: its CDM with its overlays, its target's dialect, its schemas. With
    --cdm-version and --dialect no project is needed.
    """
    from omopcloudetl.core.compiler.ddl_script import ddl_script

    options = ProjectOptions(project, target, {})
    specification, generator, schemas = _parts(reference, dialect, options)
    statements = ddl_script(specification, generator, schemas | names, which=which, keys=keys)
    head = f"-- the CDM {specification.version} on {generator.dialect}; schemas: {which}, keys: {keys}"

    def text() -> None:
        script = "\n".join((head, *_lines(statements))) + "\n"
        if output is None:
            click.echo(script, nl=False)
        else:
            _write(script, Path(output))

    def document() -> dict[str, object]:
        if output is not None:
            raise click.UsageError("--format json prints to stdout; it does not go with -o")
        lines = [{"purpose": one.purpose, "sql": one.sql} for one in statements]
        return {"cdm_version": specification.version, "dialect": generator.dialect, "statements": lines}

    emit(as_json, document, text)


def _parts(
    reference: str | None, dialect: str | None, options: ProjectOptions
) -> tuple[CdmSpecification, BaseSQLGenerator, dict[str, str]]:
    """The specification, the dialect and the physical schemas: as given, and the rest from the project."""
    from omopcloudetl.cli.projects import load_project_plugins, open_session
    from omopcloudetl.cli.specifications import load_reference
    from omopcloudetl.core.errors import PluginError

    schemas = {name: name for name in LOGICAL}
    if reference is not None and dialect is not None:
        try:
            provider = load_project_plugins(options.project).provider(dialect)
        except PluginError as error:
            raise click.BadParameter(str(error), param_hint="--dialect") from None
        return load_reference(options.project, reference, "--cdm-version"), provider.generator(), schemas
    if not (options.project / "project.yaml").is_file():
        raise click.UsageError("there is no project here; give --cdm-version and --dialect")
    session = open_session(options)
    specification = (
        load_reference(options.project, reference, "--cdm-version") if reference else session.specification()
    )
    provider = session.plugins.provider(dialect) if dialect else session.provider
    physical = session.project.config.physical_schemas(session.project.target)
    return specification, provider.generator(), {name: physical[name] for name in LOGICAL}


def _lines(statements: list[DdlStatement]) -> Iterator[str]:
    for statement in statements:
        if statement.purpose:
            yield f"-- {one_line(statement.purpose)}"
        if statement.sql is not None:
            yield f"{statement.sql.rstrip()};"


def _write(script: str, file: Path) -> None:
    try:
        file.write_text(script, encoding="utf-8", newline="\n")
    except OSError as error:
        raise click.FileError(str(file), error.strerror) from None
