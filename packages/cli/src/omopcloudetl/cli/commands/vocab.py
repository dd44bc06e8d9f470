"""`omopcloudetl vocab`: loads vocabularies, imports mappings of codes, and says which codes are mapped."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.errors import FAILED
from omopcloudetl.cli.options import (
    ProjectOptions,
    RunOptions,
    format_option,
    project_options,
    remember_form,
    run_options,
)
from omopcloudetl.cli.output import emit, plural, printable, warn, write_json

if TYPE_CHECKING:
    from omopcloudetl.core.vocabulary.loading import VocabularyLoad
    from omopcloudetl.core.vocabulary.own_map import OwnMap

STATUSES = ("APPROVED", "UNCHECKED", "AUTO_MAPPED", "AUTO_MAPPED_TO_1", "FLAGGED", "IGNORED", "INVALID_TARGET")
SHOWN = 10


@click.group
def vocab() -> None:
    """Load vocabularies, import mappings of codes, see which codes are mapped."""


@vocab.command
@click.argument("uri")
@click.option("--table", "tables", metavar="NAME", multiple=True, help="Only this table; may be given several times.")
@project_options
@run_options
@format_option
@click.pass_context
def load(
    context: click.Context,
    uri: str,
    tables: tuple[str, ...],
    options: ProjectOptions,
    watch: RunOptions,
    as_json: bool,
) -> None:
    """Load Athena's files into the vocabulary tables of a project's target.

    URI is a folder or a zip of files such as CONCEPT.csv, or a folder on S3 or the web. Each table then holds exactly
    its file's rows; what the rules of the project read must be there. The exit code is 1 if a step failed.
    """
    from omopcloudetl.cli.progress import watching
    from omopcloudetl.cli.projects import open_session
    from omopcloudetl.core.errors import UnknownNameError
    from omopcloudetl.core.private_files import only_for_owner

    session = open_session(options)
    try:
        with only_for_owner(), watching(watch) as listeners:
            found = session.load_vocabulary(uri, tables=tables, listeners=listeners)
    except UnknownNameError as error:
        raise click.BadParameter(str(error), param_hint="--table") from None
    emit(as_json, lambda: _load_document(found), lambda: _show_load(found))
    if found.record.state == "failed":
        context.exit(FAILED)


def _load_document(found: VocabularyLoad) -> dict[str, object]:
    from omopcloudetl.cli.findings import run_document

    return {
        "version": found.version,
        "rows": dict(found.rows),
        "without_file": list(found.without_file),
        **run_document(found.record),
    }


def _show_load(found: VocabularyLoad) -> None:
    from omopcloudetl.cli.tables import show_failures, show_notes, show_table, summary

    if found.rows:
        show_table("Vocabulary", ("table", "rows"), list(found.rows.items()))
    if found.without_file:
        click.echo(f"no file of {', '.join(found.without_file)}")
    show_failures(found.record)
    click.echo(f"\n{summary(found.record)}")
    show_notes(found.record)
    warn(found.record.warnings())


@vocab.command
@click.argument("mappings", metavar="[MAPPING]...", nargs=-1)
@click.option("--role", "roles", metavar="NAME", multiple=True, help="List codes of this role, as of `value`.")
@click.option("--top", type=click.IntRange(0), default=10, show_default=True, help="How many codes to map next.")
@click.option(
    "--usagi",
    "usagi_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="CSV",
    help="Write the codes without a standard concept to this file, for Usagi's import.",
)
@project_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    callback=remember_form,
    is_eager=True,
    help="Text for people, one JSON document, or CSV with a line for each code.",
)
def coverage(
    mappings: tuple[str, ...],
    roles: tuple[str, ...],
    top: int,
    usagi_file: Path | None,
    options: ProjectOptions,
    form: str,
) -> None:
    """Show which codes have standard concepts: how many codes, rows and persons, and which to map next.

    It asks the tables that the last run left in the target. A role is what a code is for: `concept` and `unit` of an
    event, or a field of a table mapping. Texts of values are counted, and listed only with `--role value`.
    """
    from omopcloudetl.cli.coverage import coverage_document, show_coverage, without_vocabulary
    from omopcloudetl.cli.projects import open_session
    from omopcloudetl.core.errors import UnknownNameError

    try:
        found = open_session(options).coverage(mappings, roles=roles)
    except UnknownNameError as error:
        raise click.BadParameter(str(error), param_hint="MAPPING") from None
    if usagi_file is not None:
        _write(usagi_file, found.to_usagi())
        warn(without_vocabulary(found))
    match form:
        case "json":
            write_json(coverage_document(found))
        case "csv":
            click.echo(found.to_csv().encode(), nl=False)
        case _:
            show_coverage(found, top)


@vocab.command
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--vocabulary",
    metavar="NAME",
    help="The vocabulary of the codes, as mappings name it; without it, the column ADD_INFO:vocabulary says it.",
)
@click.option(
    "--status",
    "statuses",
    type=click.Choice(STATUSES, case_sensitive=False),
    multiple=True,
    default=["APPROVED"],
    show_default=True,
    help="Take rows of this status; may be given several times.",
)
@click.option(
    "--as",
    "kind",
    type=click.Choice(["source_to_concept_map", "concepts"]),
    default="source_to_concept_map",
    show_default=True,
    help="Rows for a load of that table, or own concepts for a step of the kind `concepts`.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="CSV",
    help="Write the rows to this file, not to stdout.",
)
@format_option
def usagi(
    file: Path, vocabulary: str | None, statuses: tuple[str, ...], kind: str, output: Path | None, as_json: bool
) -> None:
    """Turn what Usagi saved into rows of source_to_concept_map, or into own concepts.

    Only what a person approved is taken; the other rows are counted with their reasons, on stderr.
    """
    from omopcloudetl.core.vocabulary.own_map import (
        LONGEST_VOCABULARY,
        import_usagi,
        import_usagi_concepts,
        without_vocabulary,
    )
    from omopcloudetl.core.vocabulary.usagi import STATUSES as KNOWN

    if vocabulary is not None and not 0 < len(vocabulary) <= LONGEST_VOCABULARY:
        message = f"the name of a vocabulary has 1 to {LONGEST_VOCABULARY} characters"
        raise click.BadParameter(message, param_hint="--vocabulary")
    read = import_usagi if kind == "source_to_concept_map" else import_usagi_concepts
    found = read(file, vocabulary=vocabulary, statuses=[name for name in KNOWN if name in statuses])
    if without_vocabulary(found.left_out):
        message = "the file does not say the vocabulary of its codes in a column ADD_INFO:vocabulary; say --vocabulary"
        raise click.UsageError(message)
    if output is not None:
        _write(output, found.to_csv())
    emit(as_json, lambda: _document(found, output), lambda: _show(found, output))


def _write(file: Path, text: str) -> None:
    """Write a text; what the file system refuses is a message."""
    try:
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise click.FileError(str(file), error.strerror) from None


def _document(found: OwnMap, output: Path | None) -> dict[str, object]:
    return {
        "rows": [asdict(row) for row in found.rows],
        "left_out": [asdict(row) for row in found.left_out],
        "output": str(output) if output else None,
    }


def _show(found: OwnMap, output: Path | None) -> None:
    """The rows, or where they are; then, on stderr, what is left out."""
    if output is None:
        click.echo(found.to_csv().encode(), nl=False)
    where = f" in {output}" if output else ""
    click.echo(f"{plural(len(found.rows), 'row')} of {plural(found.codes, 'code')}{where}", err=True)
    for reason, count in found.reasons().items():
        places = [row for row in found.left_out if row.reason == reason]
        lines = ", ".join(f"{row.code} (line {row.line})" for row in places[:SHOWN])
        more = f" and {len(places) - SHOWN:,} more" if len(places) > SHOWN else ""
        click.echo(printable(f"left out: {plural(count, 'row')}, {reason}: {lines}{more}"), err=True)
