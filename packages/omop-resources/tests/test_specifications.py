"""Promises of the CDM specifications that this package ships."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from omopcloudetl.omop_resources import plugin

TABLES_BY_SCHEMA = {
    "5.3": {"cdm": 25, "vocab": 12},
    "5.4": {"cdm": 27, "vocab": 10, "results": 2},
    "6.0": {"cdm": 26, "vocab": 11, "results": 1},
}
FIELD_COUNTS = {"5.3": 396, "5.4": 432, "6.0": 426}
# Foreign keys that OHDSI publishes although their target is no primary key, with the reason.
NOT_TO_A_PRIMARY_KEY = {("6.0", "cohort_definition", "cohort_definition_id"): "the official file has it backwards"}
PERSON_FIELDS = """
    person_id gender_concept_id year_of_birth month_of_birth day_of_birth birth_datetime
    race_concept_id ethnicity_concept_id location_id provider_id care_site_id person_source_value
    gender_source_value gender_source_concept_id race_source_value race_source_concept_id
    ethnicity_source_value ethnicity_source_concept_id
"""
ALLOWED_KEYS = {
    "specification": {"version", "tables"},
    "table": {"name", "schema", "required", "fields"},
    "field": {"name", "type", "required", "primary_key", "foreign_key"},
    "foreign key": {"table", "field", "domain", "class"},
}
TYPE = re.compile(r"integer|bigint|float|date|datetime|varchar\((\d+|max)\)")

# The JSON is read as it is: this package has no model of it, core has.
Document = dict[str, Any]


def read(version: str) -> Document:
    """Read one shipped specification through the plugin, as core does."""
    folder = plugin.omopcloudetl_register_resources() / "specifications"
    document: Document = json.loads((folder / f"{version}.json").read_text(encoding="utf-8"))
    return document


def fields_of(specification: Document) -> Iterator[tuple[str, Document]]:
    """Yield every field with the name of its table."""
    for table in specification["tables"]:
        for field in table["fields"]:
            yield table["name"], field


def texts_of(value: object) -> Iterator[str]:
    """Yield every text inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)


def test_shipped_versions() -> None:
    """Exactly the versions 5.3, 5.4 and 6.0 are shipped, and 5.5 as what it adds."""
    folder = plugin.omopcloudetl_register_resources() / "specifications"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith((".json", ".yaml")))
    assert names == ["5.3.json", "5.4.json", "5.5.yaml", "6.0.json"]


@pytest.mark.parametrize("version", TABLES_BY_SCHEMA)
def test_tables_by_schema(version: str) -> None:
    """Each version has as many tables in each schema, and as many fields, as OHDSI publishes."""
    specification = read(version)
    assert specification["version"] == version
    schemas = Counter(table["schema"] for table in specification["tables"])
    assert schemas == TABLES_BY_SCHEMA[version]
    assert sum(1 for _ in fields_of(specification)) == FIELD_COUNTS[version]


def test_person_fields() -> None:
    """The person table of 5.4 has its fields in the published order."""
    names = [field["name"] for table, field in fields_of(read("5.4")) if table == "person"]
    assert names == PERSON_FIELDS.split()


@pytest.mark.parametrize("version", TABLES_BY_SCHEMA)
def test_names_are_unique(version: str) -> None:
    """No table occurs twice and no field occurs twice in its table."""
    specification = read(version)
    tables = [table["name"] for table in specification["tables"]]
    fields = [(table, field["name"]) for table, field in fields_of(specification)]
    assert len(set(tables)) == len(tables)
    assert len(set(fields)) == len(fields)


@pytest.mark.parametrize("version", TABLES_BY_SCHEMA)
def test_foreign_keys_resolve(version: str) -> None:
    """Every foreign key points to a primary key of its own type, but for the known exceptions."""
    specification = read(version)
    targets = {(table, field["name"]): field for table, field in fields_of(specification)}
    odd = []
    for table, field in fields_of(specification):
        if key := field.get("foreign_key"):
            target = targets[key["table"], key["field"]]
            assert target["type"] == field["type"], (table, field["name"])
            if not target.get("primary_key"):
                odd.append((version, table, field["name"]))
    assert odd == [place for place in NOT_TO_A_PRIMARY_KEY if place[0] == version]


@pytest.mark.parametrize("version", TABLES_BY_SCHEMA)
def test_concept_fields_point_to_concept(version: str) -> None:
    """Every field that ends in concept_id is a foreign key to the concept table or its key."""
    for table, field in fields_of(read(version)):
        if field["name"].endswith("concept_id") and not field.get("primary_key"):
            key = field.get("foreign_key", {})
            assert (key.get("table"), key.get("field")) == ("concept", "concept_id"), table


@pytest.mark.parametrize("version", TABLES_BY_SCHEMA)
def test_primary_keys(version: str) -> None:
    """Each version has primary keys, at most one field in a table, and each is required."""
    keys = [(table, field) for table, field in fields_of(read(version)) if "primary_key" in field]
    assert ("person", "person_id") in {(table, field["name"]) for table, field in keys}
    assert len({table for table, _ in keys}) == len(keys)
    assert all(field.get("required") for _, field in keys)


@pytest.mark.parametrize("version", TABLES_BY_SCHEMA)
def test_known_keys_and_types(version: str) -> None:
    """Only the documented keys and types occur, and a key that would be false is left out."""
    specification = read(version)
    found = {name: set[str]() for name in ALLOWED_KEYS}
    found["specification"] |= set(specification)
    for table in specification["tables"]:
        found["table"] |= set(table)
        assert table.get("required", True) is True
    for _, field in fields_of(specification):
        found["field"] |= set(field)
        found["foreign key"] |= set(field.get("foreign_key", {}))
        assert field.get("required", True) is True
        assert field.get("primary_key", True) is True
        assert TYPE.fullmatch(field["type"])
    assert found == ALLOWED_KEYS


@pytest.mark.parametrize("version", TABLES_BY_SCHEMA)
def test_no_prose(version: str) -> None:
    """The specifications hold facts only: no text is longer than 60 characters."""
    assert [text for text in texts_of(read(version)) if len(text) > 60] == []


def test_plugin_registers_by_pluggy_name() -> None:
    """The hook implementation carries the marker of the project, so that pluggy finds it."""
    assert hasattr(plugin.omopcloudetl_register_resources, "omopcloudetl_impl")


def test_plugin_imports_no_core() -> None:
    """Importing the plugin loads neither core nor any heavy library."""
    code = (
        "import sys, omopcloudetl.omop_resources.plugin;"
        "print([m for m in ('omopcloudetl.core', 'pydantic', 'sqlglot', 'duckdb', 'httpx')"
        " if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
