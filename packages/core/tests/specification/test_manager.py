"""Promises of the specification manager: which version is read, from where, and what it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from omopcloudetl.core.errors import SpecificationError
from omopcloudetl.core.specification.manager import SpecificationManager

PERSON = {
    "name": "person",
    "schema": "cdm",
    "fields": [
        {"name": "person_id", "type": "integer", "required": True, "primary_key": True},
        {
            "name": "gender_concept_id",
            "type": "integer",
            "foreign_key": {"table": "concept", "field": "concept_id", "domain": "Gender", "class": "X"},
        },
    ],
}
DEATH = {
    "name": "death",
    "schema": "cdm",
    "fields": [
        {
            "name": "person_id",
            "type": "integer",
            "primary_key": True,
            "foreign_key": {"table": "person", "field": "person_id"},
        }
    ],
}
CONCEPT = {
    "name": "concept",
    "schema": "vocab",
    "fields": [{"name": "concept_id", "type": "integer", "primary_key": True}],
}
COHORT = {
    "name": "cohort",
    "schema": "results",
    "fields": [{"name": "cohort_definition_id", "type": "integer"}],
}


def folder(path: Path, **versions: object) -> Path:
    """A resource folder with specifications, each a document, a list of tables or a text."""
    for name, content in versions.items():
        version = name.removeprefix("v").replace("_", ".")
        document = {"version": version, "tables": content} if isinstance(content, list) else content
        text = document if isinstance(document, str) else json.dumps(document)
        file = path / "specifications" / f"{version}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return path


def test_versions_are_those_of_all_folders_oldest_first(tmp_path: Path) -> None:
    """Every resource folder counts once, and 5.10 is later than 5.4."""
    first = folder(tmp_path / "a", v5_10=[PERSON], v5_4=[PERSON])
    second = folder(tmp_path / "b", v5_4=[PERSON], v6_0=[PERSON])
    (first / "specifications" / "README.md").write_text("no version")
    manager = SpecificationManager([first, second, tmp_path / "nothing"])
    assert manager.versions() == ["5.4", "5.10", "6.0"]


def test_the_first_folder_that_has_a_version_wins(tmp_path: Path) -> None:
    """A project's plugin can stand before the bundled facts."""
    folders = [folder(tmp_path / "a", v5_4=[PERSON]), folder(tmp_path / "b", v5_4=[PERSON, DEATH])]
    assert list(SpecificationManager(folders).load("5.4").by_name) == ["person"]
    assert list(SpecificationManager(folders[::-1]).load("5.4").by_name) == ["person", "death"]


def test_a_specification_tells_tables_and_keys(tmp_path: Path) -> None:
    """Tables are found by name and schema; a key that points elsewhere is not the table's own id."""
    specification = SpecificationManager([folder(tmp_path, v5_4=[PERSON, DEATH, CONCEPT, COHORT])]).load("5.4")
    person, death, cohort = (specification.by_name[name] for name in ("person", "death", "cohort"))
    assert [t.name for t in specification.in_schema("vocab")] == ["concept"]
    assert [t.name for t in specification.in_schema("cdm")] == ["person", "death", "cohort"]
    assert person.primary_key is person.by_name["person_id"]
    assert (person.has_own_id, death.has_own_id, cohort.has_own_id) == (True, False, False)
    assert cohort.primary_key is None
    key = person.by_name["gender_concept_id"].foreign_key
    assert key is not None
    assert (key.table, key.field, key.domain, key.class_) == ("concept", "concept_id", "Gender", "X")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        pytest.param("5.5", "there is no CDM specification 5.5; did you mean 5.4? There are: 5.4, 6.0", id="near"),
        pytest.param("x", "there is no CDM specification x. There are: 5.4, 6.0", id="far"),
        pytest.param("../specifications/5.4", "There are: 5.4, 6.0", id="path"),
        pytest.param("", "There are: 5.4, 6.0", id="empty"),
    ],
)
def test_an_unknown_version_is_shown_with_those_there_are(tmp_path: Path, version: str, message: str) -> None:
    """A version is a name, not a path, and a wrong one is answered with the right ones."""
    manager = SpecificationManager([folder(tmp_path / "a", v5_4=[PERSON], v6_0=[PERSON])])
    with pytest.raises(SpecificationError) as caught:
        manager.load(version)
    assert message in str(caught.value)


def test_without_resources_there_is_no_version() -> None:
    """Core alone brings no specification, and says so."""
    with pytest.raises(SpecificationError, match="There are: none"):
        SpecificationManager([]).load("5.4")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("{", "the file", id="not-json"),
        pytest.param({"version": "5.4"}, "tables", id="no-tables"),
        pytest.param([{**PERSON, "prose": "…"}], "tables.0.prose", id="unknown-key"),
        pytest.param([COHORT], "no primary key", id="no-primary-key"),
    ],
)
def test_a_broken_specification_is_named(tmp_path: Path, content: object, words: str) -> None:
    """A file that cannot be read is an error with its name and the place in it."""
    with pytest.raises(SpecificationError) as caught:
        SpecificationManager([folder(tmp_path, v5_4=content)]).load("5.4")
    assert "the specification 5.4.json" in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_overlay_is_a_version_like_any_other(tmp_path: Path) -> None:
    """A version may be bundled as what it adds to another one; a document of the same version wins."""
    root = folder(tmp_path, v5_4=[PERSON, CONCEPT])
    overlay = 'name: x\nversion: "5.5"\nbase: "5.4"\ntables: {person: {add: {born: {type: date}}}}\n'
    (root / "specifications/5.5.yaml").write_text(overlay)
    manager = SpecificationManager([root])
    assert manager.versions() == ["5.4", "5.5"]
    assert manager.load("5.5").version == "5.5"
    assert list(manager.load("5.5").by_name["person"].by_name) == ["person_id", "gender_concept_id", "born"]
    folder(tmp_path, v5_5=[PERSON])
    assert manager.versions() == ["5.4", "5.5"]
    assert list(manager.load("5.5").by_name) == ["person"]


@pytest.mark.parametrize(
    ("head", "message"),
    [
        pytest.param('version: "5.5"\nbase: "5.5"', "go round: 5.5 on 5.5", id="itself"),
        pytest.param('version: "5.5"', "must name its version and one base", id="no-base"),
        pytest.param('base: "5.4"', "must name its version and one base", id="no-version"),
        pytest.param('version: "5.5"\nbase: "1.0"', "there is no CDM specification 1.0", id="no-such-base"),
        pytest.param("version: [", "the specification 5.5.yaml cannot be read: 5.5.yaml:", id="not-yaml"),
    ],
)
def test_a_bundled_overlay_must_stand_on_a_version(tmp_path: Path, head: str, message: str) -> None:
    """A broken overlay of a plugin is named, and never loops."""
    root = folder(tmp_path, v5_4=[PERSON, CONCEPT])
    text = f"name: x\n{head}\ntables: {{person: {{add: {{born: {{type: date}}}}}}}}\n"
    (root / "specifications/5.5.yaml").write_text(text)
    with pytest.raises(SpecificationError) as caught:
        SpecificationManager([root]).load("5.5")
    assert message in str(caught.value)
