"""Promises of the JSON Schemas: they accept what the reader accepts, and refuse what it refuses for its form."""

from __future__ import annotations

import jsonschema_rs
import pytest
from jsonschema_rs import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from omopcloudetl.core.files.yaml_document import parse_yaml
from omopcloudetl.core.json_schema import FILE_KINDS, file_schema

PERIODS = "name: p\nkind: derived\nbuilder: observation_period\npolicy: "
MAPPING = "name: m\nkind: table\ntarget: cdm.person\ncolumns:\n"
EVENT = """
name: e
kind: event
from: {e: source.events}
key: e.id
person: e.patient
concept: {code: e.code, vocabulary: SNOMED}
start: e.start
type_concept_id: 32827
default_table: observation
"""
WORKFLOW = "name: w\nsteps:\n  - "
PROJECT = "name: p\ntargets: {here: {provider: x}}\n"

RIGHT = [
    ("mapping", MAPPING + "  a: p.id"),
    ("mapping", MAPPING + "  a: 1\n  b: 1.5\n  c: true\n  d: null\n  e: {constant: x}"),
    ("mapping", MAPPING + "  a: {id: p.id}\n  b: {id: [p.id, p.x], strategy: ordinal}"),
    ("mapping", MAPPING + "  a: {value_map: p.g, map: {M: 1, F: x}, else: null}"),
    ("mapping", MAPPING + "  a: {concept: p.c, vocabulary: [A, B], domain: Unit, take: source}"),
    ("mapping", MAPPING.replace("cdm.person", "CDM.person") + "  a: 1"),
    ("mapping", EVENT),
    ("mapping", MAPPING + "  a: 1\ntests:\n  - {name: t, expect: {cdm.person: [{a: 1, b: {person: p1}, c: null}]}}"),
    ("mapping", EVENT + "tests:\n  - {name: t, unknown: {person: p1}, quarantined: [{key: [a, 1], reason: b}]}"),
    ("mapping", EVENT + "tests:\n  - {name: t, concepts: [{code: 7, domain: D, maps_to: 1}], expect: {CDM.x: []}}"),
    ("mapping", EVENT + "value: e.value\nunit: {code: e.u, vocabulary: {expression: e.v}}"),
    ("mapping", EVENT + "value: {number: e.n, text: e.t}\ncolumns: {drug_exposure: {refills: 1}}"),
    ("mapping", PERIODS + "{sources: visits, gap_days: 30, days_after_death: null, not_after: 2020-12-31}"),
    (
        "workflow",
        WORKFLOW + "{name: a, kind: ddl, schema: cdm}\n  - {name: b, kind: ddl, schema: cdm, depends_on: a}",
    ),
    ("workflow", WORKFLOW + "{name: a, kind: bulk_load, schema: source, from: x, format: csv, tables: {a: a.csv}}"),
    (
        "workflow",
        WORKFLOW + "{name: a, kind: bulk_load, schema: source, from: x, format: csv,"
        " tables: {a: {file: a.csv, columns: {b: date, c: {type: text, optional: true}}}}}",
    ),
    ("workflow", WORKFLOW + "{name: a, kind: dml, mappings: [a.yaml, b/*.yaml]}"),
    ("workflow", WORKFLOW + "{name: a, kind: sql, file: a.sql, creates: work.x}"),
    ("project", PROJECT + "schemas: {cdm: a.b}\nvariables: {a: 1, b: x}\nspecification: ohdsi"),
    ("project", PROJECT + "specification: {path: spec}\noverlays: [a.yaml]"),
]
WRONG = [
    ("mapping", MAPPING + "  a: 1\ntests:\n  - {name: t, expect: {person: []}}"),
    ("mapping", MAPPING + "  a: 1\ntests:\n  - {name: t, expect: {cdm.person: [{a: [1]}]}}"),
    ("mapping", MAPPING + "  a: 1\ntests:\n  - {name: t, expect: {cdm.person: [{a: {b: 1, c: 2}}]}}"),
    ("mapping", MAPPING + "  a: 1\ntests:\n  - {expect: {cdm.person: []}}"),
    ("mapping", MAPPING + "  a: 1\ntests:\n  - {name: t, concepts: [{id: 1}], expect: {cdm.person: []}}"),
    ("mapping", PERIODS + "{sources: []}"),
    ("mapping", PERIODS + "{sources: [visit]}"),
    ("mapping", PERIODS + "{gap_days: 0}"),
    ("mapping", "name: m"),
    ("mapping", MAPPING + "  a: []"),
    ("mapping", MAPPING + "  a: ''"),
    ("mapping", MAPPING + "  a: {constant: {b: c}}"),
    ("mapping", MAPPING + "  a: 1\njoins: {UP: {table: work.x, on: a.b = c.d, cardinality: one}}"),
    ("mapping", MAPPING + "  a: {concept: p.c}"),
    ("mapping", MAPPING + "  a: {cosntant: 1}"),
    ("mapping", MAPPING.replace("table", "tabel") + "  a: 1"),
    ("mapping", MAPPING.replace("cdm.person", "person") + "  a: 1"),
    ("mapping", MAPPING + "  a: 1\nform: {p: source.patients}"),
    ("mapping", MAPPING + "  a: 1\nfrom: {p: source.a, q: source.b}"),
    ("mapping", MAPPING + "  a: 1\non_duplicate_key: ignore"),
    ("mapping", EVENT.replace("start: e.start\n", "")),
    ("mapping", EVENT + "unit: UCUM"),
    ("workflow", "name: w\nsteps: []"),
    ("workflow", WORKFLOW + "{name: a, kind: ddl, schema: source}"),
    ("workflow", WORKFLOW + "{name: A, kind: ddl, schema: cdm}"),
    ("workflow", WORKFLOW + "{name: a, kind: bulk_load, schema: source, from: x, format: xls, tables: {a: a.xls}}"),
    ("workflow", WORKFLOW + "{name: a, kind: dml, mappings: []}"),
    (
        "workflow",
        WORKFLOW + "{name: a, kind: bulk_load, schema: source, from: x, format: csv,"
        " tables: {a: {file: a.csv, columns: {b: dat}}}}",
    ),
    ("project", "name: p\ntargets: {}"),
    ("project", PROJECT + "schemas: {cmd: x}"),
    ("project", PROJECT + "plugins: x"),
]


def schema_refuses(kind: str, text: str) -> bool:
    """Whether an editor would complain."""
    return not Draft202012Validator(file_schema(kind)).is_valid(parse_yaml("x.yaml", text).data)


def reader_refuses(kind: str, text: str) -> bool:
    """Whether the models refuse it."""
    try:
        TypeAdapter(FILE_KINDS[kind][0]).validate_python(parse_yaml("x.yaml", text).data, by_alias=True, by_name=False)
    except ValidationError:
        return True
    return False


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_a_schema_is_one(kind: str) -> None:
    """It holds against the rules of its own dialect, and says what it is about."""
    schema = file_schema(kind)
    jsonschema_rs.meta.validate(schema)
    assert schema["$id"] == f"urn:omopcloudetl:{kind}"


@pytest.mark.parametrize(("kind", "text"), RIGHT, ids=[text[-40:] for _, text in RIGHT])
def test_what_the_reader_accepts_is_accepted(kind: str, text: str) -> None:
    """Short forms, lists of one and every kind of value are no mistakes in an editor."""
    assert (reader_refuses(kind, text), schema_refuses(kind, text)) == (False, False)


@pytest.mark.parametrize(("kind", "text"), WRONG, ids=[text[-40:] for _, text in WRONG])
def test_what_the_reader_refuses_is_refused(kind: str, text: str) -> None:
    """A mistake of form is seen while it is typed."""
    assert (reader_refuses(kind, text), schema_refuses(kind, text)) == (True, True)


def test_every_key_says_what_it_means() -> None:
    """An editor shows the models' own words."""
    for kind in FILE_KINDS:
        for name, definition in file_schema(kind).get("$defs", {}).items():
            assert definition.get("description"), f"{kind}: {name}"
