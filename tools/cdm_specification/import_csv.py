"""Turn OHDSI's CSV specification of the OMOP CDM into one JSON file of facts per version.

Usage: `python tools/cdm_specification/import_csv.py FOLDER --output FOLDER [--version 5.4 ...]`

The CSV files are those of the repository OHDSI/CommonDataModel, folder `inst/csv`. Tables, fields,
types and keys are kept; guidance and conventions are not. What is odd in the official files is
reported on stderr and handled as the message says; what can't be trusted is refused.
"""

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

FILE_NAME = re.compile(r"OMOP_CDM_?v(?P<version>\d+(?:\.\d+)*)_(?P<level>Field|Table)_Level\.csv")
LEVELS = ("Field", "Table")
REQUIRED_COLUMNS = {
    "Field": (
        "cdmTableName",
        "cdmFieldName",
        "isRequired",
        "cdmDatatype",
        "isPrimaryKey",
        "isForeignKey",
        "fkTableName",
        "fkFieldName",
        "fkDomain",
        "fkClass",
    ),
    "Table": ("cdmTableName", "schema", "isRequired"),
}
SCHEMAS = ("cdm", "vocab", "results")
FLAGS = {"yes": True, "true": True, "no": False, "false": False}
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
TYPE = re.compile(r"integer|bigint|float|date|datetime|text|varchar\((?:\d+|max)\)")

Json: TypeAlias = str | bool | dict[str, str]


class SpecificationError(Exception):
    """The CSV files can't be read as a CDM specification."""


@dataclass(frozen=True)
class ForeignKey:
    """The field a foreign key points to, with the domain or concept class it is limited to."""

    table: str
    field: str
    domain: str | None = None
    concept_class: str | None = None


@dataclass(frozen=True)
class Field:
    """One field of a CDM table."""

    name: str
    type: str
    required: bool
    primary_key: bool
    foreign_key: ForeignKey | None


@dataclass(frozen=True)
class Table:
    """One CDM table with its fields in their published order."""

    name: str
    schema: str
    required: bool
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Row:
    """One CSV record and the place it came from."""

    place: str
    cells: dict[str, str]

    def text(self, column: str) -> str | None:
        """Return the trimmed cell, None where it is empty or `NA`."""
        value = self.cells[column].strip()
        return None if value in ("", "NA") else value

    def refuse(self, column: str, allowed: str) -> SpecificationError:
        """Build the error for a cell that isn't one of the allowed values."""
        return SpecificationError(f"{self.place}: {column} is {self.cells[column]!r}; allowed: {allowed}.")


class Oddities(list[str]):
    """What was odd in the official files and how it was handled, in the order it was met."""

    def report(self, row: Row, message: str) -> None:
        """Note an oddity at the place of a row."""
        self.append(f"{row.place}: {message}")


def find_files(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the specification files of a folder by version and level."""
    if not folder.is_dir():
        raise SpecificationError(f"{folder} is not a folder.")
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        if match := FILE_NAME.fullmatch(path.name):
            levels = found.setdefault(match["version"], {})
            other = levels.setdefault(match["level"], path)
            if other != path:
                raise SpecificationError(
                    f"{folder}: {other.name} and {path.name} are the same file by two names; keep one of them."
                )
    return found


def choose_versions(folder: Path, wanted: Sequence[str]) -> dict[str, dict[str, Path]]:
    """Return the files of the wanted versions, of all versions found when none is named."""
    found = find_files(folder)
    versions = wanted or sorted(found)
    if not versions:
        raise SpecificationError(
            f"{folder} holds no CDM specification; expected files such as"
            " OMOP_CDMv5.4_Field_Level.csv and OMOP_CDMv5.4_Table_Level.csv."
        )
    for version in versions:
        for level in LEVELS:
            if level not in found.get(version, {}):
                raise SpecificationError(f"{folder}: OMOP_CDMv{version}_{level}_Level.csv is missing.")
    return {version: found[version] for version in versions}


def read_rows(path: Path, level: str) -> Iterator[Row]:
    """Yield the records of one file after checking its columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in REQUIRED_COLUMNS[level] if name not in header]
            if missing:
                raise SpecificationError(
                    f"{path.name}: missing column {', '.join(missing)}; found: {', '.join(header) or 'an empty file'}."
                )
            line = reader.line_num + 1
            for cells in reader:
                place, line = f"{path.name}:{line}", reader.line_num + 1
                if len(cells) not in (0, len(header)):
                    raise SpecificationError(f"{place}: {len(cells)} cells; the header has {len(header)}.")
                if cells:
                    yield Row(place, dict(zip(header, cells, strict=True)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SpecificationError(f"{path.name}: not a CSV file in UTF-8 ({error}).") from error


def read_flag(row: Row, column: str, oddities: Oddities) -> bool:
    """Read Yes/No or TRUE/FALSE in any case; an empty flag is No."""
    text = row.text(column)
    if text is None:
        oddities.report(row, f"{column} is empty; read as No.")
        return False
    if text.lower() not in FLAGS:
        raise row.refuse(column, "Yes, No, TRUE, FALSE, NA")
    return FLAGS[text.lower()]


def read_name(row: Row, column: str, oddities: Oddities) -> str:
    """Read a table or field name in lower case, without the quotes some files put around it."""
    text = row.text(column) or ""
    name = text.strip('\\"').lower()
    if not IDENTIFIER.fullmatch(name):
        raise row.refuse(column, "a name of letters, digits and underscores")
    if name != text.lower():
        oddities.report(row, f"{column} {text} is quoted; read as {name}.")
    return name


def read_type(row: Row) -> str:
    """Read a data type in lower case and without blanks."""
    name = re.sub(r"\s+", "", row.cells["cdmDatatype"]).lower()
    if not TYPE.fullmatch(name):
        raise row.refuse("cdmDatatype", "integer, bigint, float, date, datetime, text, varchar(n), varchar(max)")
    return name


def read_foreign_key(row: Row, oddities: Oddities) -> ForeignKey | None:
    """Read a foreign key: the named target counts, even where isForeignKey denies it."""
    table, field = row.text("fkTableName"), row.text("fkFieldName")
    declared = read_flag(row, "isForeignKey", oddities)
    where = f"{row.text('cdmTableName')}.{row.text('cdmFieldName')}"
    if table is None or field is None:
        if declared or table or field:
            oddities.report(row, f"{where} names no complete foreign-key target; key dropped.")
        return None
    target = f"{table.lower()}.{field.lower()}"
    if not declared:
        oddities.report(row, f"{where} names {target} but isForeignKey is not Yes; key kept.")
    domain = row.text("fkDomain")
    if domain and "," in domain:
        oddities.report(row, f"{where} names several domains ({domain}); kept as published.")
    return ForeignKey(table.lower(), field.lower(), domain, row.text("fkClass"))


def read_fields(path: Path, oddities: Oddities) -> dict[str, dict[str, Field]]:
    """Read the field-level file: fields by table and name, in file order."""
    tables: dict[str, dict[str, Field]] = {}
    for row in read_rows(path, "Field"):
        table = read_name(row, "cdmTableName", oddities)
        name = read_name(row, "cdmFieldName", oddities)
        fields = tables.setdefault(table, {})
        if name in fields:
            oddities.report(row, f"{table}.{name} occurs again; the first one is kept.")
            continue
        fields[name] = Field(
            name=name,
            type=read_type(row),
            required=read_flag(row, "isRequired", oddities),
            primary_key=read_flag(row, "isPrimaryKey", oddities),
            foreign_key=read_foreign_key(row, oddities),
        )
    return tables


def read_tables(path: Path, fields: dict[str, dict[str, Field]], oddities: Oddities) -> dict[str, Table]:
    """Read the table-level file, which decides what tables there are; give them their fields."""
    tables: dict[str, Table] = {}
    for row in read_rows(path, "Table"):
        name = read_name(row, "cdmTableName", oddities)
        schema = (row.text("schema") or "").lower()
        if schema not in SCHEMAS:
            raise row.refuse("schema", "CDM, VOCAB, RESULTS")
        required = read_flag(row, "isRequired", oddities)
        if name in tables:
            oddities.report(row, f"{name} occurs again; the first one is kept.")
        elif name not in fields:
            oddities.report(row, f"{name} has no fields in the field-level file; table dropped.")
        else:
            tables[name] = Table(name, schema, required, tuple(fields[name].values()))
    for name in fields:
        if name not in tables:
            oddities.append(f"{path.name}: {name} is only in the field-level file; table dropped.")
    return tables


def check_foreign_keys(tables: dict[str, Table], file: str, oddities: Oddities) -> list[Table]:
    """Drop foreign keys without an existing target; report those to no primary key."""
    targets = {(table.name, field.name): field for table in tables.values() for field in table.fields}

    def check(table: Table, field: Field) -> Field:
        key = field.foreign_key
        if key is None:
            return field
        text = f"{file}: foreign key {table.name}.{field.name} to {key.table}.{key.field}"
        target = targets.get((key.table, key.field))
        if target is None:
            oddities.append(f"{text}: there is no such field; key dropped.")
            return replace(field, foreign_key=None)
        if not target.primary_key:
            oddities.append(f"{text}: the target is not a primary key; key kept.")
        return field

    return [replace(table, fields=tuple(check(table, field) for field in table.fields)) for table in tables.values()]


def read_specification(files: dict[str, Path], oddities: Oddities) -> list[Table]:
    """Read the two files of one version into its tables."""
    path = files["Field"]
    fields = read_fields(path, oddities)
    tables = check_foreign_keys(read_tables(files["Table"], fields, oddities), path.name, oddities)
    if not any(field.primary_key for table in tables for field in table.fields):
        raise SpecificationError(
            f"{path.name}: no field is a primary key, so isPrimaryKey was not understood;"
            " allowed: Yes, No, TRUE, FALSE, with at least one Yes or TRUE."
        )
    return tables


def field_facts(field: Field) -> dict[str, Json]:
    """Return a field as JSON, without keys that are false or absent."""
    facts: dict[str, Json] = {"name": field.name, "type": field.type}
    if field.required:
        facts["required"] = True
    if field.primary_key:
        facts["primary_key"] = True
    if key := field.foreign_key:
        target = {"table": key.table, "field": key.field}
        if key.domain:
            target["domain"] = key.domain
        if key.concept_class:
            target["class"] = key.concept_class
        facts["foreign_key"] = target
    return facts


def format_table(table: Table) -> str:
    """Write a table with one field per line."""
    facts: dict[str, Json] = {"name": table.name, "schema": table.schema}
    if table.required:
        facts["required"] = True
    head = json.dumps(facts, ensure_ascii=False).removesuffix("}")
    fields = ",\n".join("    " + json.dumps(field_facts(field), ensure_ascii=False) for field in table.fields)
    return f'  {head}, "fields": [\n{fields}\n  ]}}'


def format_specification(version: str, tables: Sequence[Table]) -> str:
    """Write a specification so that the same facts always give the same bytes."""
    body = ",\n".join(format_table(table) for table in tables)
    return f'{{"version": {json.dumps(version)}, "tables": [\n{body}\n]}}\n'


def run(folder: Path, output: Path, wanted: Sequence[str]) -> Oddities:
    """Import the wanted versions; nothing is written unless all of them can be read."""
    oddities = Oddities()
    texts = {
        version: format_specification(version, read_specification(files, oddities))
        for version, files in choose_versions(folder, wanted).items()
    }
    output.mkdir(parents=True, exist_ok=True)
    for version, text in texts.items():
        (output / f"{version}.json").write_text(text, encoding="utf-8", newline="\n")
    return oddities


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status: 0, or 1 when the folder is refused."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with OHDSI's CSV files")
    parser.add_argument("--output", type=Path, required=True, help="folder for the JSON files")
    parser.add_argument(
        "--version",
        action="append",
        default=[],
        dest="versions",
        help="CDM version to import, e.g. 5.4; may be repeated; default: all that are found",
    )
    options = parser.parse_args(arguments)
    try:
        oddities = run(options.folder, options.output, options.versions)
    except SpecificationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for oddity in oddities:
        print(f"note: {oddity}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
