"""Promises of the program that imports OHDSI's CSV specification of the CDM."""

import csv
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "tools/cdm_specification/import_csv.py"
OFFICIAL = ROOT.parent / "shared/data/cdm"
SHIPPED = ROOT / "packages/omop-resources/src/omopcloudetl/omop_resources/specifications"

Rows = list[list[str]]
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


def load_program() -> ModuleType:
    """Load the program from its file: tools are not a package."""
    spec = importlib.util.spec_from_file_location("cdm_specification_import_csv", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


program = load_program()


def write_csv(path: Path, header: list[str], rows: Rows) -> None:
    """Write one CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_folder(folder: Path, fields: Rows = FIELDS, tables: Rows = TABLES) -> Path:
    """Write a specification 5.4 of two tables."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "OMOP_CDMv5.4_Field_Level.csv", FIELD_COLUMNS, fields)
    write_csv(folder / "OMOP_CDMv5.4_Table_Level.csv", TABLE_COLUMNS, tables)
    return folder


def import_folder(folder: Path) -> bytes:
    """Import a folder that must be accepted and return the bytes of 5.4.json."""
    output = folder / "out"
    assert program.main([str(folder), "--output", str(output)]) == 0
    return (output / "5.4.json").read_bytes()


def refusal(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Import a folder that must be refused without writing anything and return the error."""
    assert program.main([str(folder), "--output", str(folder / "out")]) == 1
    assert not (folder / "out").exists()
    return capsys.readouterr().err


def replaced(rows: Rows, old: str, new: str) -> Rows:
    """Return rows with one cell value in place of another."""
    return [[new if cell == old else cell for cell in row] for row in rows]


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


def test_facts_one_field_per_line(tmp_path: Path) -> None:
    """The JSON holds facts only, one field per line, with LF and a trailing newline."""
    assert import_folder(write_folder(tmp_path)) == EXPECTED.encode()


def test_same_facts_same_bytes(tmp_path: Path) -> None:
    """TRUE/FALSE, any case, empty cells, a byte-order mark and LF give the same bytes."""
    fields = replaced(replaced(FIELDS, "Yes", "TRUE"), "No", "false")
    fields = replaced(replaced(fields, "NA", ""), "integer", "Integer")
    fields = replaced(replaced(fields, "person_id", "PERSON_ID"), "person", "Person")
    tables = replaced(replaced(TABLES, "VOCAB", "vocab"), "Yes", "yes")
    folder = write_folder(tmp_path, fields, tables)
    for path in folder.glob("*.csv"):
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
        path.write_text(text, encoding="utf-8-sig", newline="\n")
    assert import_folder(folder) == EXPECTED.encode()


def test_both_official_names(tmp_path: Path) -> None:
    """A file name with an underscore before the version is read too."""
    folder = write_folder(tmp_path)
    for path in list(folder.glob("*.csv")):
        path.rename(path.with_name(path.name.replace("CDMv", "CDM_v")))
    assert import_folder(folder) == EXPECTED.encode()


def test_type_and_class(tmp_path: Path) -> None:
    """Types are written in lower case and the concept class of a foreign key is kept."""
    drug = [
        "person",
        "note_text",
        "No",
        "varchar(MAX)",
        "",
        "No",
        *GENDER[6:9],
        "Drug",
        "Ingredient",
    ]
    tables = json.loads(import_folder(write_folder(tmp_path, [*FIELDS, drug])))["tables"]
    key = {"table": "concept", "field": "concept_id", "domain": "Drug", "class": "Ingredient"}
    expected = {"name": "note_text", "type": "varchar(max)", "foreign_key": key}
    assert tables[0]["fields"][-1] == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("integer", "money", "OMOP_CDMv5.4_Field_Level.csv:2: cdmDatatype is 'money'; allowed: "),
        ("Yes", "maybe", "OMOP_CDMv5.4_Field_Level.csv:2: isRequired is 'maybe'; allowed: Yes, No"),
        ("person_id", "person id", "cdmFieldName is 'person id'; allowed: a name of letters"),
    ],
    ids=["type", "flag", "name"],
)
def test_refuses_unknown_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    """A value the program doesn't know is refused with its file, line and what is allowed."""
    assert message in refusal(write_folder(tmp_path, replaced(FIELDS, old, new)), capsys)


def test_line_numbers_count_prose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error names the line of the file even after guidance that runs over several lines."""
    fields = replaced(FIELDS, "guidance", "three\nlines\nlong")
    error = refusal(write_folder(tmp_path, replaced(fields, "datetime", "money")), capsys)
    assert "Field_Level.csv:6: cdmDatatype is 'money'" in error


def test_refuses_unknown_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A schema other than CDM, VOCAB and RESULTS is refused."""
    folder = write_folder(tmp_path, tables=replaced(TABLES, "VOCAB", "STAGING"))
    error = refusal(folder, capsys)
    assert "Table_Level.csv:3: schema is 'STAGING'; allowed: CDM, VOCAB, RESULTS." in error


def test_refuses_without_primary_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A specification in which no primary key is found is refused."""
    fields = [[*row[:5], "No", *row[6:]] for row in FIELDS]
    error = refusal(write_folder(tmp_path, fields), capsys)
    assert "OMOP_CDMv5.4_Field_Level.csv: no field is a primary key" in error


@pytest.mark.parametrize("column", ["isPrimaryKey", "cdmDatatype", "fkClass"])
def test_refuses_missing_column(tmp_path: Path, capsys: pytest.CaptureFixture[str], column: str) -> None:
    """A file without a column that is needed is refused by the column's name."""
    folder = write_folder(tmp_path)
    at = FIELD_COLUMNS.index(column)
    header, *rows = ([*row[:at], *row[at + 1 :]] for row in [FIELD_COLUMNS, *FIELDS])
    write_csv(folder / "OMOP_CDMv5.4_Field_Level.csv", header, rows)
    assert f"missing column {column}; found: cdmTableName," in refusal(folder, capsys)


def test_refuses_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A version of which only one file is there is refused by the missing file's name."""
    folder = write_folder(tmp_path)
    (folder / "OMOP_CDMv5.4_Table_Level.csv").unlink()
    assert "OMOP_CDMv5.4_Table_Level.csv is missing." in refusal(folder, capsys)


def test_refuses_file_by_two_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds one file under both official names is refused."""
    path = write_folder(tmp_path) / "OMOP_CDMv5.4_Field_Level.csv"
    path.with_name("OMOP_CDM_v5.4_Field_Level.csv").write_bytes(path.read_bytes())
    assert "are the same file by two names" in refusal(tmp_path, capsys)


def test_refuses_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without any specification is refused."""
    assert "holds no CDM specification" in refusal(tmp_path, capsys)


def test_refuses_ragged_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row with another number of cells than the header is refused."""
    folder = write_folder(tmp_path, [*FIELDS, BIRTH[:-1]])
    assert "Field_Level.csv:6: 10 cells; the header has 11." in refusal(folder, capsys)


@pytest.mark.parametrize(
    ("extra", "note"),
    [
        (BIRTH, "person.birth_datetime occurs again; the first one is kept."),
        (["death", *PERSON_ID[1:]], "death is only in the field-level file; table dropped."),
    ],
    ids=["duplicate field", "table in one file"],
)
def test_reports_extra_row(tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], note: str) -> None:
    """A field given twice and a table of the field-level file only are noted and left out."""
    assert import_folder(write_folder(tmp_path, [*FIELDS, extra])) == EXPECTED.encode()
    assert note in capsys.readouterr().err


def test_reports_table_without_fields(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table that only the table-level file knows is noted and left out."""
    folder = write_folder(tmp_path, tables=[*TABLES, ["death", "CDM", "No", "prose"]])
    assert import_folder(folder) == EXPECTED.encode()
    assert "death has no fields in the field-level file; table dropped." in capsys.readouterr().err


def test_reports_quoted_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A field name in quotes is read without them and noted."""
    folder = write_folder(tmp_path, replaced(FIELDS, "birth_datetime", '\\"birth_datetime\\"'))
    assert import_folder(folder) == EXPECTED.encode()
    assert "is quoted; read as birth_datetime." in capsys.readouterr().err


def test_keeps_denied_foreign_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A foreign key whose target is named counts even where isForeignKey says No."""
    denied = [*GENDER[:6], "No", *GENDER[7:]]
    folder = write_folder(tmp_path, [PERSON_ID, denied, BIRTH, CONCEPT_ID])
    assert import_folder(folder) == EXPECTED.encode()
    assert "names concept.concept_id but isForeignKey is not Yes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "note"),
    [("CODE_ID", "concept.code_id: there is no such field"), ("NA", "no complete foreign-key")],
    ids=["unknown", "absent"],
)
def test_drops_broken_foreign_key(tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, note: str) -> None:
    """A foreign key without an existing target is noted and dropped; its field stays."""
    folder = write_folder(tmp_path, replaced(FIELDS, "CONCEPT_ID", target))
    gender = json.loads(import_folder(folder))["tables"][0]["fields"][1]
    assert gender == {"name": "gender_concept_id", "type": "integer", "required": True}
    assert note in capsys.readouterr().err


def test_reports_foreign_key_to_no_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A foreign key to a field that is no primary key is kept and noted."""
    plain = [*CONCEPT_ID[:5], "No", *CONCEPT_ID[6:]]
    folder = write_folder(tmp_path, [PERSON_ID, GENDER, BIRTH, plain])
    assert json.loads(import_folder(folder))["tables"][0]["fields"][1]["foreign_key"]["field"] == "concept_id"
    assert "the target is not a primary key; key kept." in capsys.readouterr().err


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="OHDSI's CSV files are not at ../shared/data/cdm of the root")
def test_shipped_files_are_current(tmp_path: Path) -> None:
    """The shipped JSON is byte for byte what the official CSV files give."""
    assert program.main([str(OFFICIAL), "--output", str(tmp_path)]) == 0
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in SHIPPED.glob("*.json")}
