"""Promises about types in mappings: what can never become a field, or never be compared, is refused at its place."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from omopcloudetl.core.errors import Diagnostic
from omopcloudetl.core.plan import CompiledWorkflowPlan

Compile = Callable[..., CompiledWorkflowPlan]
Problem = Callable[..., Diagnostic]

WORKFLOW = """\
    name: clinic
    steps:
      - {name: cdm_tables, kind: ddl, schema: cdm}
      - name: source
        kind: bulk_load
        schema: source
        from: data
        format: csv
        tables:
          patients:
            file: patients.csv
            columns: {id: text, gender: text, birthdate: date, flag: boolean, weight: number, visits: integer}
          conditions: conditions.csv
          lab: {file: lab.parquet, format: parquet}
      - {name: mappings, kind: dml, mappings: mappings/*.yaml}
    """
PERSON = dedent("""\
    name: person
    kind: table
    target: cdm.person
    from: {p: source.patients}
    joins:
      c: {table: source.conditions, on: c.patient = p.id, cardinality: one}
      l: {table: source.lab, on: l.patient = p.id, cardinality: one}
    where: p.id <> ''
    columns:
      person_id: {id: [p.id]}
      gender_concept_id: 0
      year_of_birth: 1970
      person_source_value: p.id
    """)
EVENT = dedent("""\
    name: conditions
    kind: event
    from: {p: source.patients}
    key: [p.id]
    person: p.id
    concept: {code: p.gender, vocabulary: SNOMED}
    start: p.birthdate
    end: p.birthdate
    value: {number: p.weight}
    type_concept_id: 32827
    default_table: observation
    """)


def person(old: str, new: str) -> dict[str, str | None]:
    """The clinic with one text of the person mapping replaced."""
    assert old in PERSON
    files = {"workflow.yaml": WORKFLOW, "mappings/conditions.yaml": None}
    return {**files, "mappings/person.yaml": PERSON.replace(old, new)}


def year(expression: str) -> dict[str, str | None]:
    """Another year of birth; it stands at 12:18."""
    return person("year_of_birth: 1970", f"year_of_birth: {expression}")


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("p.birthdate", ("year_of_birth is of type integer, and this is of type date", "extract(year from")),
        ("p.birthdate + interval 1 day", ("this is of type timestamp", "extract(year from")),
        ("p.flag", ("this is of type boolean", "case when")),
        ("p.visits > 3", ("this is of type boolean", "case when")),
        ("[p.visits]", ("this is of type nested", "take the part")),
        ("p.birthdate > 5", ("p.birthdate > 5: date and integer cannot be compared", "one type")),
        ("p.flag + 1", ("p.flag + 1: there is no such arithmetic of boolean and integer", "cast")),
        ("p.id + 1", ("p.id + 1: there is no such arithmetic of text and integer", "declare the column's type")),
        ("extract(year from c.start)", ("c.start is text", "declare the column's type")),
    ],
)
def test_what_cannot_become_a_field_is_refused(problem: Problem, expression: str, words: tuple[str, str]) -> None:
    """The error says what the expression is, what the field is or what is wrong, and a way out."""
    found = problem(year(f'"{expression}"'))
    assert found.code == "type-mismatch"
    assert words[0] in found.message
    assert words[1] in str(found.help)
    assert (found.position.file, found.position.line) == ("mappings/person.yaml", 12)


@pytest.mark.parametrize(
    "expression",
    [
        "p.id",
        "p.weight",
        "p.visits + 1",
        "p.birthdate - date '1900-01-01'",
        "extract(year from p.birthdate)",
        "extract(year from try_cast(c.start as date))",
        "extract(year from l.taken)",
        "l.level + 1",
        "case when p.flag then 1 end",
        "case when p.birthdate > '1970-01-01' then 1 else 0 end",
        "cast(p.flag as integer)",
        "unheard_of(p.birthdate)",
    ],
)
def test_what_can_become_a_field_is_accepted(compile_project: Compile, expression: str) -> None:
    """Texts are read when the mapping runs, and what the compiler does not know it does not judge."""
    assert compile_project(year(f'"{expression}"')).steps


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("where: p.id <> ''", "where: p.birthdate", (8, 8)),
        ("where: p.id <> ''", "where: not p.birthdate", (8, 12)),
        ("on: c.patient = p.id", "on: not (c.patient = p.id or p.birthdate)", (6, 62)),
        ("{id: [p.id]}", "{id: [p.birthdate > 5]}", (10, 20)),
        ("gender_concept_id: 0", "gender_concept_id: {value_map: upper(p.birthdate), map: {M: 0}}", (11, 34)),
    ],
)
def test_conditions_keys_and_maps_are_checked(problem: Problem, old: str, new: str, place: tuple[int, int]) -> None:
    """A date is no condition, and every expression of a mapping is looked into."""
    found = problem(person(old, new))
    assert found.code == "type-mismatch"
    assert (found.position.line, found.position.column) == place


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("start: p.birthdate", "start: p.weight", 7),
        ("end: p.birthdate", "end: p.flag", 8),
        ("number: p.weight", "number: p.birthdate", 9),
    ],
)
def test_dates_and_values_of_events_are_checked(problem: Problem, old: str, new: str, line: int) -> None:
    """Start and end must be dates, and the number of a value a number; one mistake is reported once."""
    files = {**person("1970", "1971"), "mappings/conditions.yaml": EVENT.replace(old, new)}
    found = problem(files)
    assert (found.code, found.position.line) == ("type-mismatch", line)


def test_the_text_of_a_value_may_be_of_any_type(compile_project: Compile) -> None:
    """A value that is given as text is written as it is, whatever its type."""
    event = EVENT.replace("value: {number: p.weight}", "value: {text: p.flag}")
    assert compile_project({**person("1970", "1971"), "mappings/conditions.yaml": event}).steps


@pytest.mark.parametrize(
    ("constant", "fits"), [(2**31 - 1, True), (2**31, False), (-(2**31), True), (-(2**31) - 1, False)]
)
def test_a_constant_that_is_too_large_is_refused(
    compile_project: Compile, problem: Problem, constant: int, fits: bool
) -> None:
    """A constant must be a number that its field's type has."""
    if fits:
        assert compile_project(year(str(constant))).steps
    else:
        assert problem(year(str(constant))).code == "constant-range"


def test_an_unknown_column_is_one_mistake(problem: Problem) -> None:
    """What is not there has no type to complain about."""
    assert problem(year("extract(year from p.birth)")).code == "unknown-column"
