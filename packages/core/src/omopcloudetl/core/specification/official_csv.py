"""Reads OHDSI's two CSV files of a CDM version: tables, fields, types and keys; prose is left out.

The files are those of the repository OHDSI/CommonDataModel, folder `inst/csv`. What is odd in the
published files is read as a note says; what cannot be trusted is refused, all of it at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from omopcloudetl.core.errors import Diagnostic, Position, ProjectError
from omopcloudetl.core.files.csv_rows import CsvFile, CsvRow, csv_rows
from omopcloudetl.core.files.validation import close_match
from omopcloudetl.core.specification.models import (
    TYPE_NAMES,
    TYPE_PATTERN,
    CdmField,
    CdmSpecification,
    CdmTable,
    ForeignKey,
)

FILE_NAME = re.compile(r"OMOP_CDM_?v(?P<version>\d+(?:\.\d+)*)_(?P<level>Field|Table)_Level\.csv")
SCHEMAS = ("cdm", "vocab", "results")
FLAGS: Mapping[str, bool] = {"yes": True, "true": True, "no": False, "false": False}
_HELP = "correct this place, or take the file as OHDSI publishes it"
_NO_NEED = "nothing has to be done; correct the file if this is not what is meant"
_FIELD_COLUMNS = (
    *("cdmTableName", "cdmFieldName", "isRequired", "cdmDatatype", "isPrimaryKey", "isForeignKey"),
    *("fkTableName", "fkFieldName", "fkDomain", "fkClass"),
)
_TABLE_COLUMNS = ("cdmTableName", "schema", "isRequired")
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_FIELDS_ONLY: Mapping[str, Mapping[str, str | None]] = {
    "6.0": {"death": None},
    "5.5": dict.fromkeys(("pack_content", "concept_metadata", "concept_relationship_metadata"), "vocab"),
}
"""Tables that OHDSI publishes in the field-level file only, and their schema; None for one the version gave up."""


@dataclass(frozen=True)
class OfficialFiles:
    """The field-level and the table-level file of one version."""

    fields: CsvFile
    tables: CsvFile


def file_name(version: str, level: str) -> str:
    """The official name of a file, such as `OMOP_CDMv5.4_Field_Level.csv`."""
    return f"OMOP_CDMv{version}_{level}_Level.csv"


def read_official(version: str, files: OfficialFiles) -> tuple[CdmSpecification, tuple[Diagnostic, ...]]:
    """The specification, and notes (warnings) on what was odd; raises `ProjectError` with every mistake."""
    reader = _Reader(version)
    fields = reader.fields(files.fields)
    tables = reader.tables(files.tables, fields)
    reader.check_targets(tables, files.fields.name)
    if reader.problems:
        raise ProjectError(reader.problems)
    if not any(one.primary_key for table in tables.values() for one in table.fields):
        allowed = ("Yes", "No", "TRUE", "FALSE")
        message = "no field is a primary key, so isPrimaryKey was not understood"
        where = Position(files.fields.name)
        raise ProjectError([Diagnostic("no-primary-key", message, where, allowed=allowed)])
    return CdmSpecification(version=version, tables=tuple(tables.values())), tuple(reader.notes)


def _rows(file: CsvFile, columns: tuple[str, ...]) -> Iterator[CsvRow]:
    return csv_rows(file, columns, help=_HELP)


def _text(row: CsvRow, column: str) -> str | None:
    """The trimmed cell, None where it is empty or `NA`."""
    value = row.cells[column].strip()
    return None if value in ("", "NA") else value


class _Reader:
    """Collects what is wrong and what is odd while it reads."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.problems: list[Diagnostic] = []
        self.notes: list[Diagnostic] = []
        self.places: dict[tuple[str, str], Position] = {}
        self.targets: dict[tuple[str, str], Position] = {}

    def fields(self, file: CsvFile) -> dict[str, dict[str, CdmField]]:
        """The field-level file: fields by table and name, in file order."""
        tables: dict[str, dict[str, CdmField]] = {}
        for row in _rows(file, _FIELD_COLUMNS):
            table, name = self._name(row, "cdmTableName"), self._name(row, "cdmFieldName")
            first = self.places.setdefault((table, name), row.where)
            if first is not row.where:
                self._refuse(row, "duplicate-field", f"{table}.{name} occurs again, first in line {first.line}")
                continue
            tables.setdefault(table, {})[name] = CdmField(
                name=name,
                type=self._type(row),
                required=self._flag(row, "isRequired"),
                primary_key=self._flag(row, "isPrimaryKey"),
                foreign_key=self._foreign_key(row, table, name),
            )
        return tables

    def tables(self, file: CsvFile, fields: dict[str, dict[str, CdmField]]) -> dict[str, CdmTable]:
        """The table-level file, which decides what tables there are; each gets its fields."""
        tables: dict[str, CdmTable] = {}
        named: set[str] = set()
        for row in _rows(file, _TABLE_COLUMNS):
            name = self._name(row, "cdmTableName")
            schema = (_text(row, "schema") or "").lower()
            if schema not in SCHEMAS:
                self._refuse_cell(row, "schema", tuple(map(str.upper, SCHEMAS)))
            elif name in named:
                self._refuse(row, "duplicate-table", f"the table {name} occurs again")
            elif name not in fields:
                self._refuse(row, "no-fields", f"the table {name} has no fields in the field-level file")
            else:
                required = self._flag(row, "isRequired")
                content = tuple(fields[name].values())
                tables[name] = CdmTable(name=name, schema=schema, required=required, fields=content)
            named.add(name)
        for name in fields:
            if name not in named:
                self._table_of_fields_only(name, tuple(fields[name].values()), file.name, tables)
        return tables

    def check_targets(self, tables: Mapping[str, CdmTable], file: str) -> None:
        """Refuse foreign keys without an existing target; note those to no primary key."""
        targets = {(table.name, one.name): one for table in tables.values() for one in table.fields}
        for (table, name), where in self.targets.items():
            one = tables[table].by_name.get(name) if table in tables else None
            if one is None or one.foreign_key is None:
                continue
            key = one.foreign_key
            found, text = targets.get((key.table, key.field)), f"{key.table}.{key.field}"
            if found is None:
                known = tuple(tables[key.table].by_name) if key.table in tables else tuple(tables)
                near = close_match(key.field if key.table in tables else key.table, known)
                message = f"the foreign key {table}.{name} points to {text}, which does not exist"
                problem = Diagnostic("unknown-target", message, where, found=text, suggestion=near, help=_HELP)
                self.problems.append(problem)
            elif not found.primary_key:
                message = f"the foreign key {table}.{name} points to {text}, which is no primary key; kept"
                self.notes.append(Diagnostic("odd-specification", message, where, severity="warning", help=_NO_NEED))

    def _table_of_fields_only(
        self, name: str, fields: tuple[CdmField, ...], file: str, tables: dict[str, CdmTable]
    ) -> None:
        message, where = f"the table {name} of this field is not in {file}", self.places[name, fields[0].name]
        published = _FIELDS_ONLY.get(self.version, {})
        if name not in published:
            near = close_match(name, tuple(tables))
            problem = Diagnostic("unknown-table", message, where, found=name, suggestion=near, help=_HELP)
            self.problems.append(problem)
            return
        schema = published[name]
        note = f"{message}; {'left out' if schema is None else f'read as a table of {schema}'}"
        self.notes.append(Diagnostic("odd-specification", note, where, severity="warning", help=_NO_NEED))
        if schema is not None:
            tables[name] = CdmTable(name=name, schema=schema, fields=fields)

    def _name(self, row: CsvRow, column: str) -> str:
        """A table or field name in lower case, without the quotes some files put around it."""
        text = _text(row, column) or ""
        name = text.strip('\\"').lower()
        if not _IDENTIFIER.fullmatch(name):
            self._refuse_cell(row, column, ("a name of letters, digits and underscores",))
        elif name != text.lower():
            self._note(row, f"{column} {text} is quoted; read as {name}")
        return name

    def _type(self, row: CsvRow) -> str:
        """A data type in lower case and without blanks."""
        name = re.sub(r"\s+", "", row.cells["cdmDatatype"]).lower()
        if not re.fullmatch(TYPE_PATTERN, name):
            self._refuse_cell(row, "cdmDatatype", TYPE_NAMES)
        return name

    def _flag(self, row: CsvRow, column: str) -> bool:
        """Yes/No or TRUE/FALSE in any case; an empty flag is No."""
        text = _text(row, column)
        if text is None:
            self._note(row, f"{column} is empty; read as No")
            return False
        if text.lower() not in FLAGS:
            self._refuse_cell(row, column, ("Yes", "No", "TRUE", "FALSE", "NA"))
        return FLAGS.get(text.lower(), False)

    def _foreign_key(self, row: CsvRow, table: str, name: str) -> ForeignKey | None:
        """The named target counts, even where isForeignKey denies it."""
        target_table, target_field = _text(row, "fkTableName"), _text(row, "fkFieldName")
        declared = self._flag(row, "isForeignKey")
        if target_table is None or target_field is None:
            if declared or target_table or target_field:
                self._note(row, f"{table}.{name} names no complete foreign-key target; key left out")
            return None
        limits = {"domain": _text(row, "fkDomain"), "class": _text(row, "fkClass")}
        key = ForeignKey.model_validate({"table": target_table.lower(), "field": target_field.lower(), **limits})
        if not declared:
            self._note(row, f"{table}.{name} names {key.table}.{key.field} but isForeignKey is not Yes; key kept")
        if key.domain and "," in key.domain:
            self._note(row, f"{table}.{name} names several domains ({key.domain}); kept as published")
        self.targets[table, name] = row.where
        return key

    def _note(self, row: CsvRow, message: str) -> None:
        self.notes.append(Diagnostic("odd-specification", message, row.where, severity="warning", help=_NO_NEED))

    def _refuse(self, row: CsvRow, code: str, message: str) -> None:
        self.problems.append(Diagnostic(code, message, row.where, help=_HELP))

    def _refuse_cell(self, row: CsvRow, column: str, allowed: tuple[str, ...]) -> None:
        found = row.cells[column]
        message = f"{column} is '{found}'"
        near = close_match(found, allowed)
        self.problems.append(
            Diagnostic("invalid-value", message, row.where, found=found, allowed=allowed, suggestion=near)
        )
