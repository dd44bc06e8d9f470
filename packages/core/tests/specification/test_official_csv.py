"""Promises of the reader of OHDSI's CSV files: what it takes, what it notes, what it refuses and where."""

from __future__ import annotations

import csv
import io
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omopcloudetl.core.errors import Diagnostic, ProjectError
from omopcloudetl.core.files.csv_rows import CsvFile
from omopcloudetl.core.specification.documents import format_document, parse_document
from omopcloudetl.core.specification.models import CdmField, CdmSpecification, CdmTable, ForeignKey
from omopcloudetl.core.specification.official_csv import OfficialFiles, read_official

Rows = list[list[str]]
EXAMPLES = int(os.environ.get("FACT_EXAMPLES", "25"))
FIELD_LEVEL = """\
cdmTableName cdmFieldName isRequired cdmDatatype userGuidance \
isPrimaryKey isForeignKey fkTableName fkFieldName fkDomain fkClass
person person_id Yes integer guidance Yes No NA NA NA NA
person gender_concept_id Yes integer NA No Yes CONCEPT CONCEPT_ID Gender NA
person birth_datetime No datetime NA No No NA NA NA NA
concept concept_id Yes integer NA Yes No NA NA NA NA
"""
FIELD_COLUMNS, *FIELDS = [line.split() for line in FIELD_LEVEL.splitlines()]
PERSON_ID, GENDER, BIRTH, CONCEPT_ID = FIELDS
TABLE_COLUMNS = ["cdmTableName", "schema", "isRequired", "tableDescription"]
TABLES = [["person", "CDM", "Yes", "prose"], ["concept", "VOCAB", "No", "prose"]]
EXPECTED = """\
{"version": "5.4", "tables": [
  {"name": "person", "schema": "cdm", "required": true, "fields": [
    {"name": "person_id", "type": "integer", "required": true, "primary_key": true},
    {"name": "gender_concept_id", "type": "integer", "required": true, "foreign_key": \
{"table": "concept", "field": "concept_id", "domain": "Gender"}},
    {"name": "birth_datetime", "type": "datetime"}
  ]},
  {"name": "concept", "schema": "vocab", "fields": [
    {"name": "concept_id", "type": "integer", "required": true, "primary_key": true}
  ]}
]}
"""


def csv_bytes(header: list[str], rows: Rows, *, encoding: str = "utf-8", newline: str = "\r\n") -> bytes:
    """A CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator=newline).writerows([header, *rows])
    return text.getvalue().encode(encoding)


def files(fields: Rows = FIELDS, tables: Rows = TABLES, **how: str) -> OfficialFiles:
    """The two files of a specification of two tables."""
    field_level = csv_bytes(FIELD_COLUMNS, fields, **how)
    return OfficialFiles(
        CsvFile("spec/fields.csv", field_level), CsvFile("spec/tables.csv", csv_bytes(TABLE_COLUMNS, tables, **how))
    )


def read(fields: Rows = FIELDS, tables: Rows = TABLES, version: str = "5.4") -> tuple[str, str]:
    """The specification as a document, and the notes."""
    specification, notes = read_official(version, files(fields, tables))
    return format_document(specification), "\n".join(map(str, notes))


def refusals(given: OfficialFiles, version: str = "5.4") -> tuple[Diagnostic, ...]:
    """The mistakes of a specification that must be refused."""
    with pytest.raises(ProjectError) as caught:
        read_official(version, given)
    return caught.value.diagnostics


def replaced(rows: Rows, old: str, new: str) -> Rows:
    """Rows with one cell value in place of another."""
    return [[new if cell == old else cell for cell in row] for row in rows]


def test_facts_are_kept_one_field_per_line() -> None:
    """The document holds facts only, one field per line, and reads back as the same facts."""
    specification, notes = read_official("5.4", files())
    assert format_document(specification) == EXPECTED
    assert notes == ()
    assert parse_document("5.4.json", EXPECTED.encode()) == specification


def test_the_same_facts_written_otherwise_are_the_same() -> None:
    """TRUE/FALSE, any case, empty cells, a byte-order mark, LF and quoted names change nothing."""
    fields = replaced(replaced(FIELDS, "Yes", "TRUE"), "No", "false")
    fields = replaced(replaced(fields, "NA", ""), "integer", "Integer")
    fields = replaced(replaced(fields, "person_id", '"PERSON_ID"'), "person", "Person")
    tables = replaced(replaced(TABLES, "VOCAB", "vocab"), "Yes", "yes")
    specification, _ = read_official("5.4", files(fields, tables, encoding="utf-8-sig", newline="\n"))
    assert format_document(specification) == EXPECTED


def test_columns_may_move_and_others_may_be_missing() -> None:
    """Columns count by name: 5.5 drops the last one, and guidance is not needed."""
    header, *rows = ([cell for i, cell in enumerate(row) if i != 4][::-1] for row in [FIELD_COLUMNS, *FIELDS])
    moved = OfficialFiles(CsvFile("f.csv", csv_bytes(header, rows)), files().tables)
    assert format_document(read_official("5.4", moved)[0]) == EXPECTED


def test_type_and_class() -> None:
    """Types are written in lower case, and the concept class of a foreign key is kept."""
    drug = ["person", "drug", "No", "varchar(MAX)", "", "No", *GENDER[6:9], "Drug", "Ingredient"]
    document, _ = read([*FIELDS, drug])
    key = '{"table": "concept", "field": "concept_id", "domain": "Drug", "class": "Ingredient"}'
    assert f'{{"name": "drug", "type": "varchar(max)", "foreign_key": {key}}}' in document


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            "datetime", "money", "spec/fields.csv:4:1: error[invalid-value]: cdmDatatype is 'money'", id="type"
        ),
        pytest.param("datetime", "varchar(0)", "cdmDatatype is 'varchar(0)'", id="length"),
        pytest.param("Yes", "maybe", "spec/fields.csv:2:1: error[invalid-value]: isRequired is 'maybe'", id="flag"),
        pytest.param("person_id", "person id", "cdmFieldName is 'person id'", id="name"),
        pytest.param("birth_datetime", "person_id", "spec/fields.csv:4:1: error[duplicate-field]", id="duplicate"),
        pytest.param("birth_datetime", "PERSON_ID", "person.person_id occurs again, first in line 2", id="case"),
        pytest.param("CONCEPT_ID", "CODE_ID", "spec/fields.csv:3:1: error[unknown-target]", id="target-field"),
        pytest.param("CONCEPT", "CONCEPTS", "concepts.concept_id, which does not exist", id="target-table"),
    ],
)
def test_what_is_not_understood_is_refused_at_its_line(old: str, new: str, message: str) -> None:
    """A value the reader does not know is refused with file, line and what is allowed."""
    assert message in "\n".join(map(str, refusals(files(replaced(FIELDS, old, new)))))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        pytest.param(replaced(TABLES, "VOCAB", "STAGING"), "spec/tables.csv:3:1: error[invalid-value]", id="schema"),
        pytest.param([*TABLES, TABLES[0]], "spec/tables.csv:4:1: error[duplicate-table]", id="duplicate"),
        pytest.param([*TABLES, ["death", "CDM", "No", ""]], "the table death has no fields", id="no-fields"),
        pytest.param(
            replaced(TABLES, "concept", "concepts"), "spec/fields.csv:5:1: error[unknown-table]", id="unknown"
        ),
    ],
)
def test_the_two_files_must_agree_on_the_tables(tables: Rows, message: str) -> None:
    """A table is in both files once, in a schema that exists."""
    assert message in "\n".join(map(str, refusals(files(tables=tables))))


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody repairs a file line by line."""
    fields = replaced(replaced(FIELDS, "datetime", "money"), "guidance", "a\nlong\ntext")
    fields = replaced(fields, "CONCEPT_ID", "NOTHING")
    found = [(one.position.line, one.code) for one in refusals(files(fields))]
    assert found == [(6, "invalid-value"), (5, "unknown-target")]


def test_a_specification_without_primary_key_is_refused() -> None:
    """Flags in words that mean nothing to the reader would give one; it must not pass."""
    fields = [[*row[:5], "No", *row[6:]] for row in FIELDS]
    (problem,) = refusals(files(fields))
    assert (problem.code, problem.position.file) == ("no-primary-key", "spec/fields.csv")


@pytest.mark.parametrize("column", ["isPrimaryKey", "cdmDatatype", "fkClass"])
def test_a_missing_column_is_named(column: str) -> None:
    """A file without a column that is needed is refused by the column's name."""
    at = FIELD_COLUMNS.index(column)
    header, *rows = ([*row[:at], *row[at + 1 :]] for row in [FIELD_COLUMNS, *FIELDS])
    (problem,) = refusals(OfficialFiles(CsvFile("f.csv", csv_bytes(header, rows)), files().tables))
    assert problem.message == f"missing column {column}"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"", "missing-column", id="empty"),
        pytest.param(b"<!DOCTYPE html><html>", "missing-column", id="html"),
        pytest.param(b"\xff\xfe\x00", "not-csv", id="bytes"),
        pytest.param(csv_bytes(FIELD_COLUMNS, [*FIELDS, BIRTH[:-1]]), "ragged-row", id="ragged"),
        pytest.param(csv_bytes(FIELD_COLUMNS, FIELDS) + b'person,"open', "not-csv", id="open-quote"),
    ],
)
def test_what_is_no_such_file_is_refused(content: bytes, code: str) -> None:
    """Web pages, truncated files and other bytes are errors with the file's name."""
    (problem,) = refusals(OfficialFiles(CsvFile("f.csv", content), files().tables))
    assert (problem.code, problem.position.file) == (code, "f.csv")


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        pytest.param([PERSON_ID, [*GENDER[:6], "No", *GENDER[7:]], BIRTH, CONCEPT_ID], "but isForeignKey", id="denied"),
        pytest.param(replaced(FIELDS, "birth_datetime", '\\"birth_datetime\\"'), "is quoted; read as", id="quoted"),
        pytest.param(
            [PERSON_ID, GENDER, [*BIRTH[:5], "NA", *BIRTH[6:]], CONCEPT_ID], "is empty; read as No", id="flag"
        ),
        pytest.param([PERSON_ID, GENDER, [*BIRTH[:6], "Yes", *BIRTH[7:]], CONCEPT_ID], "no complete", id="no-target"),
    ],
)
def test_what_the_official_files_have_is_read_and_noted(fields: Rows, note: str) -> None:
    """Oddities of the published files are no mistakes; a note says how each was read."""
    document, notes = read(fields)
    assert document == EXPECTED
    assert note in notes
    assert re.match(r"spec/fields\.csv:\d:1: warning\[odd-specification\]", notes)


def test_fields_of_a_table_that_a_version_gave_up_are_left_out() -> None:
    """6.0 has no death table, but its field-level file has the fields; in 5.4 that is a mistake."""
    extra = [*FIELDS, ["death", *BIRTH[1:]]]
    document, notes = read(extra, version="6.0")
    assert "death" not in document
    assert "the table death of this field is not in spec/tables.csv; left out" in notes
    assert [problem.code for problem in refusals(files(extra))] == ["unknown-table"]


def test_tables_that_5_5_has_in_one_file_only_are_kept() -> None:
    """OHDSI's table-level file of 5.5 forgets three vocabulary tables."""
    extra = [*FIELDS, ["concept_metadata", "concept_category", "FALSE", "varchar(20)", "", *["FALSE"] * 2, *["NA"] * 4]]
    document, notes = read(extra, version="5.5")
    assert '{"name": "concept_metadata", "schema": "vocab", "fields"' in document
    assert "the table concept_metadata of this field is not in spec/tables.csv; read as a table of vocab" in notes


def test_a_foreign_key_to_no_key_is_kept_and_noted() -> None:
    """6.0 has one; dropping it would hide what is published."""
    document, notes = read([PERSON_ID, GENDER, BIRTH, [*CONCEPT_ID[:5], "No", *CONCEPT_ID[6:]]])
    assert '"foreign_key": {"table": "concept"' in document
    assert "which is no primary key; kept" in notes


# `na`, written in upper case, is the mark of an empty cell.
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "na")
TYPES = st.sampled_from(["integer", "bigint", "float", "date", "datetime", "text", "varchar(max)", "varchar(50)"])
LIMITS = st.none() | st.sampled_from(["Gender", "Type Concept", "Ingredient"])


@st.composite
def specifications(draw: st.DrawFn) -> CdmSpecification:
    """Any specification that has a primary key and whose foreign keys have targets."""
    names = draw(st.dictionaries(NAMES, st.lists(NAMES, min_size=1, max_size=4, unique=True), min_size=1, max_size=4))
    targets = [(table, name) for table, fields in names.items() for name in fields]
    first = draw(st.sampled_from(targets))

    def one(table: str, name: str) -> CdmField:
        key = draw(st.none() | st.sampled_from(targets))
        limits = {"domain": draw(LIMITS), "class": draw(LIMITS)}
        return CdmField(
            name=name,
            type=draw(TYPES),
            required=draw(st.booleans()),
            primary_key=(table, name) == first or draw(st.booleans()),
            foreign_key=None
            if key is None
            else ForeignKey.model_validate({"table": key[0], "field": key[1], **limits}),
        )

    schemas = st.sampled_from(["cdm", "vocab", "results"])
    tables = [
        CdmTable.model_validate(
            {"name": table, "schema": draw(schemas), "fields": tuple(one(table, name) for name in fields)}
        )
        for table, fields in names.items()
    ]
    return CdmSpecification(version="5.4", tables=tuple(tables))


@settings(max_examples=EXAMPLES)
@given(specifications(), st.sampled_from([("Yes", "No"), ("TRUE", "FALSE"), ("true", "no")]), st.booleans())
def test_facts_survive_the_files(specification: CdmSpecification, words: tuple[str, str], upper: bool) -> None:
    """Whatever facts are written in OHDSI's form, and in whichever case, read back the same."""

    def flag(value: bool) -> str:
        return words[0] if value else words[1]

    def cased(text: str) -> str:
        return text.upper() if upper else text

    def row(table: CdmTable, one: CdmField) -> list[str]:
        key = one.foreign_key
        target = [cased(key.table), cased(key.field), key.domain or "NA", key.class_ or ""] if key else ["NA"] * 4
        facts = [flag(one.required), cased(one.type), "prose", flag(one.primary_key), flag(key is not None)]
        return [cased(table.name), cased(one.name), *facts, *target]

    fields = [row(table, one) for table in specification.tables for one in table.fields]
    tables = [[cased(table.name), table.schema_, flag(table.required), ""] for table in specification.tables]
    found, _ = read_official("5.4", files(fields, tables))
    assert found == specification
    assert parse_document("x", format_document(found).encode()) == specification
