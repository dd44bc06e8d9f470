"""Promises of the program that imports OHDSI's CSV specification of the CDM; core's tests say how it reads them."""

from pathlib import Path

import pytest

from tools.cdm_specification import import_csv

ROOT = Path(__file__).parents[3]
OFFICIAL = ROOT.parent / "shared/data/cdm"
SHIPPED = ROOT / "packages/omop-resources/src/omopcloudetl/omop_resources/specifications"

FIELD_LEVEL = """\
cdmTableName,cdmFieldName,isRequired,cdmDatatype,isPrimaryKey,isForeignKey,fkTableName,fkFieldName,fkDomain,fkClass
person,person_id,Yes,integer,Yes,No,NA,NA,NA,NA
person,gender_concept_id,Yes,integer,No,No,PERSON,PERSON_ID,NA,NA
"""
TABLE_LEVEL = "cdmTableName,schema,isRequired\nperson,CDM,Yes\n"


def write_folder(folder: Path, version: str = "5.4", field_level: str = FIELD_LEVEL) -> Path:
    """Write a specification of one table."""
    (folder / f"OMOP_CDMv{version}_Field_Level.csv").write_text(field_level, encoding="utf-8")
    (folder / f"OMOP_CDMv{version}_Table_Level.csv").write_text(TABLE_LEVEL, encoding="utf-8")
    return folder


def test_each_version_becomes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All versions are imported, with LF, and what is odd is told on stderr."""
    write_folder(write_folder(tmp_path), "6.0")
    assert import_csv.main([str(tmp_path), "--output", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["5.4.json", "6.0.json"]
    assert b"\r" not in (tmp_path / "out/5.4.json").read_bytes()
    assert "OMOP_CDMv5.4_Field_Level.csv:3:1: warning[odd-specification]" in capsys.readouterr().err


def test_nothing_is_written_unless_all_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake in one version is told with file and line, and no version is written."""
    write_folder(write_folder(tmp_path), "6.0", FIELD_LEVEL.replace("integer", "money"))
    assert import_csv.main([str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()
    assert "OMOP_CDMv6.0_Field_Level.csv:2:1: error" in capsys.readouterr().err


def test_only_the_wanted_versions_are_read(tmp_path: Path) -> None:
    """--version leaves the others alone, broken or not."""
    write_folder(write_folder(tmp_path), "6.0", "")
    assert import_csv.main([str(tmp_path), "--output", str(tmp_path / "out"), "--version", "5.4"]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["5.4.json"]


def test_an_empty_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without any specification is an error."""
    assert import_csv.main([str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "holds no CDM specification" in capsys.readouterr().err


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="OHDSI's CSV files are not at ../shared/data/cdm of the root")
def test_shipped_files_are_current(tmp_path: Path) -> None:
    """The shipped JSON is byte for byte what the official CSV files give."""
    assert import_csv.main([str(OFFICIAL), "--output", str(tmp_path)]) == 0
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in SHIPPED.glob("*.json")}
