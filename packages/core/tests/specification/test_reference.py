"""Promises of references: the specifications that a command can name, each by one word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omopcloudetl.core.errors import SpecificationError
from omopcloudetl.core.specification.manager import SpecificationManager
from omopcloudetl.core.specification.reference import read_reference

TABLES = [
    {"name": "person", "schema": "cdm", "fields": [{"name": "person_id", "type": "integer", "primary_key": True}]}
]
FIELD_LEVEL = """\
cdmTableName,cdmFieldName,isRequired,cdmDatatype,isPrimaryKey,isForeignKey,fkTableName,fkFieldName,fkDomain,fkClass
visit,visit_id,Yes,integer,Yes,No,NA,NA,NA,NA
"""
OVERLAY = "name: x\nBASE\ntables: {person: {add: {born: {type: date}}}}\n"


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpecificationManager:
    """A bundled version 5.4 of one table, and a folder full of files to name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMOPCLOUDETL_CACHE_DIR", str(tmp_path / "cache"))
    for folder in ("specifications", "csv", "two"):
        (tmp_path / folder).mkdir()
    document = json.dumps({"version": "5.4", "tables": TABLES})
    for name in ("specifications/5.4.json", "own.json", "two/5.4.json", "two/5.3.json"):
        (tmp_path / name).write_text(document)
    (tmp_path / "csv/OMOP_CDMv5.3_Field_Level.csv").write_text(FIELD_LEVEL)
    (tmp_path / "csv/OMOP_CDMv5.3_Table_Level.csv").write_text("cdmTableName,schema,isRequired\nvisit,CDM,No\n")
    (tmp_path / "born.yaml").write_text(OVERLAY.replace("BASE", 'base: "5.4"'))
    (tmp_path / "any.yaml").write_text(OVERLAY.replace("BASE\n", "").replace("born", "died"))
    return SpecificationManager([tmp_path])


@pytest.mark.parametrize(
    ("reference", "fields"),
    [
        pytest.param("5.4", "person: person_id", id="version"),
        pytest.param("csv", "visit: visit_id", id="folder"),
        pytest.param("csv@5.3", "visit: visit_id", id="folder-version"),
        pytest.param("own.json", "person: person_id", id="document"),
        pytest.param("born.yaml", "person: person_id born", id="overlay"),
        pytest.param("born.yaml+any.yaml", "person: person_id born died", id="two-overlays"),
        pytest.param("two@5.3+any.yaml", "person: person_id died", id="folder-overlay"),
    ],
)
def test_a_word_names_a_specification(manager: SpecificationManager, reference: str, fields: str) -> None:
    """Versions, folders, documents and overlays are named alike, alone and together."""
    (table,) = read_reference(reference, manager).tables
    assert f"{table.name}: {' '.join(table.by_name)}" == fields


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        pytest.param("5.9", "there is no CDM specification 5.9; did you mean 5.4?", id="version"),
        pytest.param("ohdsi@5.4", "Fetch it once: omopcloudetl spec fetch 5.4", id="not-fetched"),
        pytest.param("ohdsi@../x", "'../x' is no version of the CDM", id="no-version"),
        pytest.param("two", "say which version of two is meant, as two@5.4. There are: 5.3, 5.4", id="two"),
        pytest.param("csv@5.4", "csv holds no CDM specification 5.4. There are: 5.3", id="other"),
        pytest.param("nothing.json", "nothing.json cannot be read: No such file", id="no-file"),
        pytest.param("any.yaml", "as 5.4+any.yaml", id="no-base"),
        pytest.param("5.4+none.yaml", "none.yaml cannot be read", id="no-overlay"),
        pytest.param("notes.txt", "names no specification; write 5.4, ohdsi@5.4", id="other-file"),
    ],
)
def test_what_names_nothing_is_told(manager: SpecificationManager, reference: str, message: str) -> None:
    """The error says what there is and how to name it."""
    with pytest.raises(SpecificationError) as caught:
        read_reference(reference, manager)
    assert message in str(caught.value)
