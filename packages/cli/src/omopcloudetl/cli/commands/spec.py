"""`omopcloudetl spec`: the CDM specifications that plans are compiled against."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.options import format_option, project_option
from omopcloudetl.cli.output import emit, plural, printable
from omopcloudetl.cli.projects import folder_or_none
from omopcloudetl.cli.specifications import load_reference

if TYPE_CHECKING:
    from omopcloudetl.core.specification.diff import Difference
    from omopcloudetl.core.specification.fetch import Fetched
    from omopcloudetl.core.specification.models import CdmField, CdmSpecification, CdmTable


@click.group
def spec() -> None:
    """Look at the CDM specifications: versions, tables, fields.

    SPEC is a version such as 5.4; `ohdsi@5.4` as fetched; FOLDER or FOLDER@5.4 with OHDSI's CSV files; FILE.json;
    an OVERLAY.yaml; or `project`, the project's own. Overlays may follow: 5.3+oncology.yaml.
    """


@spec.command("list")
@project_option
@format_option
def list_versions(project: Path, as_json: bool) -> None:
    """List the versions of the CDM that are on this machine."""
    rows = list(_rows(project))

    def document() -> dict[str, object]:
        keys = ("version", "tables", "fields", "source")
        return {"versions": [dict(zip(keys, row, strict=True)) for row in rows]}

    def text() -> None:
        from omopcloudetl.cli.tables import show_table

        show_table("", ("version", "tables", "fields", "source"), rows)

    emit(as_json, document, text)


def _rows(project: Path) -> Iterator[tuple[str, int | str, int | str, str]]:
    from omopcloudetl.core.specifications import list_specifications

    for one in list_specifications(folder_or_none(project)):
        found = one.specification
        if found is None:
            yield one.version, "?", "?", f"{one.source}, damaged; fetch it again"
        else:
            yield one.version, len(found.tables), sum(len(table.fields) for table in found.tables), one.source


@spec.command("show")
@click.argument("reference", metavar="SPEC")
@click.argument("table", required=False)
@project_option
@format_option
def show_version(reference: str, table: str | None, project: Path, as_json: bool) -> None:
    """Show the tables of a specification, or the fields of one table."""
    found = load_reference(project, reference, "SPEC")
    if table is None:
        emit(
            as_json,
            lambda: found.model_dump(mode="json", by_alias=True),
            lambda: _show_tables(found),
        )
        return
    one = _table(found, table)
    emit(as_json, lambda: one.model_dump(mode="json", by_alias=True), lambda: _show_fields(one))


@spec.command("fetch")
@click.argument("version")
@click.option("--from", "url", metavar="URL", help="A folder with the files, such as a mirror; OHDSI's by default.")
@click.option("--force", is_flag=True, help="Fetch again, even if the server says that nothing changed.")
@format_option
def fetch_version(version: str, url: str | None, force: bool, as_json: bool) -> None:
    """Fetch OHDSI's specification of a version.

    It is for projects with `specification: ohdsi`. It stays on this machine; compiling reads it and never fetches.
    """
    from omopcloudetl.core.specification.fetch import fetch_specification

    found = fetch_specification(version, url=url, force=force)

    def document() -> dict[str, object]:
        return {
            "version": version,
            "url": found.url,
            "changed": found.changed,
            "notes": [note.to_json() for note in found.notes],
        }

    emit(as_json, document, lambda: _show_fetched(found))


def _show_fetched(found: Fetched) -> None:
    for note in found.notes:
        click.echo(printable(f"note: {note.position.file}:{note.position.line}: {note.message}"), err=True)
    state = "fetched" if found.changed else "unchanged"
    click.echo(f"CDM {found.specification.version}: {plural(len(found.specification.tables), 'table')}, {state}")
    click.echo(f"from {found.url}")


@spec.command("diff")
@click.argument("before", metavar="SPEC")
@click.argument("after", metavar="SPEC")
@project_option
@format_option
def diff_versions(before: str, after: str, project: Path, as_json: bool) -> None:
    """Show the differences between two specifications.

    They are in tables, fields, types and keys.
    """
    from omopcloudetl.core.specifications import compare_specifications

    found = compare_specifications(load_reference(project, before, "SPEC"), load_reference(project, after, "SPEC"))

    def document() -> dict[str, object]:
        differences = [one.model_dump(mode="json", exclude_none=True) for one in found]
        return {"before": before, "after": after, "differences": differences}

    def text() -> None:
        for one in found:
            click.echo(_difference(one))
        click.echo(plural(len(found), "difference"))

    emit(as_json, document, text)


_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def _difference(one: Difference) -> str:
    name = f"{one.table}.{one.field}" if one.field else one.table
    facts = f"{one.fact}: {one.before} -> {one.after}" if one.fact else one.before or one.after or ""
    return f"{_SIGNS[one.change]} {name}  {facts}"


def _table(specification: CdmSpecification, name: str) -> CdmTable:
    wanted = name.lower().rpartition(".")[2]
    if wanted in specification.by_name:
        return specification.by_name[wanted]
    close = get_close_matches(wanted, specification.by_name, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    message = f"the CDM {specification.version} has no table '{name}'{hint}"
    raise click.BadParameter(message, param_hint="TABLE")


def _show_tables(specification: CdmSpecification) -> None:
    from omopcloudetl.cli.tables import show_table

    rows = [
        (
            table.name,
            table.schema_,
            "yes" if table.required else "",
            table.primary_key.name if table.primary_key else "",
            len(table.fields),
        )
        for table in specification.tables
    ]
    show_table("", ("table", "schema", "required", "primary key", "fields"), rows)


def _show_fields(table: CdmTable) -> None:
    from omopcloudetl.cli.tables import show_table

    rows = [
        (field.name, field.type, "yes" if field.required else "", _key(field), _domain(field)) for field in table.fields
    ]
    show_table("", ("field", "type", "required", "key", "domain or class"), rows)


def _key(field: CdmField) -> str:
    keys = ["primary"] if field.primary_key else []
    if field.foreign_key is not None:
        keys.append(f"{field.foreign_key.table}.{field.foreign_key.field}")
    return ", ".join(keys)


def _domain(field: CdmField) -> str:
    key = field.foreign_key
    return "" if key is None else key.domain or key.class_ or ""
