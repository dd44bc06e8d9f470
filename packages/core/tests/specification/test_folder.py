"""Promises of folders of specifications: which files make a version."""

from __future__ import annotations

from pathlib import Path

import pytest

from omopcloudetl.core.errors import ProjectError, SpecificationError
from omopcloudetl.core.specification.folder import read_folder, versions_in

FIELD_LEVEL = """\
cdmTableName,cdmFieldName,isRequired,cdmDatatype,isPrimaryKey,isForeignKey,fkTableName,fkFieldName,fkDomain,fkClass
person,person_id,Yes,integer,Yes,No,NA,NA,NA,NA
"""
TABLE_LEVEL = "cdmTableName,schema,isRequired\nperson,CDM,Yes\n"
DOCUMENT = """{"version": "9.9", "tables": [{"name": "person", "schema": "cdm", "fields": [
{"name": "person_id", "type": "integer", "primary_key": true}]}]}"""


def write(folder: Path, version: str = "5.4", *, infix: str = "v") -> Path:
    """Write the two official files of a version."""
    (folder / f"OMOP_CDM{infix}{version}_Field_Level.csv").write_text(FIELD_LEVEL, encoding="utf-8")
    (folder / f"OMOP_CDM{infix}{version}_Table_Level.csv").write_text(TABLE_LEVEL, encoding="utf-8")
    return folder


def test_versions_are_those_of_csv_and_json_files(tmp_path: Path) -> None:
    """Both official spellings of the file names count, and our own documents."""
    write(write(tmp_path, "5.10"), "5.4", infix="_v")
    (tmp_path / "9.9.json").write_text(DOCUMENT)
    (tmp_path / "package.json").write_text("{}")
    assert versions_in(tmp_path) == ["5.4", "5.10", "9.9"]
    assert [read_folder(tmp_path, version)[0].version for version in versions_in(tmp_path)] == ["5.4", "5.10", "9.9"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        pytest.param({"5.4.json": DOCUMENT}, "holds 5.4 twice, as CSV and as 5.4.json", id="both-kinds"),
        pytest.param({"OMOP_CDM_v5.4_Field_Level.csv": FIELD_LEVEL}, "the same file by two names", id="two-names"),
    ],
)
def test_a_version_is_there_once(tmp_path: Path, extra: dict[str, str], message: str) -> None:
    """Which of two files counts is the user's choice, not ours."""
    write(tmp_path)
    for name, text in extra.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(SpecificationError, match=message):
        read_folder(tmp_path, "5.4")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Half a version, another version and no folder at all are told apart."""
    write(tmp_path)
    with pytest.raises(
        SpecificationError, match=r"no CDM specification 5\.3\. There are: 5\.4; expected OMOP_CDMv5\.3"
    ):
        read_folder(tmp_path, "5.3")
    (tmp_path / "OMOP_CDMv5.4_Table_Level.csv").unlink()
    with pytest.raises(SpecificationError, match=r"OMOP_CDMv5\.4_Table_Level\.csv is missing"):
        read_folder(tmp_path, "5.4")
    with pytest.raises(SpecificationError, match=r"nowhere cannot be read: No such file"):
        read_folder(tmp_path / "nowhere", "5.4")


def test_mistakes_carry_the_folder_as_the_user_calls_it(tmp_path: Path) -> None:
    """The place of a mistake can be opened from where the user is."""
    write(tmp_path)
    (tmp_path / "OMOP_CDMv5.4_Field_Level.csv").write_text(FIELD_LEVEL.replace("integer", "money"))
    with pytest.raises(ProjectError, match=r"^spec/OMOP_CDMv5\.4_Field_Level\.csv:2:1: error"):
        read_folder(tmp_path, "5.4", label="spec/")
