"""Promises of the models: every form a value may be written in, and what it means."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from omopcloudetl.core.files.yaml_document import parse_yaml
from omopcloudetl.core.models.base import LogicalTable, Name
from omopcloudetl.core.models.loads import Column, LoadTable
from omopcloudetl.core.models.mapping import DMLDefinition, EventMapping, EventValue, TableMapping
from omopcloudetl.core.models.values import (
    CodeLookup,
    ColumnValue,
    ConceptValue,
    ConstantValue,
    DirectValue,
    ExpressionValue,
    IdValue,
    ReferenceValue,
    ValueMap,
)
from omopcloudetl.core.models.workflow import WorkflowConfig

COLUMN: TypeAdapter[Any] = TypeAdapter(ColumnValue)
MAPPING: TypeAdapter[TableMapping | EventMapping] = TypeAdapter(DMLDefinition)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("p.id", ExpressionValue(expression="p.id"), id="bare-text"),
        pytest.param("no", ExpressionValue(expression="no"), id="bare-word-of-old-yaml"),
        pytest.param("32817", ConstantValue(constant=32817), id="bare-integer"),
        pytest.param("1.5", ConstantValue(constant=1.5), id="bare-number"),
        pytest.param("true", ConstantValue(constant=True), id="bare-boolean"),
        pytest.param("null", ConstantValue(constant=None), id="bare-null"),
        pytest.param("{direct: p.id}", DirectValue(direct="p.id"), id="direct"),
        pytest.param("{expression: a + b}", ExpressionValue(expression="a + b"), id="expression"),
        pytest.param("{constant: x}", ConstantValue(constant="x"), id="constant"),
        pytest.param("{constant: '5'}", ConstantValue(constant="5"), id="constant-text-stays-text"),
        pytest.param(
            "{value_map: p.g, map: {M: 1, 2: x}, else: 0}",
            ValueMap(value_map="p.g", map={"M": 1, "2": "x"}, otherwise=0),
            id="value-map",
        ),
        pytest.param("{value_map: p.g, map: {M: 1}}", ValueMap(value_map="p.g", map={"M": 1}), id="no-else"),
        pytest.param(
            "{concept: p.c, vocabulary: UCUM, take: source}",
            ConceptValue(concept="p.c", vocabulary=("UCUM",), take="source"),
            id="concept",
        ),
        pytest.param("{id: p.id}", IdValue(id=("p.id",)), id="id-of-one-part"),
        pytest.param("{id: [a, b], strategy: ordinal}", IdValue(id=("a", "b"), strategy="ordinal"), id="id"),
        pytest.param(
            "{reference: person, key: p.id}",
            ReferenceValue(reference="person", key=("p.id",)),
            id="reference",
        ),
    ],
)
def test_a_column_value_may_be_written_in_each_of_its_forms(text: str, value: object) -> None:
    """A short form means the same as the long one, and types are kept."""
    found = COLUMN.validate_python(parse_yaml("f.yaml", f"a: {text}").data["a"])
    assert (found, type(found)) == (value, type(value))
    assert found.model_dump_json() == value.model_dump_json()  # type: ignore[attr-defined]  # a model


@pytest.mark.parametrize(
    ("text", "vocabulary"),
    [
        pytest.param("SNOMED", ("SNOMED",), id="one"),
        pytest.param("[RxNorm, CVX]", ("RxNorm", "CVX"), id="in-order-of-preference"),
        pytest.param("{expression: c.system}", ExpressionValue(expression="c.system"), id="by-row"),
        pytest.param("{value_map: c.system, map: {a: B}}", ValueMap(value_map="c.system", map={"a": "B"}), id="mapped"),
    ],
)
def test_a_vocabulary_may_be_written_in_each_of_its_forms(text: str, vocabulary: object) -> None:
    """A vocabulary is a name, a list of names, or depends on the row."""
    data = parse_yaml("f.yaml", f"{{code: c.code, vocabulary: {text}}}").data
    assert CodeLookup.model_validate(data).vocabulary == vocabulary


def test_a_table_mapping_has_defaults() -> None:
    """What a mapping does not say is: no joins, no condition, and a row too many is set aside."""
    text = "{name: x, kind: table, target: CDM.Person, key: p.id, columns: {a: 1}, from: {p: source.Patients}}"
    found = MAPPING.validate_python(parse_yaml("f.yaml", text).data)
    assert isinstance(found, TableMapping)
    assert (found.target, found.from_, found.key) == ("cdm.person", {"p": "source.patients"}, ("p.id",))
    assert (found.joins, found.where, found.on_duplicate_key) == ({}, None, "quarantine")


def test_the_value_of_an_event_may_be_a_bare_text() -> None:
    """`value: o.value` is short for `value: {text: o.value}`."""
    text = (
        "{name: x, kind: event, from: {o: source.o}, key: o.id, person: [o.a, o.b],"
        " start: o.d, type_concept_id: 1, concept: {code: o.c, vocabulary: LOINC}, value: o.v,"
        " default_table: observation}"
    )
    found = MAPPING.validate_python(parse_yaml("f.yaml", text).data)
    assert isinstance(found, EventMapping)
    assert found.value == EventValue(text="o.v")
    assert found.person == ("o.a", "o.b")


@pytest.mark.parametrize("name", ["source.x", "VOCAB.Concept", "cdm.person", "work.a_b"])
def test_a_logical_table_is_lower_case(name: str) -> None:
    """A table name is one of a logical schema, and its case does not matter."""
    assert TypeAdapter(LogicalTable).validate_python(name) == name.lower()


@pytest.mark.parametrize("name", ["person", "public.person", "cdm.", ".person", "a.cdm.person", ""])
def test_any_other_table_name_is_refused(name: str) -> None:
    """A physical name, or one without a schema, is no logical table."""
    with pytest.raises(ValidationError):
        TypeAdapter(LogicalTable).validate_python(name)


@pytest.mark.parametrize("name", ["", "Person", "1a", "_a", "a-b", "a b", "é", "a\n", "a" * 51])
def test_a_name_becomes_part_of_table_names(name: str) -> None:
    """A name that would need quotes, or is too long for an engine, is refused."""
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(name)


def test_models_are_frozen() -> None:
    """What was read from a file cannot be changed afterwards."""
    value = ConstantValue(constant=1)
    with pytest.raises(ValidationError):
        value.constant = 2  # type: ignore[misc]  # that is the test


def test_a_load_may_be_written_in_its_short_forms() -> None:
    """A table of a load is a file, and a column is a type."""
    text = (
        "{name: w, steps: [{name: s, kind: bulk_load, schema: source, from: d, format: csv,"
        " tables: {a: a.csv, b: {file: b.csv, columns: {x: date, y: {type: integer, optional: true}}}}}]}"
    )
    (step,) = WorkflowConfig.model_validate(parse_yaml("f.yaml", text).data).steps
    assert step.kind == "bulk_load"
    assert step.tables["a"] == LoadTable(file="a.csv")
    assert step.tables["b"].columns == {"x": Column(type="date"), "y": Column(type="integer", optional=True)}


def test_an_optional_column_says_true_or_false() -> None:
    """`yes` and `no` are words; a boolean is not guessed from them."""
    with pytest.raises(ValidationError):
        Column.model_validate({"optional": "no"})


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ({"type": "date", "format": "%d.%m.%Y"}, None),
        ({"type": "timestamp", "format": ["%Y%m%d", "%-d.%-m.%y %H:%M"]}, None),
        ({"type": "date", "format": "dd.mm.yyyy"}, "time_format"),
        ({"type": "date", "format": "%d.%q"}, "time_format"),
        ({"type": "date", "format": "%Y-%m-%"}, "time_format"),
        ({"type": "text", "format": "%Y"}, "column_format"),
    ],
)
def test_a_format_is_one_of_dates_in_known_directives(column: dict[str, object], problem: str | None) -> None:
    """A column of dates may have one format or several; anything else than known directives is refused."""
    if problem is None:
        assert all("%" in format_ for format_ in Column.model_validate(column).format)
    else:
        with pytest.raises(ValidationError) as caught:
            Column.model_validate(column)
        assert [error["type"] for error in caught.value.errors()] == [problem]
