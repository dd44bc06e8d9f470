"""`omopcloudetl spec`: the CDM specifications that plans are compiled against."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omopcloudetl.cli.options import format_option, project_option
from omopcloudetl.cli.output import emit

if TYPE_CHECKING:
    from omopcloudetl.core.specification.manager import SpecificationManager
    from omopcloudetl.core.specification.models import CdmField, CdmSpecification, CdmTable


@click.group
def spec() -> None:
    """Look at the CDM specifications: versions, tables, fields."""


@spec.command("list")
@project_option
@format_option
def list_versions(project: Path, as_json: bool) -> None:
    """List the versions of the CDM that there are."""
    manager = _manager(project)
    versions = [manager.load(version) for version in manager.versions()]
    rows = [(found.version, len(found.tables), sum(len(table.fields) for table in found.tables)) for found in versions]

    def document() -> dict[str, object]:
        keys = ("version", "tables", "fields")
        return {"versions": [dict(zip(keys, row, strict=True)) for row in rows]}

    def text() -> None:
        from omopcloudetl.cli.tables import show_table

        show_table("", ("version", "tables", "fields"), rows)

    emit(as_json, document, text)


@spec.command("show")
@click.argument("version")
@click.argument("table", required=False)
@project_option
@format_option
def show_version(version: str, table: str | None, project: Path, as_json: bool) -> None:
    """Show the tables of a version of the CDM, or the fields of one table."""
    found = _load(_manager(project), version)
    if table is None:
        emit(
            as_json,
            lambda: found.model_dump(mode="json", by_alias=True),
            lambda: _show_tables(found),
        )
        return
    one = _table(found, table)
    emit(as_json, lambda: one.model_dump(mode="json", by_alias=True), lambda: _show_fields(one))


def _manager(project: Path) -> SpecificationManager:
    from omopcloudetl.cli.projects import load_project_plugins
    from omopcloudetl.core.specification.manager import SpecificationManager

    return SpecificationManager(load_project_plugins(project).resources())


def _load(manager: SpecificationManager, version: str) -> CdmSpecification:
    from omopcloudetl.core.errors import SpecificationError

    try:
        return manager.load(version)
    except SpecificationError as error:
        if version in manager.versions():
            raise
        raise click.BadParameter(str(error), param_hint="VERSION") from None


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
