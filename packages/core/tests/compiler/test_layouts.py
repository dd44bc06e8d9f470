"""Promises of layouts: which tables have one, and what is told of a layout that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from omopcloudetl.core.compiler.layouts import table_layouts
from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.models.layout import Layout, Partition, TableLayout
from omopcloudetl.core.specification.models import CdmField, CdmSpecification, CdmTable

Problems = Callable[..., list[Diagnostic]]
PROJECT = """\
    name: clinic
    cdm_version: "9.9"
    plugins: [acme]
    targets:
      base:
        abstract: true
        provider: acme
        orchestrator: acme
        layout:
          tables:
            persn: {cluster: person_id}
            person: {cluster: persn_id, partition: [year(year_of_birth), "bucket(8, person_id)"]}
      here: {extends: base}
    """


def table(name: str, *fields: str, schema: str = "cdm") -> CdmTable:
    """A table; a field that ends with `?` may be NULL, one with `date` in its name is a date."""
    made = tuple(
        CdmField(name=field.rstrip("?"), type="date" if "date" in field else "integer", required="?" not in field)
        for field in fields
    )
    return CdmTable(name=name, schema=schema, fields=made)


CDM = CdmSpecification(
    version="9.9",
    tables=(
        table("person", "person_id", "birth_date?"),
        table("visit", "visit_id", "person_id", "note_date?", "start_date", "end_date"),
        table("cost", "cost_id", "start_date"),
        table("concept", "person_id", "start_date", schema="vocab"),
    ),
)


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param(
            {"by": "person"}, {"person": ("person_id",), "visit": ("person_id", "start_date")}, id="by-person"
        ),
        pytest.param({"by": "date"}, {"visit": ("start_date", "person_id")}, id="by-date"),
        pytest.param(
            {"by": "person", "tables": {"visit": {}, "concept": {"cluster": "person_id"}}},
            {"person": ("person_id",), "concept": ("person_id",)},
            id="some-otherwise",
        ),
    ],
)
def test_tables_are_laid_out(layout: dict[str, object], expected: dict[str, tuple[str, ...]]) -> None:
    """Rows lie by person and first required day, or the other way round; what is said of a table replaces that."""
    found = table_layouts(Layout.model_validate(layout), CDM)
    assert {name: table.cluster for name, table in found.items()} == expected


def test_partitions_are_read() -> None:
    """A partition is of a column, of its years, months or days, or of a number of buckets."""
    texts = ("site", "year(day)", "month( day )", "day(day)", "bucket(64, person_id)", "bucket( 8 ,site)")
    assert TableLayout(partition=texts).partitions == (
        Partition("site"),
        Partition("day", "year"),
        Partition("day", "month"),
        Partition("day", "day"),
        Partition("person_id", "bucket", 64),
        Partition("site", "bucket", 8),
    )


@pytest.mark.parametrize(
    "text",
    ["year(day", "day)", "bucket(day)", "bucket(0, day)", "bucket(9999999999, day)", "week(day)", "Day", "a b", ""],
)
def test_other_partitions_are_refused(problems: Problems, text: str) -> None:
    """What is no partition is told in its line."""
    project = dedent(PROJECT).replace("year(year_of_birth)", f'"{text}"').replace("persn:", "concept:")
    found = [problem for problem in problems({"project.yaml": project}) if problem.position.line == 12]
    assert [problem.code for problem in found] == ["invalid-value"]


def test_what_is_named_twice_is_told(problems: Problems) -> None:
    """A column of a cluster, and buckets of one column, whatever their numbers."""
    twice = '{cluster: [person_id, person_id], partition: ["bucket(8, person_id)", "bucket(16, person_id)"]}'
    project = dedent(PROJECT).replace("persn: {cluster: person_id}", "concept: {}")
    project = project.replace('{cluster: persn_id, partition: [year(year_of_birth), "bucket(8, person_id)"]}', twice)
    found = [(problem.code, problem.message) for problem in problems({"project.yaml": project})]
    assert found == [
        ("invalid-value", "cluster of person names person_id twice"),
        ("invalid-value", "partition of person names bucket(person_id) twice"),
    ]


def test_what_is_wrong_is_told_where_it_stands(problems: Problems) -> None:
    """Unknown tables and fields, and years of what is no date, also in a target that is only extended."""
    told = [
        (problem.code, problem.position.line, problem.found, problem.suggestion)
        for problem in problems({"project.yaml": PROJECT})
    ]
    assert told == [
        ("unknown-table", 11, "persn", "person"),
        ("unknown-field", 12, "persn_id", "person_id"),
        ("invalid-value", 12, "year(year_of_birth)", None),
    ]
