"""`omopcloudetl ddl`: prints the statements that make the tables of a CDM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.options import bundle, format_option, project_option, target_option
from omopcloudetl.cli.output import emit, one_line
from omopcloudetl.cli.projects import PROJECT_FILE

if TYPE_CHECKING:
    from omopcloudetl.core.compiler.ddl_script import DdlStatement, Keys, Which
    from omopcloudetl.core.specifications import DdlParts

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


@dataclass(frozen=True)
class DdlOptions:
    """Which tables, how they are named, and for which engine; what is None comes from the project."""

    reference: str | None
    dialect: str | None
    which: Which
    keys: Keys
    names: dict[str, str]


ddl_options = bundle(
    "options",
    DdlOptions,
    click.option("--cdm-version", "reference", metavar="SPEC", help="A version, or anything that `spec show` takes."),
    click.option("--dialect", metavar="NAME", help="A provider's name, such as duckdb."),
    click.option(
        "--schema",
        "which",
        type=click.Choice(["cdm", "vocab", "all"]),
        default="all",
        show_default=True,
        help="The tables; those of results count as cdm.",
    ),
    click.option(
        "--keys",
        type=click.Choice(["none", "primary", "foreign", "only"]),
        default="foreign",
        show_default=True,
        help="No keys, primary ones, or foreign ones as well; only: keys and indices for tables that are filled.",
    ),
    click.option(
        "--as",
        "names",
        multiple=True,
        metavar="cdm=SCHEMA",
        callback=_read_names,
        help="The physical name of a schema, cdm or vocab; may be given twice.",
    ),
)


@click.command
@ddl_options
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write to FILE.")
@project_option
@target_option
@format_option
def ddl(options: DdlOptions, output: str | None, project: Path, target: str | None, as_json: bool) -> None:
    """Print the DDL of a CDM: schemas, tables, keys.

    What is not said comes from the project: its CDM with its overlays, its target's dialect, its schemas. With
    --cdm-version and --dialect no project is needed.
    """
    if output is not None and as_json:
        raise click.UsageError("--format json prints to stdout; it does not go with -o")
    from omopcloudetl.core.compiler.ddl_script import ddl_script

    parts = _parts(options, project, target)
    specification, generator = parts.specification, parts.generator
    named = {**parts.schemas, **options.names}
    statements = ddl_script(
        specification, generator, named, which=options.which, keys=options.keys, layouts=parts.layouts
    )
    head = f"-- the CDM {specification.version} on {generator.dialect}; schemas: {options.which}, keys: {options.keys}"

    def text() -> None:
        script = "\n".join((head, *_lines(statements))) + "\n"
        if output is None:
            click.echo(script, nl=False)
        else:
            _write(script, Path(output))

    def document() -> dict[str, object]:
        lines = [{"purpose": one.purpose, "sql": one.sql} for one in statements]
        return {"cdm_version": specification.version, "dialect": generator.dialect, "statements": lines}

    emit(as_json, document, text)


def _parts(options: DdlOptions, project: Path, target: str | None) -> DdlParts:
    """What the DDL is made of: as given, and the rest from the project."""
    from omopcloudetl.core.errors import PluginError, SpecificationError
    from omopcloudetl.core.specifications import ddl_parts

    if (options.reference is None or options.dialect is None) and not (project / PROJECT_FILE).is_file():
        raise click.UsageError("there is no project here; give --cdm-version and --dialect")
    try:
        return ddl_parts(project, reference=options.reference, dialect=options.dialect, target=target)
    except SpecificationError as error:
        raise click.BadParameter(str(error), param_hint="--cdm-version") from None
    except PluginError as error:
        if options.dialect is None:
            raise
        raise click.BadParameter(str(error), param_hint="--dialect") from None


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
